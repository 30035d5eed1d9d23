// Fuzzes the lines of CRI and the times in them: what is taken is what the format says of the same
// bytes, times come back as they were printed, and no byte outside the line is read.
//
// The input is one line.
#include "wire/cri.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "wire/rfc3339.hpp"

namespace {

using consort::CriLine;

/// The words before a blank; the rest stays in `text`.
std::optional<std::string_view> take_word(std::string_view& text) {
  const std::size_t blank = text.find(' ');
  if (blank == text.npos) return std::nullopt;
  const std::string_view word = text.substr(0, blank);
  text.remove_prefix(blank + 1);
  return word;
}

/// The format word by word, without regard to time.
std::optional<CriLine> parse_by_words(std::string_view line) {
  const auto time = take_word(line);
  const auto stream = take_word(line);
  const auto tags = take_word(line);
  if (!time || !stream || !tags || tags->empty() || tags->size() > 64) return std::nullopt;
  const auto time_ns = consort::parse_rfc3339_ns(*time);
  if (!time_ns || (*stream != "stdout" && *stream != "stderr")) return std::nullopt;
  return CriLine{.text = line,
                 .time_ns = *time_ns,
                 .stream = *stream == "stdout" ? consort::LogStream::out : consort::LogStream::err,
                 .is_partial = tags->substr(0, tags->find(':')) == "P"};
}

void check_time(std::string_view text) {
  const auto time_ns = consort::parse_rfc3339_ns(text);
  if (!time_ns) return;
  std::string printed;
  consort::append_rfc3339_ns(printed, *time_ns);
  CHECK(printed.size() == consort::kRfc3339Bytes);
  CHECK(consort::parse_rfc3339_ns(printed) == time_ns || printed.starts_with("1677") ||
        printed.starts_with("2262"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory of exactly its size, so that one byte too far is seen.
  const auto bytes = std::make_unique<char[]>(size);
  std::copy(data, data + size, bytes.get());
  const std::string_view line(bytes.get(), size);
  const auto parsed = consort::parse_cri(line);
  const auto expected = parse_by_words(line);
  CHECK(parsed.has_value() == expected.has_value());
  if (parsed) {
    CHECK(parsed->text.data() == expected->text.data() &&
          parsed->text.size() == expected->text.size());
    CHECK(parsed->time_ns == expected->time_ns);
    CHECK(parsed->stream == expected->stream);
    CHECK(parsed->is_partial == expected->is_partial);
  }
  check_time(line);
  check_time(line.substr(0, line.find(' ')));
  return 0;
}
