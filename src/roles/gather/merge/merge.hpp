// Many leaf answers become one: what the request machine knows of a merge that runs within the
// root. Which merge a route has stands in spec.hpp; each merge has a header that says what it does.
//
//   std::unique_ptr<Merge> merge = make_merge(spec, width, k);      // spec.hpp
//   if (auto fed = merge->feed(std::move(part)); !fed) ...          // that leaf failed, and why
//   if (merge->state() == Merge::State::satisfied) ...              // the rest may be cancelled
//   MergedBody answer = merge->finish();
//
// The law of all merges: the answer depends on which parts were fed and not on when they came. What
// has an order has that of the shards. So the same leaves give the same bytes, however slow each
// was. (`first` is the exception that its name tells.)
//
// A merge belongs to one request and one loop. It has no I/O and no clock. What it holds is bounded
// by what it was fed; the caller bounds that (limits on leaf bodies) and counts it (held_bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort::gather {

/// The answer of one leaf, without content coding.
struct PartBody {
  std::uint32_t index = 0;        ///< of the shard, below the width; each is fed once
  std::string_view shard;         ///< its id; used during the call only
  std::string_view content_type;  ///< as the leaf gave it; used during the call only
  std::string body;
};

struct MergedBody {
  std::string content_type;  ///< empty: there is none to give
  std::string body;
};

class Merge {
 public:
  enum class State : std::uint8_t {
    wants_more,  ///< each further part may change the answer
    satisfied,   ///< no further part changes it
    impossible,  ///< no further part makes an answer; why() says it
  };

  Merge() = default;
  Merge(const Merge&) = delete;
  Merge& operator=(const Merge&) = delete;
  virtual ~Merge() = default;

  /// Takes the part, in any order of shards. An error means that this leaf failed (not JSON, not of
  /// the shape that the merge needs): the merge is as if the part had never come, and can go on.
  virtual Result<> feed(PartBody part) = 0;
  /// The leaf has failed, or has nothing to give: it will not be fed. Only a vote needs to know.
  virtual void lost(std::uint32_t index) { static_cast<void>(index); }
  /// The answer to what was fed, also if that is nothing. Once, as the last call.
  virtual MergedBody finish() = 0;
  virtual State state() const { return State::wants_more; }
  /// Why there is no answer, for people: the vote of a quorum that was not reached.
  virtual std::string why() const { return {}; }
  /// Memory that depends on the parts.
  virtual std::size_t held_bytes() const = 0;
};

}  // namespace consort::gather
