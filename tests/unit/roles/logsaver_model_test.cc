// Random lives of log files, writers, destinations and the process, from a seed each: in the end
// every destination has every line that was written, once, and each file's lines in their order.
//
//   CONSORT_MODEL_SEED=17 unit_roles -tc='random lives*'      runs one of them again
//   CONSORT_MODEL_SEEDS=5000                                  as many, from 1 on
//
// What cannot be kept by anybody is not done: lines are truncated away without a copy, and files
// deleted while nobody runs, only when they are settled.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "unit/roles/logsaver_world.hpp"

namespace consort::logsaver {
namespace {

using test::difference;
using test::DyingDisk;
using test::FakeStore;
using test::LogsaverWorld;
using test::split_lines;

constexpr int kKept = 3;

class Life {
 public:
  explicit Life(std::uint64_t seed)
      : choice_(seed),
        has_copies_(one_in(2)),
        world_(seed, {has_copies_ ? "/log/*.log*" : "/log/*.log"}) {
    sim::DiskTraits& traits = world_.disk.traits;
    is_polled_ = one_in(10);
    traits.tells_changes = !is_polled_;
    traits.event_delay_ms = one_in(2) ? 0 : choice_.below(40);
    traits.tells_births = !one_in(5);
    traits.has_generations = !one_in(5);
    traits.reuses_inodes = !one_in(4);
    traits.knows_holes = !one_in(4);
    traits.sync_ms = choice_.below(3);
    if (one_in(4)) traits.events_max = 20;
    if (one_in(3)) world_.follow.open_files_max = 2;
    if (one_in(3)) world_.rules.assembler.multiline.kinds = {MultilineKind::java};
    if (one_in(3)) world_.rules.assembler.record_bytes_max = 4000;
    if (one_in(2)) world_.add_store();
    for (auto& store : world_.stores) furnish(*store);
    world_.disk.append("/log/a.log", "");
    world_.start();
  }

  void live() {
    for (int i = 0; i < 60; ++i) {
      act();
      pass(one_in(3) ? choice_.below(3000) : choice_.below(60));
      if (is_polled_) pass(2500);
    }
    for (auto& [name, log] : logs_) finish_line(name);
    for (auto& store : world_.stores) {
      store->is_down = false;
      store->failures = store->lost_answers = 0;
    }
    if (!world_.is_running()) world_.start();
    world_.dying().die_in = DyingDisk::kNever;
    pass(120'000);
  }

  void check() {
    INFO(world_.log_text());
    std::string written;
    for (const auto& [name, log] : logs_) written += log.written;
    for (const auto& store : world_.stores) {
      INFO(store->name);
      const std::string saved = store->text();
      CHECK(difference(saved, written) == "");
      CHECK(store->different_bodies == 0);
      CHECK(store->different_places == 0);
      CHECK(store->equal_times == 0);
      check_order(saved);
    }
    CHECK(world_.saver().is_settled());
    CHECK(world_.saver().follower().unsafe_bytes() == 0);
  }

 private:
  struct Log {
    int generation = 0;
    int line = 0;
    bool has_open_line = false;
    std::string written;
  };

  bool one_in(std::uint64_t n) { return choice_.below(n) == 0; }

  void furnish(FakeStore& store) {
    store.traits.batch_bytes = {std::uint64_t{500} << choice_.below(10)};
    store.traits.batch_time = Millis{static_cast<std::int64_t>(1 + choice_.below(1000))};
    store.traits.in_flight_max = static_cast<std::uint32_t>(1 + choice_.below(4));
    store.traits.one_file_each = one_in(4);
    store.before_ms = choice_.below(one_in(3) ? 800 : 5);
    store.after_ms = choice_.below(20);
    store.failures = one_in(2) ? 0 : choice_.unit() * 0.7;
    store.lost_answers = one_in(2) ? 0 : choice_.unit() * 0.7;
    if (one_in(4)) {
      store.kind = FakeStore::Kind::file;
      store.traits.in_flight_max = 1;
    } else if (one_in(3)) {
      store.traits.coding = Coding::gzip;
    }
  }

  /// Lets time pass; a process that died is followed by another one.
  void pass(std::uint64_t ms) {
    const std::uint64_t end_ms = world_.loop.now_ms() + ms;
    while (world_.loop.now_ms() < end_ms) {
      world_.run_for(std::min<std::uint64_t>(10, end_ms - world_.loop.now_ms()));
      if (world_.is_running() && world_.dying().is_dead) world_.restart();
    }
  }

  void act() {
    const std::string name(1, static_cast<char>('a' + choice_.below(3)));
    switch (choice_.below(14)) {
      case 0:
        return rotate(name);
      case 1:
        return copy_and_truncate(name);
      case 2:
        return truncate(name);
      case 3:
        return restart();
      case 4:
        if (world_.is_running()) world_.dying().die_in = choice_.below(one_in(2) ? 10 : 200);
        return;
      case 5: {
        FakeStore& store = world_.store(choice_.below(world_.stores.size()));
        store.is_down = !store.is_down;
        return;
      }
      case 6:
        return world_.disk.overflow();
      default:
        return write(name, static_cast<int>(1 + choice_.below(one_in(5) ? 200 : 10)));
    }
  }

  void restart() {
    world_.kill();
    if (one_in(2)) {
      // While nobody runs nothing is deleted; the rest goes on.
      for (std::uint64_t i = choice_.below(4); i > 0; --i) {
        const std::string name(1, static_cast<char>('a' + choice_.below(3)));
        write(name, static_cast<int>(1 + choice_.below(20)));
        if (one_in(3)) rotate(name);
        world_.loop.run_for(choice_.below(5000));
      }
    }
    world_.start();
  }

  static std::string path(const std::string& name, int kept = 0) {
    return "/log/" + name + ".log" + (kept > 0 ? "." + std::to_string(kept) : "");
  }
  void put(const std::string& name, const std::string& text) {
    logs_[name].written += text;
    world_.disk.append(path(name), text);
  }
  void finish_line(const std::string& name) {
    if (std::exchange(logs_[name].has_open_line, false)) put(name, "|\n");
  }
  void write(const std::string& name, int count) {
    Log& log = logs_[name];
    finish_line(name);
    std::string text;
    for (int i = 0; i < count; ++i) {
      std::string line = name + "." + std::to_string(log.generation) + " ";
      line += std::to_string(100'000 + ++log.line) + " ";
      if (one_in(30)) line += std::string(choice_.below(3000), 'x');
      text += line + "\n";
    }
    log.has_open_line = one_in(6);
    if (log.has_open_line) text.pop_back();
    put(name, text);
  }

  /// Everything of that file is where it is to be.
  bool is_settled(const std::string& file) {
    if (!world_.is_running() || world_.dying().is_dead) return false;
    auto stat = world_.disk.stat(file);
    if (!stat) return true;
    const Tail* tail = followed(file);
    return tail != nullptr && tail->size == stat->size &&
           world_.saver().settled_of(*tail) == stat->size;
  }
  /// It has the file open, and will live until what is unread of it is in the spool.
  bool may_be_deleted(const std::string& file) {
    if (is_settled(file)) return true;
    if (!world_.is_running() || world_.dying().is_dead || is_polled_ || !has_copies_) return false;
    const Tail* tail = followed(file);
    return tail != nullptr && tail->file != nullptr;
  }
  /// It is in the journal too.
  const Tail* followed(const std::string& file) {
    if (!world_.is_running() || world_.dying().is_dead) return nullptr;
    for (const auto& [id, tail] : world_.saver().follower().tails()) {
      if (tail->record.path != file || !tail->is_listed || tail->is_ended) continue;
      // An inode that was used again: we have not heard of it yet.
      auto stat = world_.disk.stat(file);
      if (!stat || stat->identity.inode != tail->identity.inode) return nullptr;
      return tail->is_recorded ? tail.get() : nullptr;
    }
    return nullptr;
  }

  /// Moves the rotated files on; false when the oldest may not go.
  bool shift(const std::string& name) {
    if (world_.disk.exists(path(name, kKept))) {
      if (!may_be_deleted(path(name, kKept))) return false;
      if (world_.is_running()) world_.dying().die_in = DyingDisk::kNever;
      world_.disk.unlink(path(name, kKept));
      if (world_.is_running()) pass(world_.disk.traits.event_delay_ms + 20);
    }
    for (int kept = kKept - 1; kept > 0; --kept) {
      if (!world_.disk.exists(path(name, kept))) continue;
      REQUIRE(world_.disk.rename(path(name, kept), path(name, kept + 1)));
    }
    return true;
  }
  void begin_file(const std::string& name) {
    ++logs_[name].generation;
    logs_[name].line = 0;
  }

  void rotate(const std::string& name) {
    finish_line(name);
    auto stat = world_.disk.stat(path(name));
    // Where rotated files are not to be followed, one that nobody has seen would be lost.
    if (!stat || (!has_copies_ && followed(path(name)) == nullptr)) return;
    if (!shift(name)) return;
    REQUIRE(world_.disk.rename(path(name), path(name, 1)));
    begin_file(name);
    if (one_in(2)) world_.loop.run_for(choice_.below(100));
    write(name, 1);
  }

  void copy_and_truncate(const std::string& name) {
    finish_line(name);
    if (!world_.is_running() || world_.disk.read(path(name)).empty()) return;
    if (!has_copies_ && !is_settled(path(name))) return;
    if (!shift(name)) return;
    world_.disk.copy(path(name), path(name, 1));
    pass(one_in(2) ? 0 : choice_.below(1500));
    if (!has_copies_ && !is_settled(path(name))) return world_.disk.unlink(path(name, 1));
    cut(name);
  }
  void truncate(const std::string& name) {
    finish_line(name);
    if (world_.disk.exists(path(name)) && is_settled(path(name))) cut(name);
  }
  void cut(const std::string& name) {
    const std::uint64_t size = world_.disk.read(path(name)).size();
    world_.disk.truncate(path(name), 0);
    begin_file(name);
    if (!one_in(3)) return;
    const std::string line = name + "." + std::to_string(logs_[name].generation) + " hole\n";
    world_.disk.write_at(path(name), size, line);
    logs_[name].written += line;
  }

  /// Of each generation of each log the numbers rise.
  void check_order(const std::string& saved) {
    std::map<std::string, std::string> last;
    for (const std::string& line : split_lines(saved)) {
      const std::size_t space = line.find(' ');
      if (space == line.npos || line.compare(space + 1, 4, "hole") == 0) continue;
      const std::string number = line.substr(space + 1, 6);
      std::string& before = last[line.substr(0, space)];
      if (!(before < number)) FAIL_CHECK("out of order: ", line.substr(0, 40), " after ", before);
      before = number;
    }
  }

  Random choice_;
  const bool has_copies_;
  LogsaverWorld world_;
  bool is_polled_ = false;
  std::map<std::string, Log> logs_;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST_CASE("random lives of files, destinations and the process lose and repeat nothing") {
  const std::uint64_t only = number_from("CONSORT_MODEL_SEED", 0);
  const std::uint64_t count = number_from("CONSORT_MODEL_SEEDS", 400);
  for (std::uint64_t seed = only != 0 ? only : 1; seed <= (only != 0 ? only : count); ++seed) {
    CAPTURE(seed);
    Life life(seed);
    life.live();
    life.check();
  }
}

}  // namespace
}  // namespace consort::logsaver
