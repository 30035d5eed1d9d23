// A saver whose destination gets manifests: what arrives is a chain without gaps, whatever happens
// to the process in between.
#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "roles/logsaver/manifest.hpp"
#include "roles/logsaver/verify/body_check.hpp"
#include "roles/logsaver/verify/checker.hpp"
#include "unit/roles/logsaver_world.hpp"

namespace consort::logsaver {
namespace {

using test::lines;
using test::LogsaverWorld;

/// Objects as they came first: a manifest of the same batch must be the same ever after.
struct Chained : LogsaverWorld {
  explicit Chained(std::uint64_t seed = 1) : LogsaverWorld(seed) {
    store().traits.manifest_bytes_max = kObjectManifestBytesMax;
    store().traits.in_flight_max = 3;
    store().traits.batch_bytes = {4 * 1024};
    store().seen = [this](const Batch& batch) {
      const auto [known, is_new] = manifests.try_emplace(batch.number, batch.manifest);
      if (!is_new && known->second != batch.manifest) ++different_manifests;
    };
  }

  Report check() {
    Checker checker({.from_start = true, .heads = {}});
    for (const auto& [number, text] : manifests) {
      const Result<Manifest> manifest = read_manifest(text);
      REQUIRE(manifest);
      BodyCheck body(*manifest);
      body.add(store().objects.at(number));
      CHECK(body.finish().value_or("") == "");
      CHECK(text.size() <= kObjectManifestBytesMax);
      checker.add(
          {.name = std::to_string(number), .manifest = *manifest, .hash = hash_of_manifest(text)});
    }
    return checker.finish();
  }

  std::map<BatchNumber, std::string> manifests;
  int different_manifests = 0;
};

std::string problems(const Report& report) {
  std::string text;
  for (const Problem& problem : report.problems) text += problem.where + ": " + problem.text + "\n";
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

TEST_CASE("batches that overtake each other make one chain, over restarts too") {
  Chained world;
  world.store().failures = 0.3;
  world.store().lost_answers = 0.3;
  world.start();
  for (int i = 0; i < 10; ++i) {
    world.disk.append("/log/a.log", lines("a", 1000 * i, 1000 * i + 999));
    world.disk.append("/log/b.log", lines("b", 1000 * i, 1000 * i + 499));
    world.run_for(150);
    world.restart();
  }
  world.store().failures = world.store().lost_answers = 0;
  world.run_for(20'000);
  CHECK(world.saver().is_settled());
  const Report report = world.check();
  CHECK(problems(report) == "");
  REQUIRE(report.streams.size() == 1);
  CHECK(report.streams[0].records == 15'000);
  CHECK(report.streams[0].count > 20);
  CHECK(report.streams[0].files == 2);
  CHECK(world.different_manifests == 0);
}

TEST_CASE("the chain goes on where the state says, also when all had settled") {
  Chained world;
  world.start();
  world.disk.append("/log/a.log", lines("a", 1, 10));
  world.run_for(1'000);
  REQUIRE(world.saver().is_settled());
  const std::string first = world.manifests.at(1);
  world.restart();
  world.disk.append("/log/a.log", lines("a", 11, 20));
  world.run_for(1'000);
  const Result<Manifest> second = read_manifest(world.manifests.at(2));
  REQUIRE(second);
  CHECK(second->prev == hash_of_manifest(first));
  CHECK(second->sources[0].from == 80);
}

TEST_CASE("what filters drop is waited with for a record, and leaves no gap") {
  Chained world;
  auto filter = LineFilter::make({}, std::vector<std::string>{"^drop"});
  REQUIRE(filter);
  world.rules.filter = std::move(*filter);
  world.start();
  world.disk.append("/log/a.log", lines("drop", 1, 10));
  world.run_for(1'000);
  CHECK(world.manifests.empty());
  world.disk.append("/log/a.log", lines("keep", 1, 2));
  world.run_for(500);
  REQUIRE(world.manifests.size() == 1);
  CHECK(read_manifest(world.manifests.at(1))->records == 2);
  CHECK(read_manifest(world.manifests.at(1))->sources[0].from == 0);
  // In the end it is an object without records, before too much would be read again.
  world.disk.append("/log/a.log", lines("drop", 11, 20));
  world.run_for(2'000);
  REQUIRE(world.manifests.size() == 2);
  CHECK(read_manifest(world.manifests.at(2))->records == 0);
  CHECK(world.saver().is_settled());
  CHECK(problems(world.check()) == "");
}

TEST_CASE("what filters drop is sent when there is much of it, and at the end") {
  Chained world;
  auto filter = LineFilter::make({}, std::vector<std::string>{"^drop"});
  REQUIRE(filter);
  world.rules.filter = std::move(*filter);
  world.store().traits.batch_time = Millis{3'600'000};
  world.start();
  world.disk.append("/log/a.log", lines("drop", 1, 9000));
  world.run_for(1'000);
  CHECK(world.manifests.size() >= 2);
  world.disk.append("/log/a.log", lines("drop", 1, 5));
  world.run_for(100);
  CHECK(world.drain());
  const Report report = world.check();
  CHECK(problems(report) == "");
  CHECK(report.streams[0].records == 0);
}

TEST_CASE("a batch has no more files than its manifest can name") {
  Chained world;
  world.store().traits.batch_time = Millis{1'000};
  world.start();
  for (int i = 0; i < 50; ++i) {
    world.disk.append("/log/" + std::to_string(i) + ".log", lines("a", 1, 3));
  }
  world.run_for(20'000);
  const Report report = world.check();
  CHECK(problems(report) == "");
  CHECK(report.streams[0].files == 50);
  // As full as they may be, but for the last one.
  const std::size_t tails = manifest_tails_max(kObjectManifestBytesMax);
  CHECK(world.manifests.size() == (50 + tails - 1) / tails);
}

TEST_CASE("a batch whose bytes are gone after a crash is a gap that says so") {
  Chained world;
  world.start();
  world.disk.append("/log/a.log", lines("a", 1, 10));
  world.run_for(1'000);
  world.store().is_down = true;
  world.disk.append("/log/b.log", lines("b", 1, 10));
  world.run_for(1'000);
  world.kill();
  world.disk.unlink("/log/b.log");
  world.store().is_down = false;
  world.start();
  world.disk.append("/log/a.log", lines("a", 11, 20));
  world.run_for(400'000);
  CHECK(problems(world.check()) ==
        "stream " + read_manifest(world.manifests.at(1))->batch.substr(0, 18) +
            ": batch 2 is missing: nothing was ever saved of it (its bytes were lost, or there "
            "were no manifests then)\n");
}

TEST_CASE("a destination without manifests has none, and no empty batches") {
  LogsaverWorld world;
  auto filter = LineFilter::make({}, std::vector<std::string>{"^drop"});
  REQUIRE(filter);
  world.rules.filter = std::move(*filter);
  std::size_t manifests = 0;
  world.store().seen = [&manifests](const Batch& batch) { manifests += batch.manifest.size(); };
  world.start();
  world.disk.append("/log/a.log", lines("drop", 1, 10));
  world.run_for(1'000);
  CHECK(world.store().arrivals == 0);
  world.disk.append("/log/a.log", lines("keep", 1, 10));
  world.run_for(1'000);
  CHECK(world.store().arrivals == 1);
  CHECK(manifests == 0);
  CHECK(world.journal().ledger().sinks()[0].chain == ManifestHash{});
}

}  // namespace
}  // namespace consort::logsaver
