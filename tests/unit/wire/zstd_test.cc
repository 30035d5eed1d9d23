#include "wire/zstd.hpp"

#include <doctest/doctest.h>
#include <zstd.h>

#include <string>

using namespace consort;

namespace {

std::string frame_of(std::string_view text) {
  std::string out;
  make_zstd_compressor(1)->add(text, out);
  return out;
}

std::string text_of_size(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "line " + std::to_string(text.size()) + "\n";
  text.resize(size);
  return text;
}

Errc refusal(std::string_view frames, std::size_t bytes_max = 1'000'000) {
  const Result<std::string> text = unzstd(frames, bytes_max);
  REQUIRE_FALSE(text);
  return text.error().code();
}

}  // namespace

TEST_CASE("frames one after the other are one text, and skippable frames are skipped") {
  const std::string skippable = std::string("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
  CHECK(unzstd(frame_of("a") + frame_of("") + skippable + frame_of("b"), 2) == "ab");
}

TEST_CASE("a frame that is cut off anywhere is refused") {
  const std::string frames = frame_of(text_of_size(500)) + frame_of("more");
  const std::size_t first = frame_of(text_of_size(500)).size();
  for (std::size_t size = 0; size < frames.size(); ++size) {
    if (size == first) continue;
    REQUIRE(refusal(std::string_view(frames).substr(0, size)) == Errc::protocol);
  }
}

TEST_CASE("a frame with a flipped bit is refused or gives the same text") {
  const std::string text = text_of_size(400);
  std::string frame = frame_of(text);
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    const auto flip = static_cast<char>(1 << bit % 8);
    frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ flip);
    const Result<std::string> unpacked = unzstd(frame, 1'000'000);
    if (unpacked) REQUIRE(*unpacked == text);
    frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ flip);
  }
}

TEST_CASE("what is behind the last frame and no frame is refused with its place") {
  const std::string frame = frame_of("text");
  const Result<std::string> text = unzstd(frame + "garbage", 100);
  REQUIRE_FALSE(text);
  CHECK(text.error().code() == Errc::protocol);
  CHECK(text.error().message().find("byte " + std::to_string(frame.size())) != std::string::npos);
  CHECK(refusal("plain text, not zstd") == Errc::protocol);
  CHECK(refusal(frame + std::string(8, '\0')) == Errc::protocol);
}

TEST_CASE("no more is unpacked than allowed") {
  const std::string text = text_of_size(300'000);
  const std::string frame = frame_of(text);
  CHECK(unzstd(frame, text.size()) == text);
  CHECK(refusal(frame, text.size() - 1) == Errc::limit);
  CHECK(refusal(frame, 0) == Errc::limit);
  CHECK(unzstd(frame_of(""), 0) == "");
  CHECK(refusal(frame_of(std::string(100'000'000, 'x')), 1000) == Errc::limit);
}

TEST_CASE("a window that would need much memory is refused before it is made") {
  // RFC 8878, 3.1.1.1: magic, descriptor (checksum), window of 2^(10 + 20) bytes, an empty block.
  const std::string frame = std::string("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", 9);
  CHECK(refusal(frame) == Errc::limit);
}
