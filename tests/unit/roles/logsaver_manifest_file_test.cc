#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "logsaver_sink_world.hpp"
#include "roles/logsaver/manifest.hpp"
#include "roles/logsaver/sinks/manifest_file.hpp"

namespace consort::logsaver {
namespace {

using sim::DiskCall;
using test::SinkBench;
using Verdict = Outcome::Verdict;

const std::string kTarget = "/out/saved.log";
const std::string kManifests = "/out/saved.log.manifest";

Batch promised(const Sink& sink, const std::string& body, BatchNumber number) {
  Batch batch;
  batch.number = number;
  batch.id = "4f2a9c01d3b7e655-0-" + std::to_string(number);
  batch.created_ms = test::kCreatedMs;
  batch.body = body;
  batch.position = sink.position_for(batch);
  const Manifest manifest{
      .batch = batch.id, .stored = body.size(), .sha256 = hash_of_manifest(body)};
  batch.manifest = write_manifest(manifest, kFileManifestBytesMax);
  return batch;
}

std::string line(const Batch& batch, std::uint64_t at) {
  return write_manifest_line(batch.manifest, at) + "\n";
}

void put(SinkBench& bench, const std::string& path, std::string_view text) {
  bench.disk.truncate(path, 0);
  if (!text.empty()) bench.disk.append(path, text);
}

TEST_CASE("each batch has a line beside the file, synced before it counts as delivered") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget + "?manifest=on");
  const Batch one = promised(*sink, "one\n", 1);
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  CHECK(bench.disk.calls.count(DiskCall::sync, kManifests) == 1);
  const Batch two = promised(*sink, "two two\n", 2);
  CHECK(bench.deliver(*sink, two).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kTarget) == "one\ntwo two\n");
  CHECK(bench.disk.read(kManifests) == line(one, 0) + line(two, 4));
}

TEST_CASE("a batch that comes again has one line, whatever a crash left of it") {
  SinkBench bench;
  auto sink = bench.make("file://" + kTarget + "?manifest=on");
  const Batch one = promised(*sink, "one\n", 1);
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  Batch two = promised(*sink, "two\n", 2);
  CHECK(bench.deliver(*sink, two).verdict == Verdict::delivered);
  two.is_replay = true;
  const std::string whole = line(one, 0) + line(two, 4);
  for (std::size_t left = line(one, 0).size(); left <= whole.size(); left += 7) {
    CAPTURE(left);
    put(bench, kManifests, whole.substr(0, left));
    sink = bench.make("file://" + kTarget + "?manifest=on");  // a new process
    CHECK(bench.deliver(*sink, two).verdict == Verdict::delivered);
    CHECK(bench.disk.read(kManifests) == whole);
    CHECK(bench.disk.read(kTarget) == "one\ntwo\n");
  }
}

TEST_CASE("a line that is longer than what is looked at first is found whole") {
  SinkBench bench;
  auto sink = bench.make("file://" + kTarget + "?manifest=on");
  Batch one = promised(*sink, "one\n", 1);
  Manifest manifest = *read_manifest(one.manifest);
  for (int i = 0; i < 500; ++i) {
    manifest.sources.push_back(
        {"4f2a9c01d3b7e655-" + std::to_string(i), "/f" + std::to_string(i), 0, 1});
  }
  one.manifest = write_manifest(manifest, kFileManifestBytesMax);
  CHECK(one.manifest.size() > 16 * 1024);
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  one.is_replay = true;
  sink = bench.make("file://" + kTarget + "?manifest=on");
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kManifests) == line(one, 0));
}

TEST_CASE("a rotated output begins anew in its manifests, and keeps the lines of the old one") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget + "?manifest=on");
  const Batch one = promised(*sink, "one\n", 1);
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  put(bench, kTarget, "");
  Batch two = promised(*sink, "two\n", 2);
  two.is_replay = true;
  CHECK(bench.deliver(*sink, two).verdict == Verdict::delivered);
  CHECK(bench.disk.read(kManifests) == line(one, 0) + line(two, 0));
}

TEST_CASE("without manifests there is no second file") {
  SinkBench bench;
  const auto sink = bench.make("file://" + kTarget);
  CHECK(sink->traits().manifest_bytes_max == 0);
  Batch one = promised(*sink, "one\n", 1);
  one.manifest.clear();
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  CHECK_FALSE(bench.disk.stat(kManifests));
}

}  // namespace
}  // namespace consort::logsaver
