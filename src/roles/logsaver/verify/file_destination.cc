#include "roles/logsaver/verify/file_destination.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "async/deadline.hpp"
#include "async/timer.hpp"
#include "roles/logsaver/sinks/manifest_file.hpp"
#include "roles/logsaver/verify/body_check.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kBufferBytes = 256UL * 1024;
constexpr std::size_t kLineBytesMax = kFileManifestBytesMax + 64;

}  // namespace

/// The lines of a file, one after the other.
class FileDestination::Lines {
 public:
  explicit Lines(io::File& file) : file_(file), block_(kBufferBytes) {}

  void rewind() {
    offset_ = 0;
    text_.clear();
    used_ = 0;
  }
  /// Valid until the next call; nothing at the end. Errc::limit for one that is too long.
  Result<std::optional<std::string_view>> next() {
    for (;;) {
      const std::size_t end = text_.find('\n', used_);
      if (end != text_.npos) {
        const std::string_view line = std::string_view(text_).substr(used_, end - used_);
        used_ = end + 1;
        return line;
      }
      text_.erase(0, std::exchange(used_, 0));
      if (text_.size() > kLineBytesMax) return fail(Errc::limit, "a line is too long");
      const Result<std::size_t> got = file_.read_at(offset_, std::span(block_));
      if (!got) return fail(got.error().clone());
      if (*got == 0) return std::nullopt;
      offset_ += *got;
      text_.append(block_.data(), *got);
    }
  }
  /// Behind the last line end.
  std::size_t left() const { return text_.size() - used_; }

 private:
  io::File& file_;
  std::vector<char> block_;
  std::uint64_t offset_ = 0;
  std::string text_;
  std::size_t used_ = 0;
};

FileDestination::FileDestination(const SinkWorld& world, std::string path, VerifySettings settings)
    : world_(world), path_(std::move(path)), settings_(settings) {}

Task<Result<>> FileDestination::open() {
  const std::string path = path_.empty() ? "." : path_;
  const Result<io::FileStat> stat = world_.disk.stat(path);
  if (stat && stat->kind == io::FileKind::directory) {
    if (Result<> found = find_below(path, 0); !found) co_return found;
    if (files_.empty()) {
      co_return fail(Errc::not_found, path +
                                          ": no file below it ends with .manifest; was it saved "
                                          "with manifest=on?");
    }
    co_return Result<>();
  }
  std::string file = path;
  if (file.ends_with(kManifestSuffix)) file.resize(file.size() - kManifestSuffix.size());
  const std::string manifest = file + std::string(kManifestSuffix);
  if (const Result<io::FileStat> there = world_.disk.stat(manifest); !there) {
    if (there.error().code() != Errc::not_found) co_return fail(there.error().clone());
    co_return fail(Errc::not_found, manifest + " is not there: was it saved with manifest=on?");
  }
  files_.push_back(std::move(file));
  co_return Result<>();
}

/// Links are not followed: they could lead in a circle.
Result<> FileDestination::find_below(const std::string& directory, std::size_t depth) {
  if (depth > kDepthMax) return {};
  Result<std::vector<io::DirectoryEntry>> entries = world_.disk.list(directory);
  if (!entries) return fail(std::move(entries.error()));
  for (const io::DirectoryEntry& entry : *entries) {
    std::string path = directory;
    path.append(directory.ends_with('/') ? "" : "/").append(entry.name);
    if (entry.kind == io::FileKind::directory) {
      if (Result<> found = find_below(path, depth + 1); !found) return found;
    } else if (entry.name.ends_with(kManifestSuffix)) {
      if (files_.size() >= kObjectsMax) return fail(Errc::limit, directory + ": too many files");
      files_.push_back(path.substr(0, path.size() - kManifestSuffix.size()));
    }
  }
  return {};
}

Task<> FileDestination::verify(Checker& checker) {
  for (const std::string& path : files_) co_await verify_file(path, checker);
}

Task<> FileDestination::verify_file(const std::string& path, Checker& checker) {
  using Kind = Problem::Kind;
  const std::string name = path + std::string(kManifestSuffix);
  const auto manifests = world_.disk.open(name, io::OpenFor::reading);
  if (!manifests) {
    checker.damaged(Kind::unread, name, manifests.error().message(), "");
    co_return;
  }
  Output output{.path = path, .file = nullptr};
  output.buffer.resize(kBufferBytes);
  auto opened = world_.disk.open(path, io::OpenFor::reading);
  if (opened) {
    output.file = std::move(*opened);
    if (const auto stat = output.file->stat()) output.size = stat->size;
  } else {
    checker.damaged(Kind::unread, output.path, opened.error().message(), "");
  }
  Lines lines(**manifests);
  Result<std::uint64_t> beginning = find_beginning(lines);
  if (beginning) output.begins_anew = *beginning;
  lines.rewind();
  for (std::uint64_t number = 1;; ++number) {
    const Result<std::optional<std::string_view>> line = lines.next();
    if (!line) {
      checker.damaged(Kind::unread, name, line.error().message(), "");
      co_return;
    }
    if (!line->has_value()) break;
    take_line(output, **line, number, checker);
    // So that a signal is seen.
    co_await sleep_until(world_.loop.timers(), world_.loop.now_ms());
  }
  if (lines.left() > 0) {
    checker.note(name +
                 ": its last line has no end: it is being written, or was when "
                 "the saver was killed");
  }
  tell_rest(output, checker);
}

/// The number of the line from which on all are of the file that is there now.
Result<std::uint64_t> FileDestination::find_beginning(Lines& lines) {
  std::uint64_t beginning = 1;
  std::uint64_t end = 0;
  for (std::uint64_t number = 1;; ++number) {
    const Result<std::optional<std::string_view>> line = lines.next();
    if (!line) return fail(line.error().clone());
    if (!line->has_value()) return beginning;
    const Result<ManifestLine> each = read_manifest_line(**line);
    if (!each) continue;
    const Result<Manifest> manifest = read_manifest(each->manifest);
    if (!manifest) continue;
    if (each->at < end) beginning = number;
    end = each->at + manifest->stored;
  }
}

void FileDestination::take_line(Output& output, std::string_view line, std::uint64_t number,
                                Checker& checker) {
  using Kind = Problem::Kind;
  Result<ManifestLine> each = read_manifest_line(line);
  Result<Manifest> manifest = each ? read_manifest(each->manifest) : fail(std::move(each.error()));
  if (!manifest) {
    checker.damaged(Kind::changed, output.path + ".manifest, line " + std::to_string(number),
                    manifest.error().text(), "");
    return;
  }
  const std::string stream(parse_batch(manifest->batch)->stream);
  std::string where = output.path + ", batch " + manifest->batch;
  if (number < output.begins_anew) {
    ++output.rotated;
  } else if (output.file != nullptr) {
    std::string wrong = judge(output, *manifest, each->at);
    if (!wrong.empty()) checker.damaged(Kind::changed, where, std::move(wrong), stream);
    if (each->at > output.reached) output.foreign += each->at - output.reached;
    output.reached = each->at + manifest->stored;
  }
  checker.add({.name = std::move(where),
               .manifest = std::move(*manifest),
               .hash = hash_of_manifest(each->manifest),
               .is_object = false});
}

/// What is wrong with its bytes; empty when nothing is.
std::string FileDestination::judge(Output& output, const Manifest& manifest, std::uint64_t at) {
  if (manifest.stored > output.size || at > output.size - manifest.stored) {
    return "its bytes " + std::to_string(at) + " to " + std::to_string(at + manifest.stored) +
           " are not there: the file ends at " + std::to_string(output.size);
  }
  if (!settings_.reads_bodies) return {};
  BodyCheck body(manifest);
  for (std::uint64_t left = manifest.stored; left > 0;) {
    const std::size_t wanted = std::min<std::uint64_t>(left, output.buffer.size());
    const auto got = output.file->read_at(at, std::span(output.buffer).first(wanted));
    if (!got) return got.error().message();
    if (*got == 0) break;
    body.add({output.buffer.data(), *got});
    at += *got;
    left -= *got;
  }
  return body.finish().value_or("");
}

void FileDestination::tell_rest(const Output& output, Checker& checker) {
  if (output.rotated > 0) {
    checker.damaged(Problem::Kind::unread, output.path,
                    std::to_string(output.rotated) +
                        " batches were in it before it was rotated, and their bytes are elsewhere "
                        "(rotate FILE.manifest together with FILE)",
                    "");
  }
  const std::uint64_t behind = output.size - std::min(output.size, output.reached);
  if (output.file != nullptr && output.foreign + behind > 0) {
    checker.note(output.path + ": " + std::to_string(output.foreign + behind) +
                 " of its bytes are of no batch: one that is being written, or somebody else's");
  }
}

}  // namespace consort::logsaver
