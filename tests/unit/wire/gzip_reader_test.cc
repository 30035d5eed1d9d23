#include "wire/gzip_reader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/random.hpp"
#include "wire/gzip.hpp"

using namespace consort;

namespace {

std::string member_of(std::string_view text) {
  std::string out;
  make_gzip_compressor(1)->add(text, out);
  return out;
}

std::string text_of_size(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "line " + std::to_string(text.size()) + "\n";
  text.resize(size);
  return text;
}

/// What a reader gave, and how it ended: "" for well.
struct Outcome {
  std::string text;
  std::string error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Reads with pieces of random sizes, or at once without `sizes`.
Outcome read_all(std::string_view input, Random* sizes = nullptr) {
  GzipReader reader;
  Outcome outcome;
  std::string buffer(sizes == nullptr ? 100'000 : 7, '\0');
  while (!input.empty()) {
    const std::size_t all = input.size();
    const std::size_t size = sizes == nullptr ? all : std::min(all, 1 + sizes->below(9));
    std::string_view piece = input.substr(0, size);
    input.remove_prefix(size);
    while (true) {
      const std::size_t room = sizes == nullptr ? buffer.size() : 1 + sizes->below(buffer.size());
      const Result<std::size_t> got = reader.read(piece, std::span(buffer.data(), room));
      if (!got) {
        REQUIRE(got.error().code() == Errc::protocol);
        REQUIRE_FALSE(reader.at_end());
        // It stays so.
        REQUIRE_FALSE(reader.read(piece, std::span(buffer.data(), room)));
        REQUIRE(reader.finish().error().text() == got.error().text());
        outcome.error = got.error().message();
        return outcome;
      }
      if (*got == 0) break;
      outcome.text.append(buffer.data(), *got);
    }
    REQUIRE(piece.empty());
  }
  REQUIRE(reader.uncompressed_offset() == outcome.text.size());
  const Result<> whole = reader.finish();
  REQUIRE(whole.has_value() == reader.at_end());
  if (!whole) outcome.error = whole.error().message();
  return outcome;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a member as gzip writes it, with name and time, is read") {
  // printf 'hello\n' > a.log; gzip -9 a.log
  const std::string with_name(
      "\x1f\x8b\x08\x08\x80\x43\x6d\x38\x02\x03"
      "a.log\0"
      "\xcb\x48\xcd\xc9\xc9\xe7\x02\x00\x20\x30\x3a\x36\x06\x00\x00\x00",
      32);
  CHECK(read_all(with_name) == Outcome{"hello\n", ""});
  // The same with an extra field and a comment (RFC 1952, 2.3.1).
  const std::string with_all(
      "\x1f\x8b\x08\x1c\x00\x00\x00\x00\x00\xff"
      "\x04\x00"
      "ab\x00\x00"
      "a.log\0"
      "note\0"
      "\xcb\x48\xcd\xc9\xc9\xe7\x02\x00\x20\x30\x3a\x36\x06\x00\x00\x00",
      43);
  Random sizes(1);
  CHECK(read_all(with_all) == Outcome{"hello\n", ""});
  CHECK(read_all(with_all, &sizes) == Outcome{"hello\n", ""});
}

TEST_CASE("members one after the other are one text, however the input is cut") {
  const std::string text = text_of_size(40'000);
  const std::string_view all = text;
  const std::string input = member_of(all.substr(0, 10)) + member_of("") +
                            member_of(all.substr(10, 35'000)) + member_of(all.substr(35'010)) +
                            member_of("");
  CHECK(read_all(input) == Outcome{text, ""});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random sizes(seed);
    REQUIRE(read_all(input, &sizes) == Outcome{text, ""});
  }
}

TEST_CASE("an input that is cut off gives what was there, and says that it is not all") {
  const std::string first = member_of("first\n");
  const std::string text = "first\n" + text_of_size(300);
  const std::string input = first + member_of(text_of_size(300));
  for (std::size_t size = 0; size < input.size(); ++size) {
    CAPTURE(size);
    const Outcome outcome = read_all(std::string_view(input).substr(0, size));
    REQUIRE(text.starts_with(outcome.text));
    if (size == first.size()) {
      REQUIRE(outcome == Outcome{"first\n", ""});
    } else if (size == 0) {
      REQUIRE(contains(outcome.error, "empty"));
    } else {
      REQUIRE(contains(outcome.error, "cut off at byte " + std::to_string(size)));
    }
  }
}

TEST_CASE("an input that was cut off goes on when the rest comes") {
  const std::string input = member_of("some text that was not all written");
  const std::string_view all = input;
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    GzipReader reader;
    std::string text;
    char buffer[100];
    for (std::string_view piece : {all.substr(0, cut), all.substr(cut)}) {
      const Result<std::size_t> size = reader.read(piece, buffer);
      REQUIRE(size.has_value());
      text.append(buffer, *size);
      REQUIRE(reader.finish().has_value() == (piece.data() == all.data() + all.size()));
    }
    REQUIRE(text == "some text that was not all written");
    REQUIRE(reader.compressed_offset() == input.size());
  }
}

TEST_CASE("a flipped bit is seen, or changes nothing that is text") {
  const std::string text = text_of_size(400);
  std::string input = member_of(text);
  for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
    const auto flip = static_cast<char>(1 << bit % 8);
    input[bit / 8] = static_cast<char>(input[bit / 8] ^ flip);
    const Outcome outcome = read_all(input);
    // Of the header only time, level and operating system are free.
    const bool is_free = bit / 8 >= 4 && bit / 8 < 10;
    CAPTURE(bit);
    if (is_free) REQUIRE(outcome == Outcome{text, ""});
    if (outcome.error.empty()) REQUIRE(outcome.text == text);
    input[bit / 8] = static_cast<char>(input[bit / 8] ^ flip);
  }
}

TEST_CASE("the text before a damaged place is given, and the place is named") {
  const std::string first = member_of("first\n");
  std::string second = member_of("second\n");
  second[second.size() - 8] ^= 1;  // of the checksum
  const Outcome outcome = read_all(first + second);
  CHECK(outcome.text == "first\nsecond\n");
  CHECK(contains(outcome.error, "the member at byte " + std::to_string(first.size())));
  CHECK(contains(outcome.error, "incorrect data check"));
  Random sizes(1);
  CHECK(read_all(first + second, &sizes).text == "first\nsecond\n");
}

TEST_CASE("zeros may follow the last member, and nothing may follow zeros") {
  const std::string member = member_of("text");
  const std::string zeros(1000, '\0');
  const std::string place = "at byte " + std::to_string(member.size() + zeros.size());
  Random sizes(1);
  for (Random* cut : {static_cast<Random*>(nullptr), &sizes}) {
    CHECK(read_all(member + zeros, cut) == Outcome{"text", ""});
    CHECK(read_all(member + std::string(1, '\0'), cut) == Outcome{"text", ""});
    for (const std::string& rest : {std::string("x"), member}) {
      const Outcome outcome = read_all(member + zeros + rest, cut);
      CHECK(outcome.text == "text");
      CHECK(contains(outcome.error, "garbage"));
      CHECK(contains(outcome.error, place));
    }
  }
}

TEST_CASE("what is behind a member and no member is refused") {
  const std::string member = member_of("text");
  const Outcome outcome = read_all(member + "garbage");
  CHECK(outcome.text == "text");
  CHECK(contains(outcome.error,
                 "garbage behind the last member, at byte " + std::to_string(member.size())));
  CHECK(contains(read_all(member + "\x1f" + "garbage").error, "incorrect header check"));
  CHECK(contains(read_all(member + "\x1f").error, "cut off"));
}

TEST_CASE("what is not gzip is refused at its first byte") {
  for (const std::string& input :
       {std::string("plain text"), std::string(10, '\0'), std::string("\x28\xb5\x2f\xfd", 4),
        std::string("\x78\x9c", 2)}) {
    const Outcome outcome = read_all(input);
    CHECK(outcome.text == "");
    CHECK(contains(outcome.error, "not gzip"));
  }
  CHECK(contains(read_all("\x1f\x9d lzw").error, "incorrect header check"));
}

TEST_CASE("skipping leads to any offset") {
  const std::string text = text_of_size(60'000);
  const std::string_view all = text;
  const std::string input = member_of(all.substr(0, 25'000)) + member_of(all.substr(25'000));
  for (const std::size_t offset : {0UL, 1UL, 16'384UL, 24'999UL, 25'000UL, 25'001UL, 60'000UL}) {
    CAPTURE(offset);
    GzipReader reader;
    std::uint64_t skipped = 0;
    std::string rest;
    std::string buffer(1000, '\0');
    for (std::size_t at = 0; at < input.size(); at += 100) {
      std::string_view piece = std::string_view(input).substr(at, 100);
      while (skipped < offset) {
        const Result<std::uint64_t> more = reader.skip(piece, offset - skipped);
        REQUIRE(more.has_value());
        if (*more == 0) break;
        skipped += *more;
      }
      while (skipped == offset) {
        const Result<std::size_t> size = reader.read(piece, buffer);
        REQUIRE(size.has_value());
        if (*size == 0) break;
        rest.append(buffer.data(), *size);
      }
    }
    REQUIRE(skipped == offset);
    REQUIRE(reader.finish().has_value());
    REQUIRE(rest == all.substr(offset));
    REQUIRE(reader.uncompressed_offset() == text.size());
  }
}

TEST_CASE("skipping stops where the text does, and at damage") {
  GzipReader reader;
  const std::string good = member_of("0123456789");
  std::string_view input = good;
  CHECK(reader.skip(input, 1000) == 10U);
  CHECK(input.empty());
  CHECK(reader.at_end());
  CHECK(reader.skip(input, 1000) == 0U);
  input = "garbage";
  CHECK(reader.skip(input, 0) == 0U);
  CHECK_FALSE(reader.skip(input, 1));

  GzipReader other;
  const std::string damaged = good + "garbage";
  input = damaged;
  CHECK(other.skip(input, 1000) == 10U);
  CHECK_FALSE(other.skip(input, 1000));
}

TEST_CASE("a reader may be moved in the middle of a member") {
  const std::string text = text_of_size(5000);
  const std::string member = member_of(text);
  std::string_view input = member;
  std::string buffer(text.size(), '\0');
  GzipReader first;
  REQUIRE(first.read(input, std::span(buffer.data(), 1000)) == 1000U);
  GzipReader second = std::move(first);
  REQUIRE(second.read(input, std::span(buffer.data() + 1000, 3999)) == 3999U);
  CHECK_FALSE(second.at_end());
  REQUIRE(second.read(input, std::span(buffer.data() + 4999, 1)) == 1U);
  CHECK(second.read(input, std::span(buffer.data(), 1)) == 0U);
  CHECK(buffer == text);
  CHECK(second.at_end());
}

TEST_CASE("gunzip of all at once unpacks no more than allowed") {
  const std::string text = text_of_size(200'000);
  const std::string input = member_of(text) + member_of("");
  CHECK(gunzip(input, text.size()) == text);
  CHECK(gunzip(input, text.size() - 1).error().code() == Errc::limit);
  CHECK(gunzip(member_of(std::string(4'000'000, 'x')), 1000).error().code() == Errc::limit);
  CHECK(gunzip(member_of(""), 0) == "");
  CHECK(gunzip("", 100).error().code() == Errc::protocol);
  CHECK(gunzip("x", 100).error().code() == Errc::protocol);
  CHECK(gunzip(std::string_view(input).substr(0, 50), 1000).error().code() == Errc::protocol);
}
