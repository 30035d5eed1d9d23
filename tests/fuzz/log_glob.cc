// Fuzzes patterns for paths: refused in words, or matched as fnmatch(3) does where the two have the
// same language; what matches lies below the fixed directory, all directories above it are said to
// be worth watching, and no pattern takes long.
//
// The first line is the pattern, the rest the path.
#include <fnmatch.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "roles/logsaver/records/glob.hpp"

namespace {

using namespace consort;
using namespace consort::logsaver;

void require(bool condition) {
  if (!condition) std::abort();
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

/// What the two read in different ways, or fnmatch only in exponential time.
bool is_shared_language(std::string_view pattern, std::string_view path) {
  for (const std::string_view part : {"**", "{", "[.", "[=", "//", "./", "/."}) {
    if (has(pattern, part)) return false;
  }
  for (const std::string_view part : {"//", "./", "/."}) {
    if (has(path, part)) return false;
  }
  if (path.empty() || path.ends_with('/') || path == "." || has(path, std::string_view("\0", 1)))
    return false;
  return std::count(pattern.begin(), pattern.end(), '*') < 6 && path.size() < 64;
}

void check_watching(const Glob& glob, std::string_view path) {
  require(glob.may_match_below(path.starts_with('/') ? "/" : "."));
  for (std::size_t at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1)) {
    const std::string_view rest = path.substr(at);
    const bool has_name = rest.find_first_not_of("/.") != rest.npos;
    if (has_name) require(glob.may_match_below(path.substr(0, at)));
  }
}

void check_fixed(const Glob& glob, std::string_view path) {
  std::string fixed = glob.fixed_directory();
  if (fixed == "." || has(path, "//") || has(path, "./")) return;
  if (fixed != "/") fixed += '/';
  require(path.starts_with(fixed));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string pattern(input.substr(0, line));
  const std::string path(input.substr(std::min(line + 1, input.size())));
  const Result<Glob> glob = Glob::compile(pattern);
  if (!glob) {
    require(has(glob.error().message(), " is not a pattern for paths: "));
    return 0;
  }
  const bool is_match = glob->matches(path);
  glob->may_match_below(path);
  if (is_shared_language(pattern, path)) {
    const int verdict = fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD);
    require(is_match == (verdict == 0));
  }
  if (!is_match) return 0;
  check_watching(*glob, path);
  check_fixed(*glob, path);
  return 0;
}
