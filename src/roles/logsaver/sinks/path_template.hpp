// The path of a file sink, with places for what differs between batches.
//
//   /logs/%Y-%m-%d/{host}-{file}  -->  /logs/2024-05-01/web-1-var_log_app.log
//
//   {host}  this machine's name      {file}  the followed file's path, '/' as '_'
//   %Y %m %d %H %M %S                when the batch was made, in UTC, so the same after a crash
//   %%      a percent sign
//
// A name is at most 255 bytes: what {file} makes longer is cut, with a hash of the rest behind it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace consort::logsaver {

class PathTemplate {
 public:
  struct Values {
    std::string_view host;
    std::string_view file;
    std::int64_t created_ms = 0;
  };

  /// Errc::invalid names the place that is not known, and those that are.
  static Result<PathTemplate> parse(std::string_view text);

  std::string path(const Values& values) const;
  bool has_file() const;
  /// All batches go into one file.
  bool is_fixed() const { return !has_file() && !has_time(); }
  /// The directory before the first place; empty for the one where the process stands.
  std::string fixed_directory() const;

 private:
  /// A letter of strftime's, or one of these.
  static constexpr char kText = 0;
  static constexpr char kHost = '{';
  static constexpr char kFile = '}';
  struct Piece {
    char place = kText;
    std::string text{};
  };

  bool has_time() const;

  std::vector<Piece> pieces_;
};

}  // namespace consort::logsaver
