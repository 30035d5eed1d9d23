// Fuzzes the way from bytes to records: any split of the bytes gives the same calls, readers that
// begin where nothing is open tell the same records, and of raw lines every byte comes back.
//
// The input: format (bits 0-1 of the first byte) and what is special about lines (the other bits);
// the kinds of multiline, one bit each; the limit, in an uneven scale; a seed; the bytes, in which
// 0xff ends a file.
#include "support/log_assembler.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/random.hpp"

namespace {

using namespace consort;
using namespace consort::test;
using logsaver::kMultilineKinds;
using logsaver::MultilineKind;
using Format = AssemblerRules::Format;

constexpr std::size_t kHeadBytes = 4;

AssemblerRules rules_of(const std::uint8_t* head) {
  AssemblerRules rules;
  constexpr Format kFormats[] = {Format::raw, Format::raw, Format::cri, Format::docker};
  rules.format = kFormats[head[0] & 3];
  rules.strip_cr = (head[0] & 4) == 0;
  if ((head[0] & 8) != 0) {
    rules.multiline.is_start = [](std::string_view line) { return line.starts_with('a'); };
  }
  for (std::size_t kind = 0; kind < kMultilineKinds; ++kind) {
    if ((head[1] >> kind & 1) != 0) {
      rules.multiline.kinds.push_back(static_cast<MultilineKind>(kind));
    }
  }
  const std::size_t limit = head[2];
  rules.record_bytes_max = limit < 128 ? limit + 1 : limit * limit;
  return rules;
}

/// Raw lines are told in their order, each byte once.
void check_bytes(const AssemblerReading& reading, const LogPieces& pieces) {
  std::string told;
  for (const AssemblerCall& call : reading.calls) told += call.text;
  std::string fed;
  for (const std::string& piece : pieces) fed += piece;
  const auto drop = [](std::string& text) {
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == '\0'; });
  };
  drop(told);
  drop(fed);
  CHECK(told == fed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Turns begin again and again; more bytes show nothing that fewer do not.
  constexpr std::size_t kBytesMax = 4096;
  if (size < kHeadBytes || size > kBytesMax) return 0;
  const AssemblerRules rules = rules_of(data);
  LogPieces pieces(1);
  for (std::size_t i = kHeadBytes; i < size; ++i) {
    if (data[i] == 0xff) {
      pieces.emplace_back();
    } else {
      pieces.back() += static_cast<char>(data[i]);
    }
  }
  const AssemblerReading whole = read_whole(rules, pieces);
  std::uint64_t cut = 0;
  for (const AssemblerCall& call : whole.calls) {
    CHECK(call.text.size() <= rules.record_bytes_max);
    cut += call.is_cut ? 1 : 0;
  }
  CHECK(cut == whole.counters.cut_records);
  Random random(data[3]);
  for (const std::size_t part_bytes_max : {7U, 300U}) {
    CHECK(read_split(rules, pieces, random, part_bytes_max) == whole);
  }
  const AssemblerReading turns = read_in_turns(rules, pieces, random, 100);
  CHECK(turns.calls == records_of(whole.calls));
  CHECK(turns.counters == whole.counters);
  if (rules.format == Format::raw) check_bytes(whole, pieces);
  return 0;
}
