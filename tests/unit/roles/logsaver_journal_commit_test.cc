#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "async/scope.hpp"
#include "async/task.hpp"
#include "base/random.hpp"
#include "io/scratch_directory.hpp"
#include "io/uv/file_system.hpp"
#include "io/uv/loop.hpp"
#include "roles/logsaver/state/journal.hpp"
#include "roles/logsaver/state/journal_file.hpp"
#include "unit/roles/logsaver_journal_support.hpp"

using namespace consort;
using namespace consort::logsaver;
using namespace consort::logsaver::test;

namespace {

Task<> commit_and_stop(Journal& journal, Answer& answer, io::Loop& loop) {
  answer = co_await journal.commit();
  loop.stop();
}

/// What a process finds that starts with these bytes as its journal.
Ledger ledger_of(const std::string& bytes) {
  JournalDisk disk;
  disk.put(kJournal, bytes);
  return Process(disk).ledger();
}

}  // namespace

TEST_CASE("a journal is compacted when it has grown, and the next time later") {
  JournalDisk disk;
  Process process(disk);
  TailRecord record = tail_of(1, process.random);
  record.path = std::string(16'000, 'p');
  record.origin = record.path;
  int changes = 0;
  while (disk.bytes(kJournal).size() < JournalFile::kCompactBytes) {
    REQUIRE(process.commit());
    REQUIRE(count(disk, "rename " + kJournal) == 0);
    REQUIRE(process.journal->put_tail(record));
    ++changes;
  }
  CHECK(changes > 30);
  REQUIRE(process.commit());
  CHECK(count(disk, "rename " + kJournal) == 1);
  CHECK(disk.bytes(kJournal).size() < 40'000);
  // Many tails: the threshold is four times what they take.
  for (TailId id = 2; id <= 80; ++id) {
    record.id = id;
    REQUIRE(process.journal->put_tail(record));
  }
  REQUIRE(process.commit());
  REQUIRE(count(disk, "rename " + kJournal) == 2);
  const std::size_t snapshot = disk.bytes(kJournal).size();
  REQUIRE(4 * snapshot > JournalFile::kCompactBytes);
  while (disk.bytes(kJournal).size() < 4 * snapshot) {
    REQUIRE(process.commit());
    REQUIRE(count(disk, "rename " + kJournal) == 2);
    REQUIRE(process.journal->put_tail(record));
  }
  REQUIRE(process.commit());
  CHECK(count(disk, "rename " + kJournal) == 3);
  CHECK(ledger_of(disk.bytes(kJournal)) == process.ledger());
}

TEST_CASE("a machine that stops at any step of a commit or a compaction loses nothing committed") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    for (std::uint64_t last = 0;; ++last) {
      CAPTURE(seed);
      CAPTURE(last);
      JournalDisk disk;
      Process process(disk, seed);
      process.changes(20);
      REQUIRE(process.commit());
      process.changes(5);
      disk.failing_syncs = 1;
      disk.dies_at = disk.steps + last;
      (void)process.commit();  // fails
      (void)process.change();
      (void)process.commit();  // compacts
      (void)process.change();
      (void)process.commit();
      const bool was_whole = !disk.is_dead();
      process.journal.reset();
      if (last % 2 == 0 || seed % 3 > 0) {
        Random random(seed * 1'000 + last);
        disk.power_cut(random);
        REQUIRE(process.restart());
        REQUIRE(process.age() >= process.safe);
      } else {
        REQUIRE(process.restart());
        REQUIRE(process.age() == process.history.size());
      }
      CHECK_FALSE(disk.has(kNew));
      if (!was_whole) continue;
      CHECK(count(disk, "rename " + kJournal) >= 1);
      CHECK(process.age() == 28);
      break;
    }
  }
}

TEST_CASE("power cuts at random moments of a long life lose nothing committed") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    JournalDisk disk;
    Process process(disk, seed);
    Random random(seed + 1'000);
    for (int life = 0; life < 12; ++life) {
      process.history = {process.ledger()};
      process.safe = 1;
      REQUIRE(process.commit());
      disk.dies_at = disk.steps + 1 + random.below(40);
      while (!disk.is_dead()) {
        if (random.below(30) == 0) disk.failing_syncs = 1;
        if (random.below(4) == 0) {
          (void)process.commit();
        } else {
          (void)process.change();
        }
      }
      process.journal.reset();
      disk.power_cut(random);
      REQUIRE(process.restart());
      REQUIRE(process.age() >= process.safe);
    }
  }
}

TEST_CASE("those who commit while a sync runs share the next one") {
  JournalDisk disk;
  Process process(disk);
  REQUIRE(process.commit());
  disk.log.clear();
  disk.holds_syncs = true;
  TaskScope scope;
  Answer first;
  Answer second;
  Answer third;
  process.changes(1);
  scope.spawn(commit_into(*process.journal, first));
  process.changes(1);
  scope.spawn(commit_into(*process.journal, second));
  process.changes(1);
  scope.spawn(commit_into(*process.journal, third));
  CHECK(disk.held_syncs() == 1);
  CHECK_FALSE(first);
  disk.finish_syncs();
  CHECK(first);
  CHECK_FALSE(second);
  CHECK_FALSE(third);
  disk.finish_syncs();
  CHECK((second.has_value() && second->has_value()));
  CHECK((third.has_value() && third->has_value()));
  CHECK(count(disk, "sync " + kJournal) == 2);
  CHECK(count(disk, "syncdir " + kState) == 0);
}

TEST_CASE("a commit with nothing new waits for the sync that runs, or for none") {
  JournalDisk disk;
  Process process(disk);
  REQUIRE(process.commit());
  disk.log.clear();
  REQUIRE(process.commit());
  CHECK(disk.log.empty());
  disk.holds_syncs = true;
  TaskScope scope;
  Answer first;
  Answer second;
  process.changes(1);
  scope.spawn(commit_into(*process.journal, first));
  scope.spawn(commit_into(*process.journal, second));
  CHECK_FALSE(second);
  disk.finish_syncs();
  CHECK((first && second));
  CHECK(count(disk, "sync " + kJournal) == 1);
}

TEST_CASE("the first commit of a process syncs what it has found, its directory and new parents") {
  JournalDisk disk;
  Process process(disk);
  REQUIRE(process.commit());
  CHECK(disk.log.back() == "syncdir /var");
  CHECK(count(disk, "syncdir /var/lib") == 1);
  CHECK(count(disk, "syncdir " + kState) == 1);
  CHECK(count(disk, "syncdir /") == 0);
  process.changes(1);
  REQUIRE(process.commit());
  CHECK(count(disk, "syncdir " + kState) == 1);
  process.changes(1);
  REQUIRE(process.restart());  // killed: the last change is in the page cache only
  disk.log.clear();
  REQUIRE(process.commit());
  CHECK(disk.log == std::vector<std::string>{"sync " + kJournal, "syncdir " + kState});
  process.journal.reset();
  Random random(1);
  disk.power_cut(random);
  REQUIRE(process.restart());
  CHECK(process.age() == 3);
}

TEST_CASE("after a failed sync nothing is committed until all was written again") {
  JournalDisk disk;
  Process process(disk);
  process.changes(20);
  REQUIRE(process.commit());
  process.changes(5);
  disk.failing_syncs = 1;
  auto failed = process.commit();
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message() ==
        "the state cannot be made durable: /var/lib/consort/journal: Input/output error");
  // The next sync of the old file would succeed, but the pages are gone.
  disk.space = 10;
  failed = process.commit();
  REQUIRE_FALSE(failed);
  CHECK(failed.error().sys() == ENOSPC);
  CHECK(failed.error().text().find("(free some space there)") != std::string::npos);
  disk.space = JournalDisk::kNever;
  disk.log.clear();
  REQUIRE(process.commit());
  CHECK(count(disk, "sync " + kNew) == 1);
  CHECK(disk.log.back() == "syncdir " + kState);
  process.journal.reset();
  Random random(1);
  disk.power_cut(random);
  REQUIRE(process.restart());
  CHECK(process.age() == 26);
}

TEST_CASE("a directory that cannot be synced keeps the commit open") {
  JournalDisk disk;
  Process process(disk);
  disk.failing_path = kState;
  REQUIRE_FALSE(process.commit());
  REQUIRE_FALSE(process.commit());
  disk.failing_path.clear();
  disk.log.clear();
  REQUIRE(process.commit());
  CHECK(count(disk, "rename " + kJournal) == 1);
  CHECK(count(disk, "syncdir " + kState) == 1);
}

TEST_CASE("a parent that may not be read does not keep the commit open") {
  JournalDisk disk;
  Process process(disk);
  disk.failing_path = "/var";
  disk.failing_sys = EACCES;
  CHECK(process.commit());
}

TEST_CASE("what is appended while a compaction is synced is in the new file too") {
  for (const bool is_power_cut : {false, true}) {
    JournalDisk disk;
    Process process(disk);
    process.changes(20);
    cut_off(process);
    disk.holds_syncs = true;
    TaskScope scope;
    Answer first;
    Answer second;
    scope.spawn(commit_into(*process.journal, first));
    REQUIRE(disk.has(kNew));
    process.changes(4);
    scope.spawn(commit_into(*process.journal, second));
    disk.finish_syncs();  // of journal.new
    process.changes(1);
    disk.finish_syncs();  // of the directory
    CHECK((first.has_value() && first->has_value()));
    CHECK_FALSE(second);
    disk.finish_syncs();
    CHECK((second.has_value() && second->has_value()));
    CHECK(count(disk, "sync " + kJournal) == 0);  // opened as journal.new
    CHECK(count(disk, "sync " + kNew) == 2);
    process.journal.reset();
    if (is_power_cut) {
      Random random(3);
      disk.power_cut(random);
    }
    disk.holds_syncs = false;
    REQUIRE(process.restart());
    CHECK(process.age() == process.history.size());
  }
}

TEST_CASE("an append for which only the old file has space ends the compaction, not the commit") {
  JournalDisk disk;
  Process process(disk);
  process.changes(20);
  cut_off(process);
  disk.holds_syncs = true;
  TaskScope scope;
  Answer answer;
  scope.spawn(commit_into(*process.journal, answer));
  const TailRecord record = process.ledger().tails().begin()->second;
  const std::size_t before = disk.bytes(kJournal).size();
  REQUIRE(process.journal->put_tail(record));
  const std::size_t frame = disk.bytes(kJournal).size() - before;
  REQUIRE(disk.has(kNew));
  disk.space = frame + frame / 2;
  REQUIRE(process.journal->put_tail(record));
  CHECK_FALSE(disk.has(kNew));
  disk.space = JournalDisk::kNever;
  process.changes(1);
  disk.finish_syncs();
  CHECK_FALSE(answer);
  disk.finish_syncs();
  disk.finish_syncs();
  CHECK((answer.has_value() && answer->has_value()));
  CHECK(count(disk, "rename " + kJournal) == 0);
  disk.holds_syncs = false;
  REQUIRE(process.restart());
  CHECK(process.age() == process.history.size());
}

TEST_CASE("a rename whose outcome is not known is followed by another before anything is safe") {
  JournalDisk disk;
  Process process(disk);
  process.changes(20);
  cut_off(process);
  disk.failing_rename = EIO;
  REQUIRE_FALSE(process.commit());
  REQUIRE_FALSE(process.commit());
  CHECK(count(disk, "sync " + kJournal) == 0);
  disk.failing_rename = 0;
  disk.log.clear();
  REQUIRE(process.commit());
  CHECK(count(disk, "rename " + kJournal) == 1);
}

TEST_CASE("a rename for which the disk is too full leaves the old file in use") {
  JournalDisk disk;
  Process process(disk);
  process.changes(20);
  cut_off(process);
  disk.failing_rename = ENOSPC;
  REQUIRE(process.commit());
  CHECK(count(disk, "sync " + kJournal) == 1);
  CHECK_FALSE(disk.has(kNew));
}

TEST_CASE("a directory that cannot be synced after a rename lets nothing be safe") {
  JournalDisk disk;
  Process process(disk);
  process.changes(20);
  cut_off(process);
  disk.holds_syncs = true;
  TaskScope scope;
  Answer answer;
  scope.spawn(commit_into(*process.journal, answer));
  disk.finish_syncs();  // of journal.new
  disk.failing_syncs = 1;
  disk.finish_syncs();  // of the directory
  REQUIRE(answer.has_value());
  CHECK_FALSE(answer->has_value());
  disk.holds_syncs = false;
  disk.log.clear();
  REQUIRE(process.commit());
  CHECK(count(disk, "rename " + kJournal) == 1);
}

TEST_CASE("what was appended while a sync ran is synced by the next commit") {
  JournalDisk disk;
  Process process(disk);
  REQUIRE(process.commit());
  process.changes(1);
  disk.holds_syncs = true;
  TaskScope scope;
  Answer answer;
  scope.spawn(commit_into(*process.journal, answer));
  process.changes(1);
  disk.finish_syncs();
  REQUIRE(answer.has_value());
  disk.holds_syncs = false;
  disk.log.clear();
  REQUIRE(process.commit());
  CHECK(count(disk, "sync " + kJournal) == 1);
}

TEST_CASE("a task that is dropped while it waits leaves the others their answer") {
  JournalDisk disk;
  Process process(disk);
  process.changes(1);
  disk.holds_syncs = true;
  TaskScope scope;
  Answer second;
  {
    TaskScope dropped;
    Answer first;
    dropped.spawn(commit_into(*process.journal, first));
    scope.spawn(commit_into(*process.journal, second));
  }
  disk.holds_syncs = false;
  disk.finish_syncs();
  CHECK((second.has_value() && second->has_value()));
}

TEST_CASE("a task that commit has resumed may destroy the journal, others wait until dropped") {
  JournalDisk disk;
  Process process(disk);
  disk.holds_syncs = true;
  TaskScope scope;
  Answer other;
  bool is_destroyed = false;
  const auto destroy = [](Process& owner, bool& done) -> Task<> {
    (void)co_await owner.journal->commit();
    owner.journal.reset();
    done = true;
  };
  scope.spawn(destroy(process, is_destroyed));
  process.changes(1);
  scope.spawn(commit_into(*process.journal, other));
  disk.finish_syncs();
  disk.finish_syncs();
  disk.finish_syncs();
  disk.finish_syncs();
  disk.finish_syncs();
  CHECK(is_destroyed);
  CHECK_FALSE(other);
  CHECK(scope.size() == 1);
}

TEST_CASE("a sync that ends at once may be followed by any number of commits") {
  JournalDisk disk;
  Process process(disk);
  const auto work = [](Process& owner, int& count) -> Task<> {
    for (; count < 2'000; ++count) {
      if (!owner.change()) co_return;
      owner.history.clear();
      Result<> committed = co_await owner.journal->commit();
      if (!committed) co_return;
    }
  };
  TaskScope scope;
  int done = 0;
  scope.spawn(work(process, done));
  CHECK(done == 2'000);
}

TEST_CASE("the real disk keeps what was committed, and has one process at a time") {
  auto scratch = io::ScratchDirectory::create();
  REQUIRE(scratch);
  const std::string state = (*scratch)->path() + "/a/b";
  io::UvLoop loop;
  io::UvFileSystem disk(loop);
  Random random(1);
  Ledger ledger;
  for (int life = 0; life < 3; ++life) {
    auto opened = Journal::open(disk, state, random);
    REQUIRE(opened);
    Journal& journal = **opened;
    if (life > 0) CHECK(journal.ledger() == ledger);
    auto second = Journal::open(disk, state, random);
    REQUIRE_FALSE(second);
    CHECK(second.error().code() == Errc::unavailable);
    for (int i = 0; i < 100; ++i) REQUIRE(change(journal.ledger(), journal, random));
    ledger = journal.ledger();
    TaskScope scope;
    Answer answer;
    scope.spawn(commit_and_stop(journal, answer, loop));
    loop.run();
    REQUIRE(answer.has_value());
    CHECK(answer->has_value());
    // So that the next life begins with a cut, and its commit compacts.
    auto file = disk.open(state + "/journal", io::OpenFor::writing);
    REQUIRE(file);
    REQUIRE((*file)->write_at((*file)->stat()->size, "torn"));
  }
}
