#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/random.hpp"
#include "roles/logsaver/state/ledger.hpp"
#include "roles/logsaver/state/ledger_codec.hpp"
#include "unit/roles/logsaver_state_support.hpp"

using namespace consort;
using namespace consort::logsaver;
using namespace consort::logsaver::test;

namespace {

TailRecord tail(TailId id) {
  TailRecord record;
  record.id = id;
  record.path = record.origin = "/var/log/a.log";
  return record;
}

Extent extent(TailId tail, std::uint64_t start, std::uint64_t end) {
  return {.tail = tail, .start = start, .end = end, .continues = false, .check = {}};
}

Intent intent(BatchNumber number, std::vector<Extent> extents) {
  return {.number = number,
          .created_ms = 1'700'000'000'000,
          .position = 0,
          .settings = 0,
          .extents = std::move(extents)};
}

/// One sink and two tails, 1 and 2.
struct Following : Recorder {
  Following() {
    REQUIRE(add_sink("file"));
    REQUIRE(put_tail(tail(1)));
    REQUIRE(put_tail(tail(2)));
  }
  const SinkLedger& sink() const { return ledger.sinks()[0]; }
  std::uint64_t settled(TailId id) const {
    const auto found = sink().settled.find(id);
    return found == sink().settled.end() ? 0 : found->second.offset;
  }
};

/// What apply() says to an entry that somebody made up.
std::string refusal(Ledger ledger, entry::Any made_up) {
  const Ledger before = ledger;
  auto applied = ledger.apply(encode(std::move(made_up)));
  REQUIRE_FALSE(applied);
  CHECK(ledger == before);
  return applied.error().text();
}

}  // namespace

TEST_CASE("a batch that is acknowledged early settles with those before it") {
  Following all;
  REQUIRE(all.plan(0, intent(1, {extent(1, 0, 100)})));
  REQUIRE(all.plan(0, intent(2, {extent(1, 100, 150), extent(2, 0, 10)})));
  REQUIRE(all.plan(0, intent(3, {extent(1, 150, 170)})));
  REQUIRE(all.acknowledge(0, 2));
  CHECK(all.settled(1) == 0);
  CHECK(all.settled(2) == 0);
  CHECK(all.sink().open.size() == 3);
  REQUIRE(all.acknowledge(0, 1));
  CHECK(all.settled(1) == 150);
  CHECK(all.settled(2) == 10);
  CHECK(all.sink().open.size() == 1);
  CHECK(all.sink().acknowledged.empty());
  CHECK(all.sink().planned.at(1).offset == 170);
  REQUIRE(all.acknowledge(0, 3));
  CHECK(all.settled(1) == 170);
  CHECK(all.sink().open.empty());
  CHECK(all.sink().promised.empty());
}

TEST_CASE("the chain of manifests is that of the last batch of the unbroken run") {
  const auto hash = [](std::uint8_t byte) {
    ManifestHash made{};
    made.fill(byte);
    return made;
  };
  Following all;
  for (BatchNumber number = 1; number <= 4; ++number) {
    REQUIRE(all.plan(0, intent(number, {extent(1, 10 * number - 10, 10 * number)})));
  }
  CHECK(all.sink().chain == ManifestHash{});
  REQUIRE(all.acknowledge(0, 3, hash(3)));
  REQUIRE(all.acknowledge(0, 2, hash(2)));
  CHECK(all.sink().chain == ManifestHash{});
  CHECK(all.sink().manifests.size() == 2);
  // A restart, compacted or not, knows them.
  CHECK(replay(all.entries) == all.ledger);
  CHECK(replay(all.ledger.snapshot()) == all.ledger);
  REQUIRE(all.acknowledge(0, 1, hash(1)));
  CHECK(all.sink().chain == hash(3));
  CHECK(all.sink().manifests.empty());
  // What was given up without a manifest leaves the chain as it is.
  REQUIRE(all.acknowledge(0, 4));
  CHECK(all.sink().chain == hash(3));
  CHECK(replay(all.ledger.snapshot()) == all.ledger);
}

TEST_CASE("a manifest without a hash is refused, and so is a chain behind open batches") {
  Following all;
  REQUIRE(all.plan(0, intent(1, {extent(1, 0, 10)})));
  CHECK_FALSE(refusal(all.ledger, {entry::Manifested{0, 1, {}}}).empty());
  ManifestHash hash{};
  hash[31] = 1;
  CHECK(refusal(all.ledger, {entry::Manifested{0, 2, hash}}) ==
        "an acknowledgement that nothing waits for: batch 2");
  CHECK_FALSE(refusal(all.ledger, {entry::ChainKept{0, hash}}).empty());
  REQUIRE(all.acknowledge(0, 1, hash));
  CHECK_FALSE(refusal(all.ledger, {entry::ChainKept{0, {}}}).empty());
}

TEST_CASE("a tail that is in a batch twice settles at the end of its last piece") {
  Following all;
  REQUIRE(all.plan(0, intent(1, {extent(1, 0, 5), extent(2, 0, 3), extent(1, 5, 9)})));
  REQUIRE(all.acknowledge(0, 1));
  CHECK(all.settled(1) == 9);
  CHECK(all.settled(2) == 3);
}

TEST_CASE("what is skipped behind open batches settles with the last of them") {
  Following all;
  REQUIRE(all.plan(0, intent(1, {extent(1, 0, 100)})));
  REQUIRE(all.skip_to(0, 1, {.offset = 4'096, .check = {}}));
  CHECK(all.settled(1) == 0);
  CHECK(all.sink().planned.at(1).offset == 4'096);
  REQUIRE(all.plan(0, intent(2, {extent(1, 4'096, 5'000)})));
  REQUIRE(all.acknowledge(0, 1));
  CHECK(all.settled(1) == 100);
  REQUIRE(all.skip_to(0, 1, {.offset = 6'000, .check = {}}));
  REQUIRE(all.acknowledge(0, 2));
  CHECK(all.settled(1) == 6'000);
}

TEST_CASE("a skip with nothing open is settled at once") {
  Following all;
  REQUIRE(all.skip_to(0, 2, {.offset = 77, .check = {}}));
  CHECK(all.settled(2) == 77);
}

TEST_CASE("sinks do not know of each other's progress") {
  Following all;
  REQUIRE(all.add_sink("s3"));
  REQUIRE(all.plan(1, intent(1, {extent(1, 0, 40)})));
  REQUIRE(all.acknowledge(1, 1));
  CHECK(all.settled(1) == 0);
  CHECK(all.ledger.sinks()[1].settled.at(1).offset == 40);
  CHECK(all.ledger.find_sink("s3") == SinkIndex{1});
  CHECK_FALSE(all.ledger.find_sink("http"));
}

TEST_CASE("a tail is promised until its last batch has settled, then it can be forgotten") {
  Following all;
  REQUIRE(all.plan(0, intent(1, {extent(2, 0, 5)})));
  REQUIRE(all.plan(0, intent(2, {extent(1, 0, 5)})));
  REQUIRE(all.acknowledge(0, 2));
  CHECK(all.ledger.is_promised(1));  // acknowledged, but behind one that is not
  CHECK_FALSE(refusal(all.ledger, {entry::TailForgotten{1}}).empty());
  REQUIRE(all.acknowledge(0, 1));
  CHECK_FALSE(all.ledger.is_promised(1));
  REQUIRE(all.forget_tail(1));
  CHECK_FALSE(all.ledger.tails().contains(1));
  CHECK_FALSE(all.sink().planned.contains(1));
  CHECK_FALSE(all.sink().settled.contains(1));
}

TEST_CASE("the id of a tail is not given again, not even after a compaction") {
  Following all;
  REQUIRE(all.forget_tail(2));
  CHECK(all.ledger.next_tail_id() == 3);
  const Ledger again = replay(all.ledger.snapshot());
  CHECK(again.next_tail_id() == 3);
  CHECK(refusal(again, {entry::TailPut{tail(2)}}) == "an id that is not a new one: tail 2");
}

TEST_CASE("numbers of batches go on after a compaction that left no batch") {
  Following all;
  REQUIRE(all.plan(0, intent(1, {})));
  REQUIRE(all.acknowledge(0, 1));
  CHECK(replay(all.ledger.snapshot()).sinks()[0].next_number == 2);
}

TEST_CASE("settled does not go back, whatever a snapshot says") {
  Following all;
  REQUIRE(all.ledger.apply(encode({entry::ProgressKept{0, 1, {100, {}}, Progress{80, {}}}})));
  REQUIRE(all.ledger.apply(encode({entry::IntentKept{0, intent(1, {extent(1, 0, 50)})}})));
  REQUIRE(all.ledger.apply(encode({entry::IntentKept{0, intent(2, {extent(1, 50, 100)})}})));
  REQUIRE(all.acknowledge(0, 1));
  CHECK(all.settled(1) == 80);
  REQUIRE(all.acknowledge(0, 2));
  CHECK(all.settled(1) == 100);
}

TEST_CASE("entries that contradict the ledger are refused and change nothing") {
  Following all;
  REQUIRE(all.plan(0, intent(1, {extent(1, 0, 100)})));
  const Ledger& ledger = all.ledger;
  CHECK(refusal(ledger, {entry::Begun{1}}) == "a second beginning");
  CHECK(refusal({}, {entry::SinkAdded{"x"}}) == "an entry before the beginning");
  CHECK(refusal(ledger, {entry::SinkAdded{"file"}}) == "sink file twice");
  CHECK(refusal(ledger, {entry::SinkAdded{""}}) == "a sink without a name");
  CHECK(refusal(ledger, {entry::TailForgotten{9}}) == "there is no tail 9");
  CHECK(refusal(ledger, {entry::Acknowledged{4, 1}}) == "there is no sink 4");
  CHECK(refusal(ledger, {entry::Acknowledged{0, 2}}) ==
        "an acknowledgement that nothing waits for: batch 2");
  CHECK(refusal(ledger, {entry::Planned{0, intent(3, {})}}) == "a number out of turn: batch 3");
  CHECK(refusal(ledger, {entry::Planned{0, intent(2, {extent(1, 101, 102)})}}) ==
        "an extent that does not begin where those before end: tail 1");
  CHECK(refusal(ledger, {entry::Planned{0, intent(2, {extent(1, 100, 110), extent(1, 0, 5)})}}) ==
        "an extent that does not begin where those before end: tail 1");
  CHECK(refusal(ledger, {entry::Skipped{0, 1, {99, {}}}}) == "a skip back in tail 1");
  CHECK(refusal(ledger, {entry::IntentKept{0, intent(2, {extent(1, 50, 101)})}}) ==
        "an intent beyond what is planned: tail 1");
  CHECK(refusal(ledger, {entry::ProgressKept{0, 2, {}, {}}}) == "progress twice: tail 2");
  CHECK(refusal(ledger, {entry::SinkNumbered{0, 9}}) == "numbers of batches that go back");
  CHECK(refusal(ledger, {entry::TailsGiven{1}}) == "ids of tails that go back");
}

TEST_CASE("what a user may have too much of is refused with a limit, not an assertion") {
  Following all;
  TailRecord deep = tail(3);
  deep.path = std::string(kMaxPathBytes + 1, 'x');
  CHECK(all.put_tail(deep).error().code() == Errc::limit);
  deep.path.pop_back();
  CHECK(all.put_tail(deep));
  const auto added = all.ledger.add_sink(std::string(kMaxSinkNameBytes + 1, 'x'));
  CHECK(added.error().code() == Errc::limit);
  Intent wide = intent(1, std::vector<Extent>(kMaxExtents + 1, extent(1, 0, 0)));
  CHECK(all.plan(0, wide).error().code() == Errc::limit);
  wide.extents.pop_back();
  CHECK(all.plan(0, wide));
  CHECK(all.entries.back().size() <= kMaxEntryBytes);
  while (all.ledger.sinks().size() < kMaxSinks) {
    REQUIRE(all.add_sink(std::to_string(all.ledger.sinks().size())));
  }
  CHECK(all.ledger.add_sink("one more").error().code() == Errc::limit);
}

TEST_CASE("replaying the entries, or a snapshot, gives an equal ledger after every change") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Recorder all;
    Ledger follower = replay(all.entries);
    for (int i = 0; i < 200; ++i) {
      REQUIRE(change(all.ledger, all, random));
      REQUIRE(follower.apply(all.entries.back()));
      REQUIRE(follower == all.ledger);
      REQUIRE(replay(all.ledger.snapshot()) == all.ledger);
    }
    CHECK(replay(all.entries) == all.ledger);
    CHECK(all.ledger.snapshot().size() < all.entries.size());
  }
}

TEST_CASE("a ledger that was read from a snapshot goes on like the one it came from") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Recorder all;
    for (int i = 0; i < 100; ++i) REQUIRE(change(all.ledger, all, random));
    Ledger follower = replay(all.ledger.snapshot());
    for (int i = 0; i < 200; ++i) {
      REQUIRE(change(all.ledger, all, random));
      REQUIRE(follower.apply(all.entries.back()));
      REQUIRE(follower == all.ledger);
    }
  }
}

TEST_CASE("settled never goes back, never passes planned, and meets it when nothing is open") {
  for (std::uint64_t seed = 100; seed < 120; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Recorder all;
    for (int i = 0; i < 300; ++i) {
      const Ledger before = all.ledger;
      REQUIRE(change(all.ledger, all, random));
      for (std::size_t index = 0; index < before.sinks().size(); ++index) {
        const SinkLedger& sink = all.ledger.sinks()[index];
        for (const auto& [id, progress] : sink.settled) {
          REQUIRE(progress.offset <= sink.planned.at(id).offset);
          if (!sink.promised.contains(id)) REQUIRE(progress == sink.planned.at(id));
          const auto old = before.sinks()[index].settled.find(id);
          if (old != before.sinks()[index].settled.end()) {
            REQUIRE(progress.offset >= old->second.offset);
          }
        }
        if (!sink.open.empty()) REQUIRE_FALSE(sink.acknowledged.contains(sink.open.begin()->first));
      }
    }
  }
}

TEST_CASE("an acknowledgement has the bytes that the manual shows") {
  CHECK(encode({entry::Acknowledged{0, 300}}) == std::string("\x07\x00\xac\x02", 4));
}

TEST_CASE("an entry has one encoding, and no part of one is an entry") {
  Random random(3);
  Recorder all;
  for (int i = 0; i < 300; ++i) REQUIRE(change(all.ledger, all, random));
  for (const std::string& part : all.ledger.snapshot()) all.entries.push_back(part);
  for (const std::string& entry : all.entries) {
    auto decoded = decode(entry);
    REQUIRE(decoded);
    REQUIRE(encode(std::move(*decoded)) == entry);
    for (std::size_t length = 0; length < entry.size(); ++length) {
      REQUIRE_FALSE(decode(std::string_view(entry).substr(0, length)));
    }
    REQUIRE_FALSE(decode(entry + '\0'));
  }
}

TEST_CASE("numbers that are too long, too large or have a second form are refused") {
  const std::string largest = "\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  CHECK(decode("\x04" + largest + "\x01"));
  CHECK_FALSE(decode("\x04" + largest + "\x02"));
  CHECK_FALSE(decode("\x04" + largest + "\x81\x00"));
  CHECK_FALSE(decode(std::string("\x04\x80\x00", 3)));
  // A sink's index has 32 bits.
  CHECK(decode("\x07\xff\xff\xff\xff\x0f\x01"));
  CHECK_FALSE(decode("\x07\xff\xff\xff\xff\x1f\x01"));
  CHECK_FALSE(decode(std::string("\0", 1)));
  CHECK(decode("\x0e").error().text() == "an entry of the unknown kind 14");
  // A list that is longer than the bytes behind it could be takes no memory.
  const std::string head = std::string("\x06\x00\x01", 3) + std::string(8, '\0') + '\0';
  CHECK_FALSE(decode(head + std::string(8, '\0') + "\xa0\x8d\x06" + std::string(100, '\0')));
  // An extent that would end beyond 2^64.
  Intent beyond = intent(1, {extent(1, std::numeric_limits<std::uint64_t>::max() - 1, 0)});
  beyond.extents[0].end = 5;
  CHECK_FALSE(decode(encode({entry::Planned{0, beyond}})));
}
