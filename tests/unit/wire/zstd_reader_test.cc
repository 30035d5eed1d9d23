#include "wire/zstd_reader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "wire/compressor.hpp"

namespace consort {
namespace {

std::string frames(const std::string& text) {
  std::string out;
  const auto compressor = make_compressor(Coding::zstd);
  compressor->add(text.substr(0, text.size() / 3), out);
  compressor->add("", out);
  compressor->add(text.substr(text.size() / 3), out);
  return out;
}

/// All that it contains, read through a buffer of that size; "<error>" behind what was good.
std::string read_all(std::string_view bytes, std::size_t piece, std::size_t buffer_bytes) {
  ZstdReader reader;
  std::string text;
  std::vector<char> buffer(buffer_bytes);
  while (!bytes.empty()) {
    std::string_view input = bytes.substr(0, piece);
    bytes.remove_prefix(input.size());
    for (;;) {
      const Result<std::size_t> size = reader.read(input, buffer);
      if (!size) return text + "<error>";
      if (*size == 0) break;
      text.append(buffer.data(), *size);
    }
    CHECK(input.empty());
  }
  return reader.at_end() ? text : text + "<cut>";
}

std::string lines() {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += "line " + std::to_string(i * 7919) + "\n";
  return text;
}

TEST_CASE("frames are read whole, however they are cut and whatever room there is") {
  const std::string text = lines();
  const std::string bytes = frames(text);
  for (const std::size_t piece : {std::size_t{3}, std::size_t{4096}, bytes.size()}) {
    for (const std::size_t room : {std::size_t{100}, std::size_t{65536}, text.size() + 1}) {
      CHECK(read_all(bytes, piece, room) == text);
    }
  }
}

TEST_CASE("an end within a frame is not an end, and nothing at all is none either") {
  const std::string bytes = frames("some text");
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    const std::string got = read_all(std::string_view(bytes).substr(0, size), 7, 100);
    // Between the frames it could have been all.
    if (!got.ends_with("<cut>")) CHECK(got.size() < 9);
  }
  CHECK_FALSE(ZstdReader().at_end());
}

TEST_CASE("damage is an error for ever") {
  std::string bytes = frames(lines());
  bytes[bytes.size() - 1] = static_cast<char>(bytes.back() ^ 1);  // of the checksum
  CHECK(read_all(bytes, 4096, 4096).ends_with("<error>"));
  CHECK(read_all("no zstd at all", 100, 100) == "<error>");
  ZstdReader reader;
  std::vector<char> buffer(100);
  std::string_view bad = "no zstd at all";
  CHECK_FALSE(reader.read(bad, buffer));
  const std::string whole = frames("text");
  std::string_view good = whole;
  CHECK_FALSE(reader.read(good, buffer));
  CHECK_FALSE(reader.at_end());
}

}  // namespace
}  // namespace consort
