// Which records are worth saving, by patterns of their text (--include-lines, --exclude-lines).
//
// A record is kept when some include pattern matches it, or there is none, and no exclude pattern
// does. A text for which a pattern hits its limits (base/regex.hpp) is kept, by include and exclude
// patterns alike: what cannot be judged is not thrown away.
//
// Costs a memmem per pattern that has a required literal. Movable; belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/regex.hpp"

namespace consort::logsaver {

class LineFilter {
 public:
  static constexpr std::size_t kPatternsMax = 64;  ///< of each kind

  struct Rule {
    Regex pattern;
    std::uint64_t matches = 0;  ///< of an exclude pattern: records that it dropped
    std::uint64_t limits = 0;
  };

  /// Keeps everything.
  LineFilter() = default;
  static Result<LineFilter> make(std::span<const std::string> include,
                                 std::span<const std::string> exclude);

  bool empty() const { return include_.empty() && exclude_.empty(); }
  bool keeps(std::string_view text);

  std::span<const Rule> include() const { return include_; }
  std::span<const Rule> exclude() const { return exclude_; }
  /// Records that no include pattern matched.
  std::uint64_t not_included() const { return not_included_; }

 private:
  bool is_included(std::string_view text);

  std::vector<Rule> include_;
  std::vector<Rule> exclude_;
  std::uint64_t not_included_ = 0;
};

}  // namespace consort::logsaver
