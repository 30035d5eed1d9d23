#include "roles/logsaver/state/ledger.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.hpp"
#include "roles/logsaver/state/ledger_codec.hpp"

namespace consort::logsaver {

namespace {

auto wrong(std::string text) {
  return fail(Errc::io, std::move(text));
}
auto too_much(std::string text) {
  return fail(Errc::limit, std::move(text));
}
std::string named(std::string what, std::uint64_t number) {
  return std::move(what) + " " + std::to_string(number);
}

/// No file of ours has larger ids or numbers, which leaves room to count on.
constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 62;

std::uint64_t offset_in(const std::map<TailId, Progress>& all, TailId tail) {
  const auto found = all.find(tail);
  return found == all.end() ? 0 : found->second.offset;
}

}  // namespace

/// Says why an entry cannot be applied, and changes nothing.
struct Ledger::Check {
  const Ledger& ledger;

  Result<> operator()(const entry::Begun& /*entry*/) const { return {}; }

  Result<> operator()(const entry::SinkAdded& entry) const {
    if (entry.name.empty()) return wrong("a sink without a name");
    if (entry.name.size() > kMaxSinkNameBytes) return too_much("a sink's name is too long");
    if (ledger.sinks_.size() >= kMaxSinks) return too_much(named("more sinks than", kMaxSinks));
    if (ledger.find_sink(entry.name)) return wrong("sink " + entry.name + " twice");
    return {};
  }

  Result<> operator()(const entry::TailPut& entry) const {
    const TailRecord& record = entry.record;
    if (record.path.size() > kMaxPathBytes || record.origin.size() > kMaxPathBytes) {
      return too_much("the path of a file is too long: " + record.path.substr(0, 100) + "...");
    }
    if (record.head.length > kHeadCheckBytes) return wrong("a tail with too long a head");
    if (ledger.tails_.contains(record.id)) return {};
    if (record.id <= ledger.last_tail_id_ || record.id > kMaxNumber) {
      return wrong(named("an id that is not a new one: tail", record.id));
    }
    if (ledger.tails_.size() >= kMaxTails) return too_much(named("more files than", kMaxTails));
    return {};
  }

  Result<> operator()(const entry::TailForgotten& entry) const {
    if (auto known = tail(entry.id); !known) return known;
    if (ledger.is_promised(entry.id)) return wrong(named("open intents have tail", entry.id));
    return {};
  }

  Result<> operator()(const entry::Skipped& entry) const {
    if (auto known = place(entry.sink, entry.tail); !known) return known;
    if (entry.progress.check.length > kEndCheckBytes) return wrong("too long a check");
    if (entry.progress.offset < offset_in(ledger.sinks_[entry.sink].planned, entry.tail)) {
      return wrong(named("a skip back in tail", entry.tail));
    }
    return {};
  }

  Result<> operator()(const entry::Planned& entry) const {
    if (auto next = numbered(entry.sink, entry.intent); !next) return next;
    std::map<TailId, std::uint64_t> planned;
    for (const Extent& extent : entry.intent.extents) {
      if (auto possible = bounded(extent); !possible) return possible;
      const std::uint64_t before = offset_in(ledger.sinks_[entry.sink].planned, extent.tail);
      std::uint64_t& end = planned.emplace(extent.tail, before).first->second;
      if (extent.start != end) {
        return wrong(
            named("an extent that does not begin where those before end: tail", extent.tail));
      }
      end = extent.end;
    }
    return {};
  }

  Result<> operator()(const entry::Acknowledged& entry) const {
    if (auto known = sink(entry.sink); !known) return known;
    const SinkLedger& sink = ledger.sinks_[entry.sink];
    if (!sink.open.contains(entry.number) || sink.acknowledged.contains(entry.number)) {
      return wrong(named("an acknowledgement that nothing waits for: batch", entry.number));
    }
    return {};
  }

  Result<> operator()(const entry::Manifested& entry) const {
    if (entry.manifest == ManifestHash{}) return wrong("a manifest without a hash");
    return (*this)(entry::Acknowledged{entry.sink, entry.number});
  }

  Result<> operator()(const entry::ChainKept& entry) const {
    if (auto known = sink(entry.sink); !known) return known;
    if (entry.chain == ManifestHash{} || !ledger.sinks_[entry.sink].open.empty()) {
      return wrong("a chain of manifests that begins in its middle");
    }
    return {};
  }

  Result<> operator()(const entry::TailsGiven& entry) const {
    if (entry.last < ledger.last_tail_id_ || entry.last > kMaxNumber) {
      return wrong("ids of tails that go back");
    }
    return {};
  }

  Result<> operator()(const entry::SinkNumbered& entry) const {
    if (auto known = sink(entry.sink); !known) return known;
    const SinkLedger& sink = ledger.sinks_[entry.sink];
    if (!sink.open.empty() || entry.next < sink.next_number || entry.next > kMaxNumber) {
      return wrong("numbers of batches that go back");
    }
    return {};
  }

  Result<> operator()(const entry::ProgressKept& entry) const {
    if (auto known = place(entry.sink, entry.tail); !known) return known;
    const SinkLedger& sink = ledger.sinks_[entry.sink];
    if (!sink.open.empty() || sink.planned.contains(entry.tail)) {
      return wrong(named("progress twice: tail", entry.tail));
    }
    if (entry.settled && entry.settled->offset > entry.planned.offset) {
      return wrong(named("more is settled than planned: tail", entry.tail));
    }
    return {};
  }

  Result<> operator()(const entry::IntentKept& entry) const {
    if (auto next = numbered(entry.sink, entry.intent); !next) return next;
    for (const Extent& extent : entry.intent.extents) {
      if (auto possible = bounded(extent); !possible) return possible;
      const auto& planned = ledger.sinks_[entry.sink].planned;
      if (!planned.contains(extent.tail) || extent.end > offset_in(planned, extent.tail)) {
        return wrong(named("an intent beyond what is planned: tail", extent.tail));
      }
    }
    return {};
  }

 private:
  Result<> sink(SinkIndex index) const {
    if (index < ledger.sinks_.size()) return {};
    return wrong(named("there is no sink", index));
  }
  Result<> tail(TailId id) const {
    if (ledger.tails_.contains(id)) return {};
    return wrong(named("there is no tail", id));
  }
  Result<> place(SinkIndex index, TailId id) const {
    if (auto known = sink(index); !known) return known;
    return tail(id);
  }
  Result<> numbered(SinkIndex index, const Intent& intent) const {
    if (auto known = sink(index); !known) return known;
    const SinkLedger& sink = ledger.sinks_[index];
    if (intent.number != sink.next_number) {
      return wrong(named("a number out of turn: batch", intent.number));
    }
    if (intent.extents.size() > kMaxExtents) {
      return too_much(named("a batch with more pieces than", kMaxExtents));
    }
    if (sink.open.size() >= kMaxOpenIntents) {
      return too_much(
          named("sink " + sink.name + ": more batches not acknowledged than", kMaxOpenIntents));
    }
    return {};
  }
  Result<> bounded(const Extent& extent) const {
    if (auto known = tail(extent.tail); !known) return known;
    if (extent.end < extent.start) return wrong("an extent that ends before it begins");
    if (extent.check.length > kEndCheckBytes) return wrong("too long a check");
    return {};
  }
};

/// Applies what Check has passed.
struct Ledger::Change {
  Ledger& ledger;

  void operator()(entry::Begun& entry) const {
    ledger.state_id_ = entry.state_id;
    ledger.has_begun_ = true;
  }
  void operator()(entry::SinkAdded& entry) const {
    ledger.sinks_.emplace_back().name = std::move(entry.name);
  }
  void operator()(entry::TailPut& entry) const {
    const TailId id = entry.record.id;
    ledger.last_tail_id_ = std::max(ledger.last_tail_id_, id);
    // New ids are the largest, so a snapshot is read back without searching.
    ledger.tails_.insert_or_assign(ledger.tails_.end(), id, std::move(entry.record));
  }
  void operator()(entry::TailForgotten& entry) const {
    ledger.tails_.erase(entry.id);
    for (SinkLedger& sink : ledger.sinks_) {
      sink.planned.erase(entry.id);
      sink.settled.erase(entry.id);
    }
  }
  void operator()(entry::Skipped& entry) const {
    SinkLedger& sink = ledger.sinks_[entry.sink];
    sink.planned[entry.tail] = entry.progress;
    if (!sink.promised.contains(entry.tail)) sink.settled[entry.tail] = entry.progress;
  }
  void operator()(entry::Planned& entry) const {
    SinkLedger& sink = ledger.sinks_[entry.sink];
    for (const Extent& extent : entry.intent.extents) {
      sink.planned[extent.tail] = {extent.end, extent.check};
    }
    open(sink, std::move(entry.intent));
  }
  void operator()(entry::Acknowledged& entry) const {
    SinkLedger& sink = ledger.sinks_[entry.sink];
    sink.acknowledged.insert(entry.number);
    while (!sink.open.empty() && sink.acknowledged.contains(sink.open.begin()->first)) {
      settle(sink, sink.open.begin()->second);
      const BatchNumber number = sink.open.begin()->first;
      if (const auto manifest = sink.manifests.find(number); manifest != sink.manifests.end()) {
        sink.chain = manifest->second;
        sink.manifests.erase(manifest);
      }
      sink.acknowledged.erase(number);
      sink.open.erase(sink.open.begin());
    }
  }
  void operator()(entry::Manifested& entry) const {
    ledger.sinks_[entry.sink].manifests.emplace(entry.number, entry.manifest);
    entry::Acknowledged acknowledged{entry.sink, entry.number};
    (*this)(acknowledged);
  }
  void operator()(entry::ChainKept& entry) const { ledger.sinks_[entry.sink].chain = entry.chain; }
  void operator()(entry::TailsGiven& entry) const { ledger.last_tail_id_ = entry.last; }
  void operator()(entry::SinkNumbered& entry) const {
    ledger.sinks_[entry.sink].next_number = entry.next;
  }
  void operator()(entry::ProgressKept& entry) const {
    SinkLedger& sink = ledger.sinks_[entry.sink];
    sink.planned.insert_or_assign(sink.planned.end(), entry.tail, entry.planned);
    if (entry.settled) {
      sink.settled.insert_or_assign(sink.settled.end(), entry.tail, *entry.settled);
    }
  }
  void operator()(entry::IntentKept& entry) const {
    open(ledger.sinks_[entry.sink], std::move(entry.intent));
  }

 private:
  static void open(SinkLedger& sink, Intent intent) {
    for (const Extent& extent : intent.extents) ++sink.promised[extent.tail];
    sink.next_number = intent.number + 1;
    sink.open.emplace_hint(sink.open.end(), intent.number, std::move(intent));
  }
  static void settle(SinkLedger& sink, const Intent& intent) {
    for (const Extent& extent : intent.extents) {
      const auto left = sink.promised.find(extent.tail);
      if (--left->second > 0) {
        Progress& settled = sink.settled[extent.tail];
        if (extent.end >= settled.offset) settled = {extent.end, extent.check};
        continue;
      }
      sink.promised.erase(left);
      // Also what was skipped behind the last extent.
      sink.settled[extent.tail] = sink.planned[extent.tail];
    }
  }
};

std::optional<SinkIndex> Ledger::find_sink(std::string_view name) const {
  const auto found = std::ranges::find(sinks_, name, &SinkLedger::name);
  if (found == sinks_.end()) return std::nullopt;
  return static_cast<SinkIndex>(found - sinks_.begin());
}

Result<std::string> Ledger::begin(std::uint64_t state_id) const {
  return make({entry::Begun{state_id}});
}

Result<std::string> Ledger::add_sink(std::string_view name) const {
  return make({entry::SinkAdded{std::string(name)}});
}

Result<std::string> Ledger::put_tail(TailRecord record) const {
  return make({entry::TailPut{std::move(record)}});
}

Result<std::string> Ledger::forget_tail(TailId id) const {
  return make({entry::TailForgotten{id}});
}

Result<std::string> Ledger::skip_to(SinkIndex sink, TailId tail, Progress progress) const {
  return make({entry::Skipped{sink, tail, progress}});
}

Result<std::string> Ledger::plan(SinkIndex sink, Intent intent) const {
  return make({entry::Planned{sink, std::move(intent)}});
}

Result<std::string> Ledger::acknowledge(SinkIndex sink, BatchNumber number,
                                        const ManifestHash& manifest) const {
  if (manifest != ManifestHash{}) return make({entry::Manifested{sink, number, manifest}});
  return make({entry::Acknowledged{sink, number}});
}

Result<std::string> Ledger::make(const entry::Any& entry) const {
  CHECK(has_begun_ != std::holds_alternative<entry::Begun>(entry.value));
  Result<> possible = std::visit(Check{*this}, entry.value);
  if (!possible && possible.error().code() == Errc::limit) {
    return fail(std::move(possible.error()));
  }
  CHECK(possible.has_value());
  return encode(entry);
}

Result<> Ledger::apply(std::string_view entry) {
  Result<entry::Any> decoded = decode(entry);
  if (!decoded) return fail(std::move(decoded.error()));
  if (has_begun_ == std::holds_alternative<entry::Begun>(decoded->value)) {
    return wrong(has_begun_ ? "a second beginning" : "an entry before the beginning");
  }
  if (auto possible = std::visit(Check{*this}, decoded->value); !possible) return possible;
  std::visit(Change{*this}, decoded->value);
  return {};
}

std::vector<std::string> Ledger::snapshot() const {
  std::vector<std::string> entries;
  if (!has_begun_) return entries;
  const auto add = [&entries](entry::Any entry) { entries.push_back(encode(std::move(entry))); };
  add({entry::Begun{state_id_}});
  for (const SinkLedger& sink : sinks_) add({entry::SinkAdded{sink.name}});
  for (const auto& [id, record] : tails_) add({entry::TailPut{record}});
  add({entry::TailsGiven{last_tail_id_}});
  for (SinkIndex index = 0; index < sinks_.size(); ++index) {
    const SinkLedger& sink = sinks_[index];
    add({entry::SinkNumbered{index, sink.next_number - sink.open.size()}});
    for (const auto& [tail, planned] : sink.planned) {
      entry::ProgressKept kept{index, tail, planned, std::nullopt};
      if (const auto settled = sink.settled.find(tail); settled != sink.settled.end()) {
        kept.settled = settled->second;
      }
      add({kept});
    }
    if (sink.chain != ManifestHash{}) add({entry::ChainKept{index, sink.chain}});
    for (const auto& [number, intent] : sink.open) add({entry::IntentKept{index, intent}});
    for (const BatchNumber number : sink.acknowledged) {
      const auto manifest = sink.manifests.find(number);
      if (manifest != sink.manifests.end()) {
        add({entry::Manifested{index, number, manifest->second}});
      } else {
        add({entry::Acknowledged{index, number}});
      }
    }
  }
  return entries;
}

bool Ledger::is_promised(TailId id) const {
  return std::ranges::any_of(sinks_,
                             [id](const SinkLedger& sink) { return sink.promised.contains(id); });
}

}  // namespace consort::logsaver
