// A process that keeps its state on a disk of logsaver_journal_disk.hpp.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/scope.hpp"
#include "async/task.hpp"
#include "base/random.hpp"
#include "roles/logsaver/state/journal.hpp"
#include "unit/roles/logsaver_journal_disk.hpp"
#include "unit/roles/logsaver_state_support.hpp"

namespace consort::logsaver::test {

inline const std::string kState = "/var/lib/consort";
inline const std::string kJournal = kState + "/journal";
inline const std::string kNew = kState + "/journal.new";

using Answer = std::optional<Result<>>;

inline Task<> commit_into(Journal& journal, Answer& answer) {
  answer = co_await journal.commit();
}

/// A process that keeps its state on the disk, and what it has written down so far.
struct Process {
  explicit Process(JournalDisk& the_disk, std::uint64_t seed = 1) : disk(the_disk), random(seed) {
    REQUIRE(open());
  }
  Result<> open() {
    auto opened = Journal::open(disk, kState, random);
    if (!opened) return fail(std::move(opened.error()));
    journal = std::move(*opened);
    history = {ledger()};
    return {};
  }
  const Ledger& ledger() const { return journal->ledger(); }
  Result<> change() {
    auto changed = test::change(ledger(), *journal, random);
    if (changed) history.push_back(ledger());
    return changed;
  }
  void changes(int count) {
    for (int i = 0; i < count; ++i) REQUIRE(change());
  }
  Result<> commit() {
    Answer answer;
    TaskScope scope;
    const std::size_t known = history.size();
    scope.spawn(commit_into(*journal, answer));
    REQUIRE(answer.has_value());
    if (*answer) safe = known;
    return std::move(*answer);
  }
  /// The next process. `history` and `safe` stay.
  Result<> restart() {
    journal.reset();
    disk.revive();
    auto opened = Journal::open(disk, kState, random);
    if (!opened) return fail(std::move(opened.error()));
    journal = std::move(*opened);
    return {};
  }
  /// How many of the changes the ledger has, from 1 on; 0: it is none of those that were.
  std::size_t age() const {
    const auto found = std::ranges::find(history, ledger());
    return found == history.end() ? 0 : static_cast<std::size_t>(found - history.begin()) + 1;
  }

  JournalDisk& disk;
  Random random;
  std::unique_ptr<Journal> journal;
  std::vector<Ledger> history;  ///< after each change
  std::size_t safe = 0;         ///< so many of them were committed
};

inline std::ptrdiff_t count(const JournalDisk& disk, const std::string& what) {
  return std::ranges::count(disk.log, what);
}

/// A process whose next commit compacts, but need not: something was cut off when it started.
inline void cut_off(Process& process) {
  process.journal.reset();
  process.disk.bytes(kJournal) += '\x01';
  REQUIRE(process.restart());
}

}  // namespace consort::logsaver::test
