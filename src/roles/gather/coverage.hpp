// How much of what was asked is in an answer: the Consort-Coverage header.
//
//   Consort-Coverage: total=10, ok=9, failed=0, timeout=1, skipped=0, hedged=1, percent=90.0
//
// A dictionary of RFC 8941. Each shard counts one, or, when its leaf is itself a root, what that
// root says: parents add up their children, so the numbers are leaves at any depth. Always
// total = ok + failed + timeout + skipped. `hedged` counts shards that a second attempt was sent
// for to be faster, whatever became of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace consort::gather {

struct Coverage {
  static constexpr std::string_view kHeader = "Consort-Coverage";

  std::uint64_t total = 0;
  std::uint64_t ok = 0;  ///< with those whose answer is that they hold nothing
  std::uint64_t failed = 0;
  std::uint64_t timeout = 0;
  std::uint64_t skipped = 0;  ///< not asked or not waited for: the answer does without them
  std::uint64_t hedged = 0;

  /// What had to answer: all but the skipped.
  std::uint64_t wanted() const { return total > skipped ? total - skipped : 0; }
  /// Nothing that had to answer is missing.
  bool complete() const { return ok >= wanted(); }
  /// Of the wanted ones; 100 when there are none.
  double percent() const;
  /// percent= has three digits after the point at most, and is 100.0 only when complete().
  std::string to_header() const;
  /// The same as an object, for the merge contract and problem documents.
  std::string to_json() const;

  /// Nothing when it is no dictionary, has no total, a number is none, or the parts are more than
  /// the total. Other keys and `percent` are not believed; what a child leaves unexplained counts
  /// as failed.
  static std::optional<Coverage> parse(std::string_view header);

  /// Stops at the largest number of the header's grammar (15 digits) instead of wrapping around.
  Coverage& operator+=(const Coverage& other);
  bool operator==(const Coverage&) const = default;
};

}  // namespace consort::gather
