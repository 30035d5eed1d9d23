#include "roles/logsaver/sinks/manifest_file.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

#include "roles/logsaver/manifest.hpp"

namespace consort::logsaver {
namespace {

constexpr std::string_view kAt = ",\"at\":";
/// A few lines; and the longest one.
constexpr std::uint64_t kLookBytes = 8 * 1024;
constexpr std::uint64_t kLookBytesMax = kFileManifestBytesMax + 64;

bool is_of(std::string_view line, const std::string& batch) {
  return line.find("\"batch\":\"" + batch + "\"") != line.npos;
}

}  // namespace

std::string write_manifest_line(std::string_view manifest, std::uint64_t at) {
  std::string line(manifest.substr(0, manifest.size() - 1));
  return line.append(kAt).append(std::to_string(at)).append("}");
}

Result<ManifestLine> read_manifest_line(std::string_view line) {
  const std::size_t place = line.rfind(kAt);
  ManifestLine made;
  if (place == line.npos || !line.ends_with('}')) {
    return fail(Errc::invalid, "a line that is no manifest, or only a part of one");
  }
  const char* const end = line.data() + line.size() - 1;
  const auto [stop, error] = std::from_chars(line.data() + place + kAt.size(), end, made.at);
  if (error != std::errc() || stop != end) {
    return fail(Errc::invalid, "a line that is no manifest, or only a part of one");
  }
  made.manifest.append(line.substr(0, place)).append("}");
  return made;
}

Result<ManifestFiles::Added> ManifestFiles::add(const std::string& path, const Batch& batch,
                                                std::uint64_t at) {
  const std::string name = path + std::string(kManifestSuffix);
  Result<std::unique_ptr<io::File>> file = disk_.open(name, io::OpenFor::writing);
  if (!file) return fail(std::move(file.error()));
  const Result<io::FileStat> stat = (*file)->stat();
  if (!stat) return fail(stat.error().clone());
  const bool is_as_left =
      left_.path == name && left_.identity == stat->identity && left_.size == stat->size;
  Result<std::uint64_t> end =
      is_as_left ? Result<std::uint64_t>(stat->size) : end_of(**file, stat->size, batch.id);
  if (!end) return fail(std::move(end.error()));
  left_ = {};
  if (*end < stat->size) {
    if (Result<> cut = (*file)->truncate(*end); !cut) return fail(std::move(cut.error()));
  }
  const std::string line = write_manifest_line(batch.manifest, at) + "\n";
  if (Result<> written = (*file)->write_at(*end, line); !written) {
    // When this fails too, the next try cuts off what has no end.
    (void)(*file)->truncate(*end);
    return fail(std::move(written.error()));
  }
  left_ = {.path = name, .identity = stat->identity, .size = *end + line.size()};
  return Added{.file = std::move(*file), .is_new = *end == 0};
}

/// Behind the last whole line that is not of this batch.
Result<std::uint64_t> ManifestFiles::end_of(io::File& file, std::uint64_t size,
                                            const std::string& batch) {
  std::string bytes;
  for (std::uint64_t look = kLookBytes;; look = kLookBytesMax) {
    const std::uint64_t wanted = std::min(look, size);
    bytes.resize(wanted);
    const Result<std::size_t> got = file.read_at(size - wanted, std::span<char>(bytes));
    if (!got) return fail(got.error().clone());
    bytes.resize(*got);
    // With the line end before the last line, or all that there is.
    const std::size_t last = bytes.rfind('\n');
    const bool is_enough =
        last != bytes.npos && last > 0 && bytes.rfind('\n', last - 1) != bytes.npos;
    if (is_enough || wanted == size || look == kLookBytesMax) break;
  }
  const std::uint64_t start = size - bytes.size();
  std::string_view whole(bytes);
  whole = whole.substr(0, whole.rfind('\n') + 1);
  if (whole.empty()) {
    if (start == 0) return 0;
    return fail(Errc::invalid, "is no file of manifests: move it away");
  }
  const std::size_t before = whole.substr(0, whole.size() - 1).rfind('\n') + 1;
  const bool is_again = is_of(whole.substr(before), batch);
  return start + (is_again ? before : whole.size());
}

}  // namespace consort::logsaver
