// A whole saver in a simulated world: log files, their writers, destinations that keep what they
// are sent, and a process that can be killed.
//
//   LogsaverWorld world;                          // follows /log/*.log, one destination
//   world.start();
//   world.disk.append("/log/a.log", "one\n");
//   world.run_for(5'000);
//   CHECK(world.saved() == "one\n");
//   world.restart();                              // kill -9, and a new process
//   world.store().is_down = true;
//
// A FakeStore outlives the process; it checks that a batch has the same bytes whenever it comes.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/deadline.hpp"
#include "async/timer.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "roles/logsaver/facts.hpp"
#include "roles/logsaver/saver.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/state/journal.hpp"
#include "sim/world.hpp"
#include "unit/roles/logsaver_dying_disk.hpp"
#include "wire/gzip_reader.hpp"

namespace consort::logsaver::test {

/// A destination, and how it behaves.
struct FakeStore {
  enum class Kind : std::uint8_t {
    objects,  ///< keyed by the batch's number: the same one again replaces itself
    file,     ///< one long file: a batch that comes again is written over from its position on
  };

  std::string name = "fake:";
  Kind kind = Kind::objects;
  SinkTraits traits{.batch_bytes = {64 * 1024}, .batch_time = Millis{100}};
  std::uint64_t before_ms = 1;  ///< until it has the batch
  std::uint64_t after_ms = 1;   ///< until it says so
  bool is_down = false;
  double failures = 0;      ///< how many tries in one come to nothing
  double lost_answers = 0;  ///< it has the batch, and its answer does not arrive
  Outcome down = Outcome::again("it is down");
  std::function<void(const Batch&)> seen;  ///< is told of each that arrives, if anybody

  std::map<BatchNumber, std::string> objects;
  std::map<std::string, std::string> bodies;  ///< by id: must be the same every time
  std::map<std::string, std::string> places;  ///< the same: what objects' names are made of
  std::string content;                        ///< of the file
  std::uint64_t deliveries = 0;
  std::uint64_t arrivals = 0;
  std::uint64_t different_bodies = 0;
  std::uint64_t different_places = 0;
  std::map<std::int64_t, std::string> times;  ///< created_ms, and the id of the batch that had it
  std::uint64_t equal_times = 0;

  /// In the order of the batches.
  std::string text() const {
    if (kind == Kind::file) return content;
    std::string all;
    for (const auto& [number, body] : objects) {
      if (traits.coding == Coding::gzip) {
        all += gunzip(body, std::size_t{1} << 28).value_or("<no gzip>\n");
      } else {
        all += body;
      }
    }
    return all;
  }

  void take(const Batch& batch) {
    ++arrivals;
    if (seen) seen(batch);
    const std::string place = batch.file + " " + std::to_string(batch.first_tail) + " " +
                              std::to_string(batch.first_offset);
    const bool is_same_place = places.try_emplace(batch.id, place).first->second == place;
    if (traits.one_file_each && !is_same_place) ++different_places;
    const bool is_own_time =
        times.try_emplace(batch.created_ms, batch.id).first->second == batch.id;
    if (!traits.one_file_each && !is_own_time) ++equal_times;
    auto [known, is_new] = bodies.try_emplace(batch.id, batch.body);
    if (!is_new && known->second != batch.body) {
      if (!batch.has_same_settings) return;  // what it has is more: a real one would look
      ++different_bodies;
    }
    objects[batch.number] = batch.body;
    if (kind != Kind::file) return;
    if (content.size() > batch.position) content.resize(batch.position);
    content.resize(batch.position, '?');
    content += batch.body;
  }
};

class FakeSink final : public Sink {
 public:
  FakeSink(FakeStore& store, io::Loop& loop, Random& random, const DyingDisk& process)
      : store_(store), loop_(loop), random_(random), process_(process) {}

  const std::string& name() const override { return store_.name; }
  const SinkTraits& traits() const override { return store_.traits; }
  std::unique_ptr<Encoding> make_encoding() const override {
    return std::make_unique<RawEncoding>();
  }
  std::uint64_t position() const override { return store_.content.size(); }
  Task<Outcome> deliver(const Batch& batch) override {
    ++store_.deliveries;
    co_await sleep_until(loop_.timers(), loop_.now_ms() + store_.before_ms);
    if (process_.is_dead) co_return Outcome::again("nobody is there");
    if (store_.is_down) co_return store_.down;
    if (random_.unit() < store_.failures) {
      co_return Outcome::again("failed", Millis{0}, random_.below(2) == 0);
    }
    store_.take(batch);
    co_await sleep_until(loop_.timers(), loop_.now_ms() + store_.after_ms);
    if (random_.unit() < store_.lost_answers) co_return Outcome::again("the answer got lost");
    co_return Outcome::ok();
  }

 private:
  FakeStore& store_;
  io::Loop& loop_;
  Random& random_;
  const DyingDisk& process_;
};

inline const std::string kStateDirectory = "/state";

class LogsaverWorld {
 public:
  explicit LogsaverWorld(std::uint64_t seed = 1, std::vector<std::string> paths = {"/log/*.log"})
      : sim(seed), disk(sim.disk), loop(sim.loop), random(sim.random) {
    selected.include = std::move(paths);
    selected.own = {kStateDirectory};
    add_store();
  }
  ~LogsaverWorld() { kill(); }

  FakeStore& add_store() {
    stores.push_back(std::make_unique<FakeStore>());
    stores.back()->name = "fake:" + std::to_string(stores.size());
    return *stores.back();
  }
  FakeStore& store(std::size_t n = 0) { return *stores.at(n); }

  Result<> try_start() {
    process_ = std::make_unique<Process>(disk);
    Process& p = *process_;
    auto made = Selection::make(selected, "/");
    if (!made) return fail(std::move(made.error()));
    p.selection = std::move(*made);
    if (has_state) {
      auto opened = Journal::open(p.disk, kStateDirectory, random);
      if (!opened) {
        process_.reset();
        return fail(std::move(opened.error()));
      }
      p.journal = std::move(*opened);
    } else {
      p.journal = Journal::volatile_one(random);
    }
    p.dead_letters.emplace(p.disk, kStateDirectory + "/dead");
    p.buffer.resize(kEndCheckBytes + 2 * rules.assembler.line_bytes_max() + 4096);
    p.saver = std::make_unique<Saver>(Follower::World{loop, p.disk, *p.journal, log}, *p.selection,
                                      follow);
    for (const auto& each : stores) {
      auto index = p.journal->add_sink(each->name);
      if (!index) {
        process_.reset();
        return fail(std::move(index.error()));
      }
      const FactRules facts{.labels = {}, .host = "web-1"};
      p.saver->add(std::make_unique<Delivery>(
          DeliveryWorld{
              .loop = loop,
              .random = random,
              .log = log,
              .journal = *p.journal,
              .dead_letters = *p.dead_letters,
              .wall_ms = [this] { return wall_ms(); },
              .facts = [facts, id = p.journal->ledger().state_id()](
                           const Tail& tail) { return make_facts(facts, id, tail.record); },
              .buffer = p.buffer},
          delivery, rules, std::make_unique<FakeSink>(*each, loop, random, p.disk), *index));
    }
    return p.saver->start();
  }
  void start() {
    const Result<> started = try_start();
    if (!started) FAIL(started.error().text());
  }
  /// kill -9: nothing is finished, nothing is told.
  void kill() { process_.reset(); }
  void restart() {
    kill();
    start();
  }
  bool is_running() const { return process_ != nullptr; }
  DyingDisk& dying() { return process_->disk; }

  /// Steps of ten milliseconds, after each of which all bytes must be accounted for.
  void run_for(std::uint64_t ms) {
    const std::uint64_t end_ms = loop.now_ms() + ms;
    while (loop.now_ms() < end_ms) {
      loop.run_for(std::min<std::uint64_t>(step_ms, end_ms - loop.now_ms()));
      check_sums();
    }
  }
  /// What was read is brought to its end, as a graceful stop does; then the process ends.
  bool drain(std::uint64_t limit_ms = 30'000) {
    for (const auto& each : saver().deliveries()) each->stop_reading();
    const bool is_done = loop.run_until([&] { return saver().is_settled(); }, limit_ms);
    check_sums();
    kill();
    return is_done;
  }
  void check_sums() const {
    if (process_ == nullptr || process_->disk.is_dead) return;
    for (const auto& each : process_->saver->deliveries()) {
      if (!each->adds_up()) FAIL("the bytes of ", each->sink().name(), " do not add up");
    }
  }

  Saver& saver() { return *process_->saver; }
  const Journal& journal() const { return *process_->journal; }
  const FollowCounters& counted() { return saver().follower().counters(); }
  std::string saved(std::size_t n = 0) { return store(n).text(); }
  std::int64_t wall_ms() const {
    return 1'700'000'000'000 + static_cast<std::int64_t>(loop.now_ms()) + wall_step_ms;
  }
  bool logged(std::string_view words) const {
    return std::ranges::any_of(
        log.tail(1000), [words](const std::string& line) { return line.find(words) != line.npos; });
  }
  std::string log_text() const {
    std::string all;
    for (const std::string& line : log.tail(200)) all += line + "\n";
    return all;
  }
  /// How many names there are in a directory.
  std::size_t names_in(const std::string& directory) {
    auto entries = disk.list(directory);
    return entries ? entries->size() : 0;
  }
  /// How many bytes the follower says that it lost, and the destinations.
  std::uint64_t lost() {
    std::uint64_t bytes = counted().lost_bytes;
    for (const auto& each : saver().deliveries()) bytes += each->counters().lost_bytes;
    return bytes;
  }

  sim::World sim;
  sim::SimFileSystem& disk;
  sim::SimLoop& loop;
  Random& random;
  std::int64_t wall_step_ms = 0;
  std::uint64_t step_ms = 10;
  Logger log{
      {.write = [](void*, std::string_view) {},
       .wall_ms =
           [](void* self) {
             return static_cast<std::int64_t>(static_cast<LogsaverWorld*>(self)->loop.now_ms());
           },
       .context = this},
      {.format = consort::LogFormat::logfmt}};
  Selection::Rules selected;
  bool has_state = true;
  FollowSettings follow;
  DeliverySettings delivery;
  RecordRules rules;
  std::vector<std::unique_ptr<FakeStore>> stores;

 private:
  struct Process {
    explicit Process(io::FileSystem& below) : disk(below) {}
    DyingDisk disk;
    std::optional<Selection> selection;
    std::unique_ptr<Journal> journal;
    std::optional<DeadLetters> dead_letters;
    std::vector<char> buffer;
    std::unique_ptr<Saver> saver;
  };
  std::unique_ptr<Process> process_;
};

/// "a-00001", "a-00002", ...: lines of equal width.
inline std::string lines(std::string_view name, int from, int to) {
  std::string all;
  for (int i = from; i <= to; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, 5 - std::min<std::size_t>(number.size(), 5), '0');
    all.append(name).append("-").append(number).append("\n");
  }
  return all;
}

inline std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    all.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return all;
}

inline std::string sorted(const std::string& text) {
  std::vector<std::string> all = split_lines(text);
  std::ranges::sort(all);
  std::string joined;
  for (const std::string& line : all) joined += line + "\n";
  return joined;
}

/// Every line once, in whatever order: which are missing and which are too many.
inline std::string difference(const std::string& saved, const std::string& written) {
  std::map<std::string, int> counts;
  for (const std::string& line : split_lines(written)) ++counts[line];
  for (const std::string& line : split_lines(saved)) --counts[line];
  std::string text;
  int told = 0;
  for (const auto& [line, count] : counts) {
    if (count == 0 || ++told > 20) continue;
    text += (count > 0 ? "lost " : "extra ") + std::to_string(count > 0 ? count : -count) + " x " +
            line.substr(0, 60) + "\n";
  }
  return text;
}

}  // namespace consort::logsaver::test
