// Which paths a pattern means: `*` `?` `[a-z]` `[!x]` `**` `{a,b}`, as shells read them.
//
//   Result<Glob> glob = Glob::compile("/var/log/{nginx,app-*}/**/*.log");
//   glob->matches("/var/log/app-1/2026/main.log")     true
//   glob->fixed_directory()                           "/var/log"
//   glob->may_match_below("/var/log/app-1/2026")      true: watch it
//   glob->may_match_below("/var/log/mysql")           false
//
//   *       any bytes of one name, none too        ?      one byte of a name
//   [a-z]   one of these bytes                     [!x]   or [^x]: any other
//   **      alone between slashes: any directories, none too; at the end: everything below
//   {a,b}   one or the other, also with slashes, also in each other
//   \x      x itself
//
// A dot at the beginning of a name must be written: `*` and `**` pass hidden files and directories
// by. Doubled slashes and "." do not count, in patterns and in paths; ".." is refused in patterns.
// A relative pattern matches relative paths alone. Links are not followed: paths are text.
//
// A match takes at most (bytes of the pattern) x (bytes of the path) steps for each of at most
// kAlternativesMax alternatives, and no allocation.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace consort::logsaver {

class Glob {
 public:
  static constexpr std::size_t kBytesMax = 4096;
  static constexpr std::size_t kAlternativesMax = 64;  ///< that braces make
  static constexpr std::size_t kNamesMax = 60;         ///< between slashes

  /// Errors tell what is wrong, and where.
  static Result<Glob> compile(std::string_view text);

  bool matches(std::string_view path) const;
  /// The last directory before the first wildcard, common to all alternatives: what matches is
  /// below it, not always directly. "/" or "." when there is none.
  std::string fixed_directory() const;
  /// Whether some path below that directory (not the directory itself) could match.
  bool may_match_below(std::string_view directory) const;

 private:
  struct Piece {
    enum class Kind : std::uint8_t { byte, any, star, set };
    Kind kind = Kind::byte;
    char byte = '\0';
    std::bitset<256> set{};
  };
  struct Name {
    bool is_directories = false;  ///< **
    std::vector<Piece> pieces;    ///< no two stars in a row

    bool matches(std::string_view name) const;
    bool is_fixed() const;
  };
  using Alternative = std::vector<Name>;
  friend class GlobReader;

  static std::uint64_t reachable(const Alternative& names, std::string_view path);

  bool is_absolute_ = false;
  std::vector<Alternative> alternatives_;
};

}  // namespace consort::logsaver
