#include "roles/logsaver/sinks/file_sink.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "async/deadline.hpp"
#include "async/try.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kLookBytes = 16 * 1024;

std::string directory_of(const std::string& path) {
  const std::size_t end = path.rfind('/');
  if (end == path.npos) return ".";
  return end == 0 ? "/" : path.substr(0, end);
}

bool is_full(const Error& error) {
  return error.sys() == ENOSPC || error.sys() == EDQUOT;
}

/// What a crash may have left of `wanted`: a byte of it, or one that was never written.
bool may_remain(char found, char wanted) {
  return found == wanted || found == '\0';
}

}  // namespace

FileSink::FileSink(const SinkWorld& world, Settings settings)
    : world_(world), settings_(std::move(settings)), manifests_(world.disk) {}

std::unique_ptr<Encoding> FileSink::make_encoding() const {
  JsonRecordRules rules;
  rules.invalid_utf8 = world_.invalid_utf8;
  return make_line_encoding(settings_.form, rules);
}

Task<Result<>> FileSink::open() {
  if (settings_.path.is_fixed()) {
    Result<std::unique_ptr<io::File>> file = open_target(path_of(Batch{}));
    if (!file) co_return fail(std::move(file.error()));
    co_return Result<>();
  }
  const std::string directory = settings_.path.fixed_directory();
  if (directory.empty()) co_return Result<>();
  co_return make_directory(directory);
}

std::uint64_t FileSink::position_for(const Batch& batch) const {
  return size_of(path_of(batch));
}

std::uint64_t FileSink::position() const {
  return settings_.path.is_fixed() ? size_of(path_of(Batch{})) : kUnknownPosition;
}

std::uint64_t FileSink::size_of(const std::string& path) const {
  const Result<io::FileStat> stat = world_.disk.stat(path);
  if (stat) return stat->size;
  return stat.error().code() == Errc::not_found ? 0 : kUnknownPosition;
}

std::string FileSink::path_of(const Batch& batch) const {
  return settings_.path.path(
      {.host = world_.host, .file = batch.file, .created_ms = batch.created_ms});
}

Task<Outcome> FileSink::deliver(const Batch& batch) {
  const std::string path = path_of(batch);
  const Result<std::unique_ptr<io::File>> file = open_target(path);
  if (!file) co_return outcome_of(file.error());
  const Result<> written = co_await write(batch, path, **file);
  if (!written) co_return outcome_of(written.error());
  attempt_.reset();
  co_return Outcome::ok();
}

Result<std::unique_ptr<io::File>> FileSink::open_target(const std::string& path) {
  Result<std::unique_ptr<io::File>> file = world_.disk.open(path, io::OpenFor::writing);
  if (file || file.error().code() != Errc::not_found) return file;
  Result<> made = make_directory(directory_of(path));
  if (!made) return fail(std::move(made.error()));
  return world_.disk.open(path, io::OpenFor::writing);
}

Result<> FileSink::make_directory(const std::string& path) {
  if (!world_.disk.stat(path)) has_new_directories_ = true;
  return world_.disk.make_directory(path);
}

Task<Result<>> FileSink::write(const Batch& batch, const std::string& path, io::File& file) {
  const Result<Place> place = place_for(batch, path, file);
  if (!place) co_return fail(place.error().clone());
  if (!place->is_there) {
    Result<> written = file.write_at(place->start, batch.body);
    if (!written) {
      // A half line must not stay. When this fails too, the attempt is remembered: the next one
      // writes over what is there.
      const Result<> undone = file.truncate(place->start);
      if (!undone)
        world_.log.warn("file.left_behind", {{"path", path}, {"why", undone.error().message()}});
      co_return written;
    }
  }
  if (settings_.sync) co_await try_(sync(path, file, place->start == 0));
  if (batch.manifest.empty()) co_return Result<>();
  const ManifestFiles::Added added = co_await try_(manifests_.add(path, batch, place->start));
  if (settings_.sync) co_await try_(sync(path, *added.file, added.is_new));
  co_return Result<>();
}

Task<Result<>> FileSink::sync(const std::string& path, io::File& file, bool is_new) {
  const Deadline deadline = Deadline::after(world_.loop.now_ms(), settings_.timeout);
  auto syncing = file.sync();
  co_await try_(with_deadline(world_.loop.timers(), deadline, std::move(syncing)));
  if (!is_new) co_return Result<>();
  co_return co_await sync_names(path, deadline);
}

/// The file's name must survive a power cut as well, and so must those of directories.
Task<Result<>> FileSink::sync_names(const std::string& path, Deadline deadline) {
  std::string directory = directory_of(path);
  auto naming = world_.disk.sync_directory(directory);
  co_await try_(with_deadline(world_.loop.timers(), deadline, std::move(naming)));
  while (has_new_directories_ && directory != "/" && directory != ".") {
    directory = directory_of(directory);
    auto next = world_.disk.sync_directory(directory);
    const Result<> synced = co_await with_deadline(world_.loop.timers(), deadline, std::move(next));
    // Directories that we may not open are not ours: we have made nothing in them.
    if (!synced && synced.error().code() != Errc::denied) co_return fail(synced.error().clone());
  }
  has_new_directories_ = false;
  co_return Result<>();
}

Result<FileSink::Place> FileSink::place_for(const Batch& batch, const std::string& path,
                                            io::File& file) {
  const Result<io::FileStat> stat = file.stat();
  if (!stat) return fail(stat.error().clone());
  const std::uint64_t size = stat->size;
  const bool is_again = attempt_ && attempt_->number == batch.number;
  if (is_again && attempt_->target == stat->identity && size >= attempt_->start) {
    return Place{.start = attempt_->start};
  }
  Result<Place> place =
      is_again
          ? Result<Place>(at_end(batch, path, size, "it was replaced or cut during a delivery"))
      : batch.is_replay ? place_again(batch, path, file, size)
                        : place_of_new(batch, path, size);
  if (place) attempt_ = Attempt{batch.number, stat->identity, place->start};
  return place;
}

/// At the end, which is where it was promised to go unless somebody came between.
Result<FileSink::Place> FileSink::place_of_new(const Batch& batch, const std::string& path,
                                               std::uint64_t size) {
  if (size == batch.position || batch.position == kUnknownPosition) return Place{.start = size};
  return at_end(batch, path, size,
                size < batch.position ? "it was rotated" : "somebody else writes to it");
}

/// Of a batch of which some or all may be in the target.
Result<FileSink::Place> FileSink::place_again(const Batch& batch, const std::string& path,
                                              io::File& file, std::uint64_t size) {
  if (size == batch.position) return Place{.start = size};
  if (size < batch.position) return at_end(batch, path, size, "it was rotated");
  Found found = Found::whole;
  std::array<char, kLookBytes> buffer;
  std::string_view left(batch.body);
  std::uint64_t at = batch.position;
  while (!left.empty() && at < size) {
    const std::size_t wanted = std::min(left.size(), buffer.size());
    const Result<std::size_t> got = file.read_at(at, std::span(buffer).first(wanted));
    if (!got) return fail(got.error().clone());
    if (*got == 0) break;
    for (std::size_t i = 0; i < *got; ++i) {
      if (buffer[i] == left[i]) continue;
      found = found != Found::other && may_remain(buffer[i], left[i]) ? Found::part : Found::other;
    }
    left.remove_prefix(*got);
    at += *got;
  }
  if (!left.empty() && found == Found::whole) found = Found::part;
  if (found != Found::other) {
    return Place{.start = batch.position, .is_there = found == Found::whole};
  }
  if (batch.has_same_settings) return at_end(batch, path, size, "other bytes follow in it");
  if (Result<> cut = file.truncate(batch.position); !cut) return fail(std::move(cut.error()));
  return Place{.start = batch.position};
}

FileSink::Place FileSink::at_end(const Batch& batch, const std::string& path, std::uint64_t size,
                                 std::string_view why) const {
  world_.log.warn("file.changed", {{"path", path},
                                   {"batch", batch.id},
                                   {"why", why},
                                   {"expected_bytes", batch.position},
                                   {"found_bytes", size},
                                   {"done", "the batch was appended at its end"}});
  return {.start = size};
}

Outcome FileSink::outcome_of(const Error& error) const {
  const std::string why = name() + ": " + error.message();
  if (is_full(error)) return Outcome::again(why + " (nothing is lost: free some space)");
  const bool is_for_people = error.code() == Errc::denied || error.code() == Errc::invalid ||
                             error.sys() == EROFS || error.sys() == EISDIR;
  return is_for_people ? Outcome::stuck(why) : Outcome::again(why);
}

}  // namespace consort::logsaver
