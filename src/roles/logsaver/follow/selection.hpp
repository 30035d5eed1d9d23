// Which paths are to be followed: what --path names, less what --exclude names and what is ours.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "roles/logsaver/records/glob.hpp"

namespace consort::logsaver {

/// A value; paths are absolute.
class Selection {
 public:
  struct Rules {
    std::vector<std::string> include;  ///< globs
    std::vector<std::string> exclude;  ///< globs; one without '/' is for names in any directory
    /// Files and directories that we write ourselves.
    std::vector<std::string> own;
  };
  /// `here` is put before relative globs. Errors name the glob and what is wrong.
  static Result<Selection> make(Rules rules, std::string_view here);

  enum class Verdict : std::uint8_t { followed, not_named, excluded, compressed, own };
  struct Answer {
    Verdict verdict = Verdict::not_named;
    std::string rule;  ///< the glob or the path that decided
  };
  Answer ask(std::string_view path) const;
  bool matches(std::string_view path) const { return ask(path).verdict == Verdict::followed; }
  /// A file to be followed may come to lie in it or below it.
  bool wants_directory(std::string_view path) const;
  /// The directories at which looking begins, each once.
  const std::vector<std::string>& roots() const { return roots_; }

 private:
  struct Rule {
    Glob glob;
    std::string text;
    bool is_name = false;       ///< for the last part of a path only
    bool takes_packed = false;  ///< names compressed files outright
  };
  std::vector<Rule> include_;
  std::vector<Rule> exclude_;
  std::vector<std::string> own_;
  std::vector<std::string> roots_;
};

/// One that gzip, xz, zstd or bzip2 made, by its name.
bool is_compressed_name(std::string_view path);

}  // namespace consort::logsaver
