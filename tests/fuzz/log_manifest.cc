// Fuzzes what a destination says of its batches: whatever it is, it is a manifest or refused; what
// was read is written in a form that is read as the same, within its room; and the lines of files
// likewise.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "roles/logsaver/manifest.hpp"
#include "roles/logsaver/sinks/manifest_file.hpp"
#include "roles/logsaver/verify/checker.hpp"
#include "roles/logsaver/verify/report_text.hpp"

namespace {

using namespace consort;
using namespace consort::logsaver;

void expect(bool holds) {
  if (!holds) std::abort();
}

bool is_plain(const ManifestSource& source) {
  return source.file.size() < 40 && source.tail.size() < 40 &&
         source.tail.find_first_not_of("0123456789abcdef-") == source.tail.npos;
}

void judge(std::string_view text) {
  const Result<Manifest> manifest = read_manifest(text);
  if (!manifest) return;
  const Result<BatchName> name = parse_batch(manifest->batch);
  expect(name.has_value());
  expect(manifest->batch == std::string(name->stream) + "-" + std::to_string(name->number));
  Checker checker({});
  checker.add({.name = "x", .manifest = *manifest, .hash = hash_of_manifest(text)});
  checker.add({.name = "y", .manifest = *manifest, .hash = hash_of_manifest(text)});
  expect(!report_json(checker.finish()).empty());
  // Tails are ours, and written as they are.
  if (!std::ranges::all_of(manifest->sources, is_plain)) return;
  const std::string written = write_manifest(*manifest, kObjectManifestBytesMax);
  expect(written.size() <= kObjectManifestBytesMax);
  expect(std::ranges::all_of(written, [](char c) { return c > 0x20 && c < 0x7F; }));
  const Result<Manifest> again = read_manifest(written);
  expect(again.has_value());
  if (manifest->more == 0 && again->more == 0) expect(*again == *manifest);
  const Result<ManifestLine> line = read_manifest_line(write_manifest_line(written, 7));
  expect(line && line->manifest == written && line->at == 7);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  judge(text);
  if (const Result<ManifestLine> line = read_manifest_line(text)) {
    expect(write_manifest_line(line->manifest, line->at).size() <= text.size() + 20);
    judge(line->manifest);
  }
  return 0;
}
