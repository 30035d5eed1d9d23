// Reads over keys of several servers, computed here exactly: SUNION, SINTER, SDIFF, SINTERCARD and
// PFCOUNT.
//
//                  asks                                            computes
//   SUNION         each server SUNION of its keys                  the union
//   SINTER         each server SINTER of its keys                  the intersection
//   SINTERCARD     the same                                        its size, up to LIMIT
//   SDIFF          the first key's server SDIFF of its keys,       the first without the others
//                  the others SUNION
//   PFCOUNT        each key's server GET of it                     the registers' maximum, counted
//
// A key of a wrong type gives the server's WRONGTYPE, as on one server, where every key is looked
// at even when an empty one has decided the result. The parts are read one after the other and not
// at one instant: a write in between may be seen in one part and not in another.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roles/shard_proxy/redis_merge.hpp"

namespace consort::shard_proxy {

/// A command, where its keys are among its words, and which server each of them is on.
struct KeyedRequest {
  std::string_view command;  ///< lower case
  std::span<const std::string_view> words;
  std::span<const std::uint32_t> key_positions;  ///< as of redis::find_keys()
  std::span<const std::uint32_t> key_servers;    ///< of each of them
};

class CrossRead {
 public:
  struct Part {
    std::uint32_t server;
    std::vector<std::string_view> words;  ///< views of the request's and of constants
  };

  static bool covers(std::string_view command);
  /// Nothing when the command is not one of these, or its arguments are malformed: then any server
  /// refuses it whole, in its own words.
  static std::optional<CrossRead> plan(const KeyedRequest& request);

  /// What to send; valid as long as the request's words. PFCOUNT asks a server once for each key.
  const std::vector<Part>& parts() const { return parts_; }
  /// The answer from the replies in the order of parts(); the first error among them, if any.
  std::string finish(Replies replies) const;
  /// Forget the words, which are not needed to finish.
  void release_words();

 private:
  enum class Kind : std::uint8_t { set_union, intersection, cardinality, difference, hll_count };

  Kind kind_ = Kind::set_union;
  std::uint64_t limit_ = 0;  ///< of SINTERCARD; 0 for none
  std::vector<Part> parts_;
};

}  // namespace consort::shard_proxy
