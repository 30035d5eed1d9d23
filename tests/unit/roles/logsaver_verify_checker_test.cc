#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "roles/logsaver/verify/body_check.hpp"
#include "roles/logsaver/verify/checker.hpp"
#include "roles/logsaver/verify/report_text.hpp"
#include "wire/compressor.hpp"

namespace consort::logsaver {
namespace {

using Kind = Problem::Kind;

constexpr std::string_view kStream = "4f2a9c01d3b7e655-0";

/// Batches 1..n of one stream, each with 100 bytes of one file, as a saver makes them.
std::vector<Checker::Saved> chain(int n, const std::string& stream = std::string(kStream)) {
  std::vector<Checker::Saved> all;
  ManifestHash prev{};
  for (int i = 1; i <= n; ++i) {
    Manifest manifest{.batch = stream + "-" + std::to_string(i),
                      .prev = prev,
                      .records = 10,
                      .bytes = 100,
                      .stored = 100,
                      .sha256 = hash_of_manifest("body " + std::to_string(i))};
    const auto from = static_cast<std::uint64_t>(100 * (i - 1));
    manifest.sources.push_back({"4f2a9c01d3b7e655-7", "/var/log/a.log", from, from + 100});
    const std::string text = write_manifest(manifest, kFileManifestBytesMax);
    prev = hash_of_manifest(text);
    all.push_back({.name = "key-" + std::to_string(i), .manifest = manifest, .hash = prev});
  }
  return all;
}

/// Another manifest in its place, with the hash that it has then.
void replace(Checker::Saved& saved, Manifest manifest) {
  saved.hash = hash_of_manifest(write_manifest(manifest, kFileManifestBytesMax));
  saved.manifest = std::move(manifest);
}

Report check(const std::vector<Checker::Saved>& all, Checker::Rules rules = {}) {
  Checker checker(std::move(rules));
  for (const Checker::Saved& saved : all) checker.add(saved);
  return checker.finish();
}

std::string problems(const Report& report) {
  std::string text;
  for (const Problem& problem : report.problems) {
    text.append(to_string(problem.kind)).append(" ").append(problem.where).append(": ");
    text.append(problem.text).append("\n");
  }
  return text;
}

TEST_CASE("a chain without gaps is complete, in whatever order it is found") {
  std::vector<Checker::Saved> all = chain(12);
  std::swap(all[0], all[11]);
  std::swap(all[3], all[5]);
  const Report report = check(all);
  CHECK(problems(report).empty());
  CHECK(report.is_complete());
  REQUIRE(report.streams.size() == 1);
  CHECK(report.streams[0].count == 12);
  CHECK(report.streams[0].records == 120);
  CHECK(report.streams[0].files == 1);
  CHECK(report.streams[0].first == 1);
  CHECK(report.streams[0].last == 12);
  CHECK(report_lines(report) ==
        "stream 4f2a9c01d3b7e655-0: 12 objects, 120 records, 1 file, complete\n");
}

TEST_CASE("a batch that is not there is named, with the bytes that were in it") {
  std::vector<Checker::Saved> all = chain(6);
  all.erase(all.begin() + 2, all.begin() + 4);
  const Report report = check(all);
  CHECK(problems(report) ==
        "missing stream 4f2a9c01d3b7e655-0: batches 3 to 4 are missing: bytes 200 to 400 of "
        "/var/log/a.log\n");
  CHECK_FALSE(report.is_complete());
  CHECK(report_lines(report).ends_with("4 objects, 40 records, 1 file, 1 problem\n"));
}

TEST_CASE("a file that began in a batch that is missing is told with it") {
  std::vector<Checker::Saved> all = chain(3);
  for (std::size_t i = 1; i < 3; ++i) {
    Manifest other = all[i].manifest;
    if (i == 2) other.prev = all[1].hash;
    other.sources[0] = {"4f2a9c01d3b7e655-9", "/b", i == 1 ? 0U : 40U, i == 1 ? 40U : 80U};
    replace(all[i], other);
  }
  CHECK(check(all).is_complete());
  all.erase(all.begin() + 1);
  CHECK(problems(check(all)) ==
        "missing stream 4f2a9c01d3b7e655-0: batch 2 is missing: bytes 0 to 40 of /b\n");
  // Else it began there.
  all.pop_back();
  Manifest late = chain(2)[1].manifest;
  late.sources[0] = {"4f2a9c01d3b7e655-9", "/b", 40, 80};
  all.push_back(chain(2)[1]);
  replace(all[1], late);
  CHECK(check(all).is_complete());
}

TEST_CASE("a batch that was never saved is told from one that was taken away") {
  std::vector<Checker::Saved> all = chain(3);
  all.erase(all.begin() + 1);
  Manifest third = all[1].manifest;
  third.prev = all[0].hash;
  replace(all[1], third);
  CHECK(problems(check(all)).find("nothing was ever saved of it") != std::string::npos);
}

TEST_CASE("a manifest that was changed does not fit to the next one") {
  std::vector<Checker::Saved> all = chain(5);
  Manifest changed = all[2].manifest;
  changed.records = 9;
  replace(all[2], changed);
  CHECK(problems(check(all)) ==
        "changed key-4: does not go on from batch 3 (key-3): one of the two was replaced\n");
}

TEST_CASE("batches that changed their places are noticed") {
  std::vector<Checker::Saved> all = chain(4);
  Manifest second = all[1].manifest;
  Manifest third = all[2].manifest;
  std::swap(second.batch, third.batch);
  replace(all[1], second);
  replace(all[2], third);
  const Report report = check(all);
  CHECK(report.problems_total >= 2);
  CHECK(problems(report).find("changed key-4") != std::string::npos);
}

TEST_CASE("a batch that is there twice is told") {
  std::vector<Checker::Saved> all = chain(3);
  all.push_back(all[1]);
  all.back().name = "other";
  CHECK(problems(check(all)) == "twice other: is batch 2, as key-2 is\n");
}

TEST_CASE("first batches that are gone have expired, unless somebody wants them") {
  std::vector<Checker::Saved> all = chain(5);
  all.erase(all.begin(), all.begin() + 2);
  const Report report = check(all);
  CHECK(report.is_complete());
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].find("begins with batch 3") != std::string::npos);
  const Report strict = check(all, {.from_start = true});
  CHECK(problems(strict).starts_with("missing stream 4f2a9c01d3b7e655-0: batches 1 to 2"));
}

TEST_CASE("bytes of a file that are in no batch are a gap, and those in two are told too") {
  std::vector<Checker::Saved> all = chain(3);
  Manifest last = all[2].manifest;
  last.sources[0].from = 250;
  replace(all[2], last);
  CHECK(problems(check(all)) ==
        "gap key-3: bytes 200 to 250 of /var/log/a.log are in no batch: they were lost before "
        "they were saved\n");
  last.sources[0].from = 150;
  replace(all[2], last);
  CHECK(problems(check(all)) ==
        "twice key-3: bytes 150 to 200 of /var/log/a.log are in a batch before it too\n");
  // Who had no room for all sources may have named it there.
  Manifest second = all[1].manifest;
  second.more = 1;
  replace(all[1], second);
  last.sources[0].from = 250;
  last.prev = all[1].hash;
  replace(all[2], last);
  CHECK(check(all).is_complete());
}

TEST_CASE("streams under one prefix do not know of each other") {
  std::vector<Checker::Saved> all = chain(3);
  for (Checker::Saved& saved : chain(4, "00000000000000aa-1")) all.push_back(std::move(saved));
  all.erase(all.begin() + 4);
  const Report report = check(all);
  REQUIRE(report.streams.size() == 2);
  CHECK(report.streams[0].id == "00000000000000aa-1");
  CHECK(report.streams[0].problems == 1);
  CHECK(report.streams[1].problems == 0);
}

TEST_CASE("foreign objects are counted and are no error; nothing else is nothing proved") {
  Checker checker({});
  checker.foreign("READ\x1b[31mME\n");
  checker.foreign("x");
  for (const Checker::Saved& saved : chain(1)) checker.add(saved);
  const Report report = checker.finish();
  CHECK(report.is_complete());
  CHECK(report_lines(report).ends_with("2 objects carry no manifest, the first is READ?[31mME?\n"));
  Checker nothing({});
  nothing.foreign("README");
  CHECK_FALSE(nothing.finish().is_complete());
}

TEST_CASE("a batch that was built again after a crash may be another than the next one names") {
  std::vector<Checker::Saved> all = chain(3);
  Manifest second = all[1].manifest;
  second.is_rebuilt = true;
  replace(all[1], second);
  const Report report = check(all);
  CHECK(report.is_complete());
  CHECK(report.notes.size() == 1);
}

TEST_CASE("a head that somebody has kept must be there") {
  const std::vector<Checker::Saved> all = chain(3);
  const std::string id = std::string(kStream) + "-3=";
  const Result<Head> head = parse_head(id + to_text(all[2].hash));
  REQUIRE(head);
  CHECK(check(all, {.heads = {*head}}).is_complete());
  std::vector<Checker::Saved> cut = all;
  cut.pop_back();
  CHECK(problems(check(cut, {.heads = {*head}})) ==
        "missing stream 4f2a9c01d3b7e655-0: batch 3, which --head names, is missing\n");
  const Result<Head> other = parse_head(id + to_text(all[1].hash));
  REQUIRE(other);
  CHECK(problems(check(all, {.heads = {*other}})) ==
        "changed key-3: batch 3 is not the one that --head names\n");
  CHECK_FALSE(parse_head("4f2a-0-3"));
  CHECK_FALSE(parse_head("4f2a-0-3="));
  CHECK_FALSE(parse_head("=" + to_text(all[1].hash)));
}

TEST_CASE("problems are kept up to a limit and counted beyond it") {
  std::vector<Checker::Saved> all;
  for (int i = 0; i < 1200; ++i) {
    Checker::Saved saved = chain(1)[0];
    saved.manifest.batch = std::string(kStream) + "-" + std::to_string(2 * i + 1);
    all.push_back(std::move(saved));
  }
  const Report report = check(all);
  CHECK(report.problems.size() == Checker::kProblemsMax);
  CHECK(report.problems_total > Checker::kProblemsMax);
  CHECK(report_lines(report).find(" problems more\n") != std::string::npos);
}

TEST_CASE("a body is what its manifest says, however it is cut and coded") {
  std::string plain;
  for (int i = 0; i < 5000; ++i) plain += "{\"line\":" + std::to_string(i * 7919) + "}\n";
  for (const Coding coding : {Coding::none, Coding::gzip, Coding::zstd}) {
    CAPTURE(static_cast<int>(coding));
    std::string body;
    make_compressor(coding)->add(plain.substr(0, 1000), body);
    make_compressor(coding)->add(plain.substr(1000), body);
    Manifest manifest{.records = 5000,
                      .bytes = plain.size(),
                      .has_line_each = true,
                      .coding = coding,
                      .stored = body.size(),
                      .sha256 = hash_of_manifest(body)};
    const auto judge = [&manifest](std::string_view bytes, std::size_t piece) {
      BodyCheck check(manifest);
      for (std::size_t at = 0; at < bytes.size(); at += piece) check.add(bytes.substr(at, piece));
      return check.finish().value_or("fine");
    };
    for (const std::size_t piece : {1UL, 7UL, 4096UL, body.size()})
      CHECK(judge(body, piece) == "fine");
    std::string changed = body;
    changed[body.size() / 2] = static_cast<char>(changed[body.size() / 2] ^ 1);
    CHECK(judge(changed, 4096) == "its bytes were changed (another SHA-256)");
    CHECK(judge(std::string_view(body).substr(1), 4096).starts_with("has "));
    CHECK(judge(body + "x", 4096).starts_with("has "));
    manifest.records = 4999;
    CHECK(judge(body, 4096) == "has 5000 records instead of 4999");
    manifest.records = 5000;
    manifest.bytes = 10;
    CHECK(judge(body, 4096) == "unpacks to other than what its manifest says");
  }
}

TEST_CASE("what cannot be unpacked though it is as it was saved is told") {
  const std::string body = "no zstd at all";
  const Manifest manifest{
      .coding = Coding::zstd, .stored = body.size(), .sha256 = hash_of_manifest(body)};
  BodyCheck check(manifest);
  check.add(body);
  CHECK(check.finish().value_or("").find("zstd") != std::string::npos);
  const Manifest empty{.coding = Coding::zstd, .sha256 = hash_of_manifest("")};
  CHECK(BodyCheck(empty).finish() == "it cannot be unpacked");
}

TEST_CASE("machines are told the same as people") {
  std::vector<Checker::Saved> all = chain(3);
  all.erase(all.begin() + 1);
  const Report report = check(all);
  const std::string json = report_json(report);
  CHECK(json.starts_with(R"({"complete":false,"streams":[{"id":"4f2a9c01d3b7e655-0",)"));
  CHECK(json.find(R"("head":"4f2a9c01d3b7e655-0-3=)" + to_text(all[1].hash)) != std::string::npos);
  CHECK(json.find(R"("kind":"missing")") != std::string::npos);
  CHECK(json.ends_with("\"foreign\":0}\n"));
}

}  // namespace
}  // namespace consort::logsaver
