// Ledgers that live through random changes, for the tests of the state on disk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "roles/logsaver/state/ledger.hpp"

namespace consort::logsaver::test {

inline ContentCheck check_of(Random& random, std::uint32_t length_max) {
  return {.length = static_cast<std::uint32_t>(random.below(length_max + 1)),
          .hash = {.low = random.next(), .high = random.next()}};
}

inline TailRecord tail_of(TailId id, Random& random) {
  TailRecord record;
  record.id = id;
  record.identity = {.file_system = random.next(),
                     .inode = random.below(1'000'000),
                     .born_ns = static_cast<std::int64_t>(random.next()),
                     .generation = static_cast<std::uint32_t>(random.next())};
  record.base = random.below(3) == 0 ? random.below(1'000'000) : 0;
  record.head = check_of(random, kHeadCheckBytes);
  record.path = "/var/log/pods/app-" + std::to_string(random.below(100)) + "/0.log";
  record.origin = random.below(2) == 0 ? record.path : "/var/log/first.log";
  return record;
}

/// One of all, chosen evenly.
template <class Container>
auto any_of(const Container& all, Random& random) {
  return *std::next(all.begin(), static_cast<std::ptrdiff_t>(random.below(all.size())));
}

inline std::uint64_t planned_to(const SinkLedger& sink, TailId tail) {
  const auto found = sink.planned.find(tail);
  return found == sink.planned.end() ? 0 : found->second.offset;
}

inline Intent intent_of(const Ledger& ledger, SinkIndex index, Random& random) {
  const SinkLedger& sink = ledger.sinks()[index];
  Intent intent{.number = sink.next_number,
                .created_ms = static_cast<std::int64_t>(random.next()),
                .position = random.next(),
                .settings = random.next(),
                .extents = {}};
  std::map<TailId, std::uint64_t> ends;
  for (std::uint64_t left = random.below(4); left-- > 0 && !ledger.tails().empty();) {
    const TailId tail = any_of(ledger.tails(), random).first;
    const std::uint64_t start = ends.emplace(tail, planned_to(sink, tail)).first->second;
    const std::uint64_t end = start + random.below(100'000);
    ends[tail] = end;
    intent.extents.push_back({.tail = tail,
                              .start = start,
                              .end = end,
                              .continues = random.below(2) == 0,
                              .check = check_of(random, kEndCheckBytes)});
  }
  return intent;
}

/// Makes one change that is possible now. `target` has a Journal's functions.
template <class Target>
Result<> change(const Ledger& ledger, Target& target, Random& random) {
  const std::uint64_t what = random.below(20);
  if (ledger.sinks().empty() || (what == 0 && ledger.sinks().size() < 4)) {
    auto added = target.add_sink("sink " + std::to_string(ledger.sinks().size()));
    if (!added) return fail(std::move(added.error()));
    return {};
  }
  if (ledger.tails().empty() || what < 3) {
    return target.put_tail(tail_of(ledger.next_tail_id() + random.below(2), random));
  }
  const auto index = static_cast<SinkIndex>(random.below(ledger.sinks().size()));
  const SinkLedger& sink = ledger.sinks()[index];
  const TailId tail = any_of(ledger.tails(), random).first;
  if (what < 5) return target.put_tail(tail_of(tail, random));
  if (what < 7 && !ledger.is_promised(tail)) return target.forget_tail(tail);
  if (what < 9) {
    const Progress progress{.offset = planned_to(sink, tail) + random.below(1'000),
                            .check = check_of(random, kEndCheckBytes)};
    return target.skip_to(index, tail, progress);
  }
  if (what < 14 || sink.open.size() == sink.acknowledged.size()) {
    return target.plan(index, intent_of(ledger, index, random));
  }
  // Any of those that wait, so that later ones are acknowledged before earlier ones.
  std::vector<BatchNumber> waiting;
  for (const auto& [number, intent] : sink.open) {
    if (!sink.acknowledged.contains(number)) waiting.push_back(number);
  }
  ManifestHash manifest{};
  if (random.below(2) == 0) manifest.fill(static_cast<std::uint8_t>(1 + random.below(255)));
  return target.acknowledge(index, any_of(waiting, random), manifest);
}

/// A ledger and the entries that made it.
struct Recorder {
  Recorder() { add(ledger.begin(7)); }

  Result<SinkIndex> add_sink(const std::string& name) {
    add(ledger.add_sink(name));
    return static_cast<SinkIndex>(ledger.sinks().size() - 1);
  }
  Result<> put_tail(TailRecord record) { return add(ledger.put_tail(std::move(record))); }
  Result<> forget_tail(TailId id) { return add(ledger.forget_tail(id)); }
  Result<> skip_to(SinkIndex sink, TailId tail, Progress progress) {
    return add(ledger.skip_to(sink, tail, progress));
  }
  Result<> plan(SinkIndex sink, Intent intent) { return add(ledger.plan(sink, std::move(intent))); }
  Result<> acknowledge(SinkIndex sink, BatchNumber number, const ManifestHash& manifest = {}) {
    return add(ledger.acknowledge(sink, number, manifest));
  }
  Result<> add(Result<std::string> entry) {
    if (!entry) return fail(std::move(entry.error()));
    entries.push_back(*entry);
    return ledger.apply(*entry);
  }

  Ledger ledger;
  std::vector<std::string> entries;
};

/// What the entries make; an empty ledger when one of them is refused.
inline Ledger replay(const std::vector<std::string>& entries) {
  Ledger ledger;
  for (const std::string& entry : entries) {
    if (!ledger.apply(entry)) return {};
  }
  return ledger;
}

}  // namespace consort::logsaver::test
