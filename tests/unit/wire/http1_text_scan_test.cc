// What is asked of sixteen or eight bytes at a time must be what is so byte by byte.
#include "wire/http1_text_scan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http1_response_scan.hpp"
#include "wire/http1_text.hpp"

namespace consort::http1 {
namespace {

bool is_tchar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

/// Every byte at every place of texts around the widths that are read at once. Each text lies in
/// memory of its own, so that a sanitizer sees a read beyond it.
template <class Check>
void for_odd_bytes(Check&& check) {
  for (std::size_t size = 1; size <= 50; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::vector<char> text(size, 'x');
        text[at] = static_cast<char>(byte);
        check(std::string_view(text.data(), text.size()));
      }
    }
  }
}

TEST_CASE("a token is one whatever its length and wherever its odd byte is") {
  CHECK_FALSE(is_token(""));
  std::size_t wrong = 0;
  for_odd_bytes([&](std::string_view text) {
    if (is_token(text) != std::all_of(text.begin(), text.end(), is_tchar)) ++wrong;
    const char* const end = text.data() + text.size();
    const auto odd = std::find_if_not(text.begin(), text.end(), is_tchar);
    if (detail::skip_token(text.data(), end) != text.data() + (odd - text.begin())) ++wrong;
  });
  CHECK(wrong == 0);
}

TEST_CASE("a control byte in a value is seen wherever it is, and counted") {
  CHECK(is_field_value(""));
  std::size_t wrong = 0;
  for_odd_bytes([&](std::string_view text) {
    const auto count =
        static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_control));
    if (is_field_value(text) != (count == 0)) ++wrong;
    if (!detail::has_only_controls(text, count)) ++wrong;
    if (count == 1 && detail::has_only_controls(text, 0)) ++wrong;
  });
  CHECK(wrong == 0);
}

TEST_CASE("control bytes are counted in long texts, beside tabs and bytes above 127") {
  for (const std::size_t size : {4079U, 4080U, 4081U, 8160U, 20000U}) {
    CHECK(detail::has_only_controls(std::string(size, '\r'), size));
    CHECK_FALSE(detail::has_only_controls(std::string(size, '\r'), size - 1));
    CHECK(detail::has_only_controls(std::string(size, '\t') + "\r", 1));
    CHECK(detail::has_only_controls(std::string(size, '\xff') + "\x7f", 1));
  }
}

TEST_CASE("a newline is found in its place, and none beyond the end") {
  const std::string text(40, 'x');
  for (std::size_t size = 0; size <= text.size(); ++size) {
    std::vector<char> line(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    const char* const begin = line.data();
    CHECK(detail::skip_past_newline(begin, begin + size) == nullptr);
    for (std::size_t at = 0; at < size; ++at) {
      line[at] = '\n';
      CHECK(detail::skip_past_newline(begin, begin + size) == begin + at + 1);
      line[at] = 'x';
    }
  }
}

TEST_CASE("only letters are the same in another case") {
  const auto lower = [](int c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; };
  for (const std::size_t size : {1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 15U, 16U, 17U, 24U}) {
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
      std::size_t wrong = 0;
      std::vector<char> a(size, '-');
      std::vector<char> b(size, '-');
      for (int x = 0; x < 256; ++x) {
        for (int y = 0; y < 256; ++y) {
          a[at] = static_cast<char>(x);
          b[at] = static_cast<char>(y);
          const bool is_same = equals_ignoring_case({a.data(), size}, {b.data(), size});
          if (is_same != (lower(x) == lower(y))) ++wrong;
        }
      }
      CHECK(wrong == 0);
    }
  }
  CHECK(equals_ignoring_case("", ""));
  CHECK_FALSE(equals_ignoring_case("a", "ab"));
}

}  // namespace
}  // namespace consort::http1
