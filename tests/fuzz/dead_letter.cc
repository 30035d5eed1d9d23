// Fuzzes the dead letters' lines: whatever stands in their files, reading stays within the line,
// and what was read is written and read again unchanged. Of any record that a letter is written of,
// the very same comes back, but for bytes that are no UTF-8; and the line is one line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "roles/logsaver/deliver/dead_letters.hpp"

namespace {

namespace logsaver = consort::logsaver;

constexpr std::int64_t kNowMs = 1'714'565'045'123;

/// As JSON can hold it.
std::string as_utf8(std::string_view text) {
  std::string made;
  while (!text.empty()) {
    const std::size_t bytes = consort::utf8_character_bytes(text);
    made += bytes == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, bytes);
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return made;
}

void check_written(std::string_view sink, const logsaver::Rejection& rejection) {
  const std::string line = logsaver::write_letter(kNowMs, sink, rejection);
  CHECK(line.find('\n') == line.npos);
  const auto letter = logsaver::read_letter(line);
  CHECK(letter);
  CHECK(letter->sink == as_utf8(sink));
  CHECK(letter->record == as_utf8(rejection.record));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto letter = logsaver::read_letter(text)) {
    check_written(letter->sink, {.record = letter->record, .reason = "again"});
  }
  // A sink and a record, with a line end between them: neither is special for a letter.
  const std::size_t end = std::min(text.find('\n'), text.size());
  check_written(text.substr(0, end), {.record = std::string(text.substr(end)),
                                      .reason = std::string(text.substr(0, end))});
  return 0;
}
