// Which trace a request belongs to: W3C Trace Context (Recommendation of 23 November 2021).
//
//   traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//                version, trace id, the caller's own id, flags (1: sampled)
//   tracestate:  rojo=00f067aa0ba902b7,congo=t61rcWkgMzE        for vendors; passed on unchanged
//
// Rules (sections 2.2, 2.3 and 4): lower-case hexadecimal; ids of zeros and version ff are invalid;
// version 00 ends after the flags, a higher one may go on after a "-" and its first four fields
// are read as 00's. None, an invalid one or more than one: a new trace, not sampled. tracestate
// counts only beside a valid traceparent; its headers are joined; more than 32 members, a key twice
// or anything malformed drops it, but not the trace. We speak version 00 and only its sampled flag.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "wire/http1.hpp"

namespace consort {

inline constexpr std::size_t kMaxTracestateMembers = 32;

struct TraceParent {
  std::array<char, 32> trace_id;   ///< as text, lower-case hexadecimal
  std::array<char, 16> parent_id;  ///< of the caller, as text
  bool sampled = false;

  static std::optional<TraceParent> parse(std::string_view value);
};

class TraceContext {
 public:
  /// The request's trace, or a new one with ids from `random`.
  static TraceContext from(const http1::Headers& headers, Random& random);

  std::string_view trace_id() const { return {parent_.trace_id.data(), parent_.trace_id.size()}; }
  /// The caller's id; in a new trace an id of ours that nobody else knows.
  std::string_view parent_id() const {
    return {parent_.parent_id.data(), parent_.parent_id.size()};
  }
  bool sampled() const { return parent_.sampled; }
  /// False when it began here.
  bool continued() const { return continued_; }
  /// To be sent on as it is; empty: no such header.
  const std::string& tracestate() const { return tracestate_; }

  /// Appends a traceparent with a parent id that is new each time: every attempt at a leaf is a
  /// span of its own, and hedges are siblings. Always 55 bytes.
  void append_child_traceparent(std::string& out, Random& random) const;

 private:
  TraceParent parent_ = {};
  std::string tracestate_;
  bool continued_ = false;
};

/// One list of members with single commas between them, or nothing when it must be dropped. An
/// empty list is valid.
std::optional<std::string> normal_tracestate(std::string_view joined);

}  // namespace consort
