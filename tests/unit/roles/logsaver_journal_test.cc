#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/scope.hpp"
#include "base/random.hpp"
#include "roles/logsaver/state/journal.hpp"
#include "roles/logsaver/state/journal_frame.hpp"
#include "unit/roles/logsaver_journal_support.hpp"

using namespace consort;
using namespace consort::logsaver;
using namespace consort::logsaver::test;

namespace {

/// A journal of some changes with commits between them, and where each of its frames ends.
struct Written {
  explicit Written(int count = 60) : process(disk, 5) {
    ends.push_back(disk.bytes(kJournal).size());
    for (int i = 0; i < count; ++i) {
      process.changes(1);
      ends.push_back(disk.bytes(kJournal).size());
      if (i % 7 == 6) {
        durable = disk.bytes(kJournal).size();
        REQUIRE(process.commit());
      }
    }
    bytes = disk.bytes(kJournal);
  }
  JournalDisk disk;
  Process process;
  std::vector<std::size_t> ends;
  std::size_t durable = 0;  ///< what the last frame says
  std::string bytes;
};

/// What a process finds that starts with these bytes as its journal.
Result<Ledger> ledger_of(std::string bytes) {
  JournalDisk disk;
  disk.put(kJournal, std::move(bytes));
  Random random(9);
  auto journal = Journal::open(disk, kState, random);
  if (!journal) return fail(std::move(journal.error()));
  return (*journal)->ledger();
}

}  // namespace

TEST_CASE("what was written down is there after a restart, with and without a commit") {
  JournalDisk disk;
  Process process(disk);
  process.changes(50);
  REQUIRE(process.restart());
  CHECK(process.age() == 51);
  REQUIRE(process.commit());
  REQUIRE(process.restart());
  CHECK(process.age() == 51);
  CHECK(process.journal->directory() == kState);
}

TEST_CASE("a frame has the bytes that the manual shows") {
  std::string frame;
  append_frame(frame, std::string_view("\x07\x00\xac\x02", 4), 0x1d);
  CHECK(frame.size() == 20);
  CHECK(frame.substr(4) == std::string("\x04\0\0\0\x1d\0\0\0\0\0\0\0\x07\0\xac\x02", 16));
  CHECK(journal_header().size() == 0x1d);
}

TEST_CASE("a journal cut at any byte opens with the entries before the cut") {
  Written written;
  for (std::size_t length = 0; length <= written.bytes.size(); ++length) {
    CAPTURE(length);
    JournalDisk disk;
    disk.put(kJournal, written.bytes.substr(0, length));
    Process process(disk);
    const auto whole = std::ranges::upper_bound(written.ends, length) - written.ends.begin();
    if (whole == 0) {
      CHECK(process.ledger().has_begun());
      CHECK(process.ledger().sinks().empty());
    } else {
      CHECK(process.ledger() == written.process.history[static_cast<std::size_t>(whole) - 1]);
    }
    process.changes(3);
    REQUIRE(process.commit());
    REQUIRE(process.restart());
    CHECK(process.age() == 4);
  }
}

TEST_CASE("a flipped bit is refused where the disk had been synced, and cut off behind that") {
  Written written;
  REQUIRE(written.durable > written.ends[40]);
  REQUIRE(written.durable < written.bytes.size());
  for (std::size_t at = 0; at < written.bytes.size(); ++at) {
    CAPTURE(at);
    std::string bytes = written.bytes;
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << (at % 8));
    auto ledger = ledger_of(bytes);
    if (at < written.durable) {
      REQUIRE_FALSE(ledger);
      CHECK(ledger.error().text().starts_with(kJournal + ": "));
      CHECK(ledger.error().text().find("give another --state-dir") != std::string::npos);
    } else {
      const auto whole = std::ranges::upper_bound(written.ends, at) - written.ends.begin();
      REQUIRE(ledger);
      CHECK(*ledger == written.process.history[static_cast<std::size_t>(whole) - 1]);
    }
  }
}

TEST_CASE("a compacted journal is refused when any bit of it is flipped, or its end is gone") {
  Written written;
  cut_off(written.process);
  REQUIRE(written.process.commit());
  const std::string& compacted = written.disk.bytes(kJournal);
  REQUIRE(compacted != written.bytes);
  CHECK(*ledger_of(compacted) == written.process.ledger());
  const std::size_t first = journal_header().size() + kFrameHeadBytes + 9;
  for (std::size_t at = 0; at < compacted.size(); ++at) {
    CAPTURE(at);
    std::string bytes = compacted;
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << (at % 8));
    CHECK_FALSE(ledger_of(bytes));
    if (at >= first) CHECK_FALSE(ledger_of(compacted.substr(0, at)));
  }
}

TEST_CASE("a journal of a newer version is refused and left as it is, with the way out") {
  Written written;
  written.bytes[journal_header().size() - 4] = 3;
  JournalDisk disk;
  disk.put(kJournal, written.bytes);
  Random random(1);
  auto journal = Journal::open(disk, kState, random);
  REQUIRE_FALSE(journal);
  CHECK(journal.error().code() == Errc::invalid);
  CHECK(journal.error().message() ==
        "/var/lib/consort/journal: is of the newer version 3 (this consort knows 2): run the newer "
        "consort again, or give another --state-dir, with which all files are read from their "
        "beginning");
  CHECK(disk.bytes(kJournal) == written.bytes);
}

TEST_CASE("a journal of version 1 is read, and is called version 2 from then on") {
  Written written;
  const std::string bytes = written.bytes;
  written.bytes[journal_header().size() - 4] = 1;
  JournalDisk disk;
  disk.put(kJournal, written.bytes);
  Random random(1);
  auto journal = Journal::open(disk, kState, random);
  REQUIRE(journal);
  CHECK((*journal)->ledger() == ledger_of(bytes));
  CHECK(disk.bytes(kJournal) == bytes);
}

TEST_CASE("a file of somebody else is not taken for a journal") {
  for (const char* text : {"x", "consort logsaver journey", "{\"entries\": [1, 2, 3, 4, 5, 6]}"}) {
    auto ledger = ledger_of(text);
    REQUIRE_FALSE(ledger);
    CHECK(ledger.error().code() == Errc::invalid);
  }
}

TEST_CASE("entries that contradict each other are refused, and the text says where") {
  Written written;
  std::string bytes = written.bytes;
  append_frame(bytes, std::string_view("\x04\x63", 2), 0);  // tail 99 is forgotten
  auto ledger = ledger_of(bytes);
  REQUIRE_FALSE(ledger);
  CHECK(ledger.error().message() ==
        kJournal + ": the entry at byte " + std::to_string(written.bytes.size()) +
            " contradicts those before it (restore the file, or give another --state-dir): there "
            "is no tail 99");
}

TEST_CASE("a state directory has one process at a time") {
  JournalDisk disk;
  Random random(1);
  auto first = Journal::open(disk, kState, random);
  REQUIRE(first);
  auto second = Journal::open(disk, kState, random);
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Errc::unavailable);
  CHECK(second.error().message() ==
        "/var/lib/consort: another consort logsaver uses this state directory (it has locked "
        "/var/lib/consort/lock): stop it, or give this one another --state-dir");
  first->reset();
  CHECK(Journal::open(disk, kState, random));
}

TEST_CASE("a directory that must not be used is an error that says what to do") {
  JournalDisk disk;
  Random random(1);
  disk.failing_path = kState;
  disk.failing_sys = EACCES;
  auto journal = Journal::open(disk, kState, random);
  REQUIRE_FALSE(journal);
  CHECK(journal.error().message() ==
        "the state directory cannot be used (let this user write there, or give another "
        "--state-dir): /var/lib/consort: Permission denied");
}

TEST_CASE("a disk that is full at any byte changes nothing, and the change can be tried again") {
  Written all(40);
  for (std::uint64_t space = 0; space < all.bytes.size(); space += 1 + space % 3) {
    CAPTURE(space);
    JournalDisk disk;
    disk.space = space;
    Random random(5);
    auto opened = Journal::open(disk, kState, random);
    if (!opened) {
      CHECK(opened.error().sys() == ENOSPC);
      disk.space = JournalDisk::kNever;
      CHECK(Journal::open(disk, kState, random));
      continue;
    }
    Journal& journal = **opened;
    Random before = random;
    std::string bytes;
    Ledger ledger;
    Result<> changed;
    while (changed) {
      before = random;
      bytes = disk.bytes(kJournal);
      ledger = journal.ledger();
      changed = change(journal.ledger(), journal, random);
    }
    CHECK(changed.error().sys() == ENOSPC);
    CHECK(changed.error().message() ==
          "the state cannot be written down (free some space there): /var/lib/consort/journal: No "
          "space left on device");
    CHECK(journal.ledger() == ledger);
    CHECK(disk.bytes(kJournal) == bytes);
    disk.space = JournalDisk::kNever;
    REQUIRE(change(journal.ledger(), journal, before));
    CHECK(*ledger_of(disk.bytes(kJournal)) == journal.ledger());
  }
}

TEST_CASE("a compaction for which there is no space leaves the old file in use") {
  Written written;
  cut_off(written.process);
  REQUIRE(written.process.commit());
  const std::size_t compacted = written.disk.bytes(kJournal).size();
  for (std::uint64_t space = 0; space <= compacted; space += 1 + space % 5) {
    CAPTURE(space);
    JournalDisk disk;
    disk.put(kJournal, written.bytes + '\x01');
    Process process(disk);
    disk.space = space;
    disk.log.clear();
    REQUIRE(process.commit());
    CHECK(count(disk, "rename " + kJournal) == (space < compacted ? 0 : 1));
    CHECK(count(disk, "sync " + kJournal) == (space < compacted ? 1 : 0));
    CHECK_FALSE(disk.has(kNew));
    disk.space = JournalDisk::kNever;
    process.changes(5);
    REQUIRE(process.commit());
    CHECK(count(disk, "rename " + kJournal) == (space < compacted ? 0 : 1));  // not at once again
    Random random(space);
    process.journal.reset();
    disk.power_cut(random);
    REQUIRE(process.restart());
    CHECK(process.age() == 6);
  }
}

TEST_CASE("a journal in memory does all but survive") {
  Random random(4);
  const auto journal = Journal::volatile_one(random);
  for (int i = 0; i < 100; ++i) REQUIRE(change(journal->ledger(), *journal, random));
  CHECK(journal->directory().empty());
  Answer answer;
  TaskScope scope;
  scope.spawn(commit_into(*journal, answer));
  CHECK((answer.has_value() && answer->has_value()));
  CHECK(journal->ledger().has_begun());
}

TEST_CASE("a sink keeps its index, and each state directory has an identity of its own") {
  JournalDisk disk;
  Process process(disk, 1);
  CHECK(process.journal->add_sink("a") == SinkIndex{0});
  CHECK(process.journal->add_sink("b") == SinkIndex{1});
  CHECK(process.journal->add_sink("a") == SinkIndex{0});
  const std::uint64_t id = process.ledger().state_id();
  REQUIRE(process.restart());
  CHECK(process.journal->add_sink("b") == SinkIndex{1});
  CHECK(process.ledger().state_id() == id);
  JournalDisk other;
  CHECK(Process(other, 2).ledger().state_id() != id);
}
