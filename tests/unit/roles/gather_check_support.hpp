// Reading what gather-check printed.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace consort::gather::test {

/// The lines that are not "ok", without the sum.
inline std::vector<std::string> troubles(const std::string& out) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < out.size();) {
    const std::size_t end = out.find('\n', at);
    const std::string line = out.substr(at, end - at);
    if (line.starts_with("warn") || line.starts_with("FAIL")) found.push_back(line);
    at = end + 1;
  }
  return found;
}

inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Nothing but this is wrong.
inline void check_only(const std::string& out, std::string_view beginning,
                       std::string_view why = {}) {
  INFO(out);
  const std::vector<std::string> found = troubles(out);
  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with(beginning));
  CHECK(has(found[0], why));
}

}  // namespace consort::gather::test
