#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/scope.hpp"
#include "logsaver_sink_world.hpp"
#include "roles/logsaver/sinks/file_sink.hpp"

namespace consort::logsaver {
namespace {

using sim::DiskCall;
using test::SinkBench;
using Verdict = Outcome::Verdict;

const std::string kTarget = "/out/saved.log";

/// A batch with that body, promised now.
Batch promised(const Sink& sink, std::string body, BatchNumber number = 1) {
  Batch batch;
  batch.number = number;
  batch.id = "b-" + std::to_string(number);
  batch.created_ms = test::kCreatedMs;
  batch.file = "/var/log/app.log";
  batch.body = std::move(body);
  batch.position = sink.position_for(batch);
  return batch;
}

/// The same as it comes after a crash.
Batch again(Batch batch) {
  batch.is_replay = true;
  return batch;
}

std::string lines(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST_CASE("batches follow each other, each synced once, and the new name too") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  REQUIRE(bench.open(*sink));
  bench.disk.calls.take();
  Batch one = promised(*sink, "one\n");
  CHECK(one.position == 0);
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  CHECK(bench.disk.calls.count(DiskCall::sync, kTarget) == 1);
  CHECK(bench.disk.calls.count(DiskCall::sync_directory, "/out") == 1);
  bench.disk.calls.take();
  Batch two = promised(*sink, "two\n", 2);
  CHECK(two.position == 4);
  CHECK(sink->position() == 4);
  bench.disk.calls.take();
  CHECK(bench.deliver(*sink, two).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "one\ntwo\n");
  std::vector<DiskCall> calls;
  for (const auto& each : bench.disk.calls.take()) calls.push_back(each.call);
  CHECK(calls == std::vector{DiskCall::open, DiskCall::look, DiskCall::write, DiskCall::sync});
  CHECK(sink->traits().in_flight_max == 1);
  CHECK(bench.disk.open_files() == 0);
}

TEST_CASE("with sync=off nothing is synced") {
  SinkBench bench;
  const auto sink = bench.make("file:///deep/er/%Y/{file}?sync=off");
  REQUIRE(bench.open(*sink));
  CHECK(sink->traits().one_file_each);
  CHECK(bench.deliver(*sink, promised(*sink, "x\n")).verdict == Verdict::delivered);
  CHECK(bench.disk.read("/deep/er/2024/var_log_app.log") == "x\n");
  CHECK(bench.disk.calls.count(DiskCall::sync) == 0);
  CHECK(bench.disk.calls.count(DiskCall::sync_directory) == 0);
}

TEST_CASE("a directory as target means a file for each followed one") {
  SinkBench bench;
  REQUIRE(bench.disk.make_directory("/saved"));
  const auto sink = bench.make("file:///saved");
  CHECK(sink->name() == "file:///saved");
  CHECK(bench.deliver(*sink, promised(*sink, "x\n")).verdict == Verdict::delivered);
  CHECK(bench.disk.read("/saved/var_log_app.log") == "x\n");
  CHECK(sink->position() == FileSink::kUnknownPosition);
}

TEST_CASE("names and directories survive a power cut") {
  SinkBench bench;
  bench.disk.traits.names_lost_below = "/";
  {
    const auto sink = bench.make("file:///deep/%Y/%m/{file}");
    REQUIRE(bench.open(*sink));
    REQUIRE(bench.deliver(*sink, promised(*sink, "x\n")).verdict == Verdict::delivered);
  }
  bench.disk.crash();
  CHECK(bench.disk.read("/deep/2024/05/var_log_app.log") == "x\n");
}

TEST_CASE("whatever a crash leaves, the batch is in the target once") {
  const std::string before = lines(0, 300);
  const std::string body = lines(300, 2000);
  const std::string after = lines(2000, 2100);
  // How much of the batch a power cut leaves; with a second crash in mid-replay.
  for (const std::uint64_t keep : {0U, 1U, 5U, 4000U, 4096U, 9999U, 1U << 20}) {
    for (const std::uint64_t keep_again : {0U, 3U, 5000U, 1U << 20}) {
      CAPTURE(keep);
      CAPTURE(keep_again);
      SinkBench bench;
      bench.disk.traits.sync_ms = 50;
      std::optional<Batch> batch;
      std::optional<Outcome> outcome;
      for (const bool is_first : {true, false}) {
        auto sink = bench.make("file://" + kTarget);
        if (is_first) {
          REQUIRE(bench.deliver(*sink, promised(*sink, before)).verdict == Verdict::delivered);
          batch = promised(*sink, body, 2);
        } else {
          batch = again(std::move(*batch));
        }
        TaskScope scope;
        scope.spawn(SinkBench::run(*sink, *batch, outcome));
        bench.world.loop.run_for(20);
        REQUIRE_FALSE(outcome);
        scope.cancel();
        sink.reset();
        bench.disk.crash(is_first ? keep : keep_again);
      }
      const auto sink = bench.make("file://" + kTarget);
      CHECK(bench.deliver(*sink, again(std::move(*batch))).verdict == Verdict::delivered);
      CHECK(bench.disk.read(kTarget) == before + body);
      CHECK(bench.deliver(*sink, promised(*sink, after, 3)).verdict == Verdict::delivered);
      CHECK(bench.disk.read(kTarget) == before + body + after);
      CHECK_FALSE(bench.logged("file.changed"));
    }
  }
}

TEST_CASE("two promised batches that are both there already stay, and are not written again") {
  SinkBench bench;
  auto sink = bench.make("file://" + kTarget);
  const Batch one = promised(*sink, "one\n", 1);
  REQUIRE(bench.deliver(*sink, one).verdict == Verdict::delivered);
  const Batch two = promised(*sink, "two\n", 2);
  REQUIRE(bench.deliver(*sink, two).verdict == Verdict::delivered);
  sink = bench.make("file://" + kTarget);
  bench.disk.calls.take();
  CHECK(bench.deliver(*sink, again(one)).verdict == Verdict::delivered);
  CHECK(bench.deliver(*sink, again(two)).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "one\ntwo\n");
  CHECK(bench.disk.calls.count(DiskCall::write) == 0);
  CHECK(bench.disk.calls.count(DiskCall::sync) == 2);
}

TEST_CASE("NULs of blocks that never reached the disk are written over") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  const Batch batch = promised(*sink, lines(0, 1000));
  bench.disk.append(
      kTarget, batch.body.substr(0, 1000) + std::string(2000, '\0') + batch.body.substr(3000, 500));
  CHECK(bench.deliver(*sink, again(batch)).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == batch.body);
}

TEST_CASE("a target that was rotated gets the batch at its end, and says so") {
  SinkBench bench;
  auto sink = bench.make("file://" + kTarget);
  REQUIRE(bench.deliver(*sink, promised(*sink, lines(0, 10))).verdict == Verdict::delivered);
  const Batch batch = promised(*sink, "mine\n", 2);
  REQUIRE(bench.disk.rename(kTarget, kTarget + ".1"));
  bench.disk.append(kTarget, "new\n");
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "new\nmine\n");
  CHECK(bench.logged("it was rotated"));

  // After a crash: shorter than what was promised, and as long but with other bytes.
  for (const std::string found : {"new\n", "other bytes that are there now, and more of them\n"}) {
    SinkBench other;
    sink = other.make("file://" + kTarget);
    other.disk.append(kTarget, found);
    Batch replay = again(batch);
    replay.position = 10;
    CHECK(other.deliver(*sink, replay).verdict == Verdict::delivered);
    CHECK(other.disk.read(kTarget) == found + "mine\n");
    CHECK(other.logged("file.changed"));
  }
}

TEST_CASE("a batch that is built otherwise than the first time takes its own remains away") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  bench.disk.append(kTarget, "before\nhalf of the old fo");
  Batch batch = again(promised(*sink, "{new form}\n"));
  batch.position = 7;
  batch.has_same_settings = false;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "before\n{new form}\n");
}

TEST_CASE("bytes of another writer are never written over") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  const Batch batch = promised(*sink, "mine\n");
  bench.disk.append(kTarget, "theirs\n");
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "theirs\nmine\n");
  CHECK(bench.logged("somebody else writes to it"));
}

TEST_CASE("a position that could not be found out appends") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  bench.disk.append(kTarget, "there\n");
  bench.disk.calls.fail(DiskCall::stat, kTarget, EIO, 1);
  const Batch batch = promised(*sink, "mine\n");
  CHECK(batch.position == FileSink::kUnknownPosition);
  CHECK(bench.deliver(*sink, again(batch)).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "there\nmine\n");
}

TEST_CASE("a full disk keeps nothing half-written, and the batch waits") {
  const std::string body = lines(0, 100);
  for (std::uint64_t room = 0; room < body.size(); room += 97) {
    CAPTURE(room);
    SinkBench bench;
    const auto sink = bench.make("file://" + kTarget);
    REQUIRE(bench.deliver(*sink, promised(*sink, "before\n")).verdict == Verdict::delivered);
    const Batch batch = promised(*sink, body, 2);
    bench.disk.set_free(room);
    const Outcome outcome = bench.deliver(*sink, batch);
    CHECK(outcome.verdict == Verdict::retry);
    CHECK(outcome.why.find("free some space") != std::string::npos);
    CHECK(bench.disk.read(kTarget) == "before\n");
    bench.disk.set_free(1 << 20);
    CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
    CHECK(bench.disk.read(kTarget) == "before\n" + body);
  }
}

TEST_CASE("each call may fail once: the batch arrives all the same, once") {
  const std::string body = lines(0, 100);
  for (const DiskCall call : {DiskCall::open, DiskCall::look, DiskCall::write, DiskCall::sync,
                              DiskCall::sync_directory, DiskCall::read}) {
    for (const bool is_replay : {false, true}) {
      CAPTURE(static_cast<int>(call));
      CAPTURE(is_replay);
      SinkBench bench;
      const auto sink = bench.make("file://" + kTarget);
      Batch batch = promised(*sink, body);
      if (is_replay) {
        bench.disk.append(kTarget, body.substr(0, 50));
        batch = again(batch);
      }
      bench.disk.calls.fail(call, "", EIO, 1);
      Outcome outcome = bench.deliver(*sink, batch);
      if (outcome.verdict != Verdict::delivered) {
        CHECK(outcome.verdict == Verdict::retry);
        CHECK(outcome.why.find("file://" + kTarget) == 0);
        outcome = bench.deliver(*sink, batch);
      }
      CHECK(outcome.verdict == Verdict::delivered);
      CHECK(bench.disk.read(kTarget) == body);
    }
  }
}

TEST_CASE("a half-written batch that cannot be taken back is written over") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  const Batch batch = promised(*sink, lines(0, 100));
  bench.disk.set_free(50);
  bench.disk.calls.fail(DiskCall::truncate, "", EIO, 1);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::retry);
  CHECK(bench.disk.read(kTarget).size() == 50);
  CHECK(bench.logged("file.left_behind"));
  bench.disk.set_free(1 << 20);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == batch.body);
  CHECK_FALSE(bench.logged("file.changed"));
}

TEST_CASE("what only a person can mend is held, and told at the start") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  const Batch batch = promised(*sink, "x\n");
  bench.disk.append(kTarget, "");
  bench.disk.deny(kTarget);
  const Result<> opened = bench.open(*sink);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code() == Errc::denied);
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::hold);
  CHECK(outcome.why.find(kTarget) != std::string::npos);
}

TEST_CASE("a sync that never ends is given up, and the batch tried again") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget + "?timeout=2s");
  const Batch batch = promised(*sink, "x\n");
  bench.disk.traits.sync_ms = 100'000;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::retry);
  bench.disk.traits.sync_ms = 0;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "x\n");
  bench.world.loop.run_for(200'000);  // nobody waits for the first sync, and it ends
}

}  // namespace
}  // namespace consort::logsaver
