// Fuzzes the entries of the state on disk: whatever they are, applying them changes all that an
// entry says or nothing, an entry has one encoding, and what has been applied survives a snapshot.
//
// The input is a list of entries, each after two bytes of its length (little-endian). The beginning
// is there already.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "roles/logsaver/state/ledger.hpp"
#include "roles/logsaver/state/ledger_codec.hpp"

namespace {

using namespace consort;
using namespace consort::logsaver;

constexpr std::size_t kEntriesMax = 200;

void expect(bool holds) {
  if (!holds) std::abort();
}

Ledger replay(const std::vector<std::string>& entries) {
  Ledger ledger;
  for (const std::string& entry : entries) expect(ledger.apply(entry).has_value());
  return ledger;
}

void apply(Ledger& ledger, std::string_view entry) {
  Result<entry::Any> decoded = decode(entry);
  if (decoded) expect(encode(std::move(*decoded)) == entry);
  const Ledger before = ledger;
  if (!ledger.apply(entry)) {
    expect(ledger == before);
    return;
  }
  expect(decoded.has_value());
  for (const SinkLedger& sink : ledger.sinks()) {
    expect(sink.open.size() < sink.next_number);
    for (const auto& [tail, progress] : sink.settled) {
      expect(ledger.tails().contains(tail) && progress.offset <= sink.planned.at(tail).offset);
    }
    for (const auto& [tail, extents] : sink.promised) expect(ledger.is_promised(tail));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Ledger ledger;
  expect(ledger.apply(*ledger.begin(1)).has_value());
  for (std::size_t count = 0; size >= 2 && count < kEntriesMax; ++count) {
    const std::size_t wanted = data[0] + std::size_t{data[1]} * 256;
    data += 2;
    size -= 2;
    const std::size_t length = wanted < size ? wanted : size;
    // An allocation of exactly the entry's size, so that one byte too far is seen.
    const auto bytes = std::make_unique<char[]>(length);
    if (length > 0) std::memcpy(bytes.get(), data, length);
    apply(ledger, {bytes.get(), length});
    data += length;
    size -= length;
  }
  expect(replay(ledger.snapshot()) == ledger);
  return 0;
}
