#include "roles/logsaver/standard_input.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

namespace consort::logsaver {
namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;
/// Of one turn of the loop: others want it too.
constexpr int kChunksAtOnce = 16;
constexpr std::uint64_t kLookMaxMs = 50;
constexpr std::uint64_t kFullMs = 20;
/// What the disk refused is tried again.
constexpr std::uint64_t kRetryMs = 1'000;
constexpr std::string_view kName = "stdin";
constexpr std::size_t kDigits = 6;

Result<std::optional<std::size_t>> read_some(int fd, std::span<char> into) {
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, 0) == 0) return std::nullopt;
  const ssize_t count = ::read(fd, into.data(), into.size());
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::nullopt;
  return fail(Error::from_errno(errno, "standard input"));
}

/// "stdin.000007" is 7; 0 for what is none.
std::uint64_t number_of(std::string_view name) {
  if (!name.starts_with(kName) || name.size() <= kName.size() || name[kName.size()] != '.') {
    return 0;
  }
  name.remove_prefix(kName.size() + 1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

std::string name_of(std::uint64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, kDigits - std::min(kDigits, digits.size()), '0');
  return std::string(kName) + "." + digits;
}

}  // namespace

ReadInput descriptor_reader(int fd) {
  return [fd](std::span<char> into) { return read_some(fd, into); };
}

StandardInput::StandardInput(World world, std::string directory, Limits limits)
    : world_(std::move(world)),
      directory_(std::move(directory)),
      limits_(limits),
      buffer_(kChunkBytes),
      timer_(
          world_.loop.timers(), [](void* self) { static_cast<StandardInput*>(self)->pump(); },
          this) {}

Result<std::unique_ptr<StandardInput>> StandardInput::open(World world, const std::string& state) {
  std::unique_ptr<io::ScratchDirectory> scratch;
  if (state.empty()) {
    auto made = io::ScratchDirectory::create();
    if (!made) return fail(std::move(made.error()));
    scratch = std::move(*made);
  }
  auto input = std::make_unique<StandardInput>(std::move(world),
                                               scratch ? scratch->path() : state + "/stdin",
                                               scratch ? Limits::volatile_ones() : Limits());
  input->scratch_ = std::move(scratch);
  if (auto opened = input->open(); !opened) return fail(std::move(opened.error()));
  return input;
}

Result<> StandardInput::open() {
  if (auto made = world_.disk.make_directory(directory_); !made) return made;
  auto real = world_.disk.resolve(directory_);
  if (!real) return fail(std::move(real.error()));
  directory_ = std::move(*real);
  prefix_ = prefix_of(directory_);
  auto entries = world_.disk.list(directory_);
  if (!entries) return fail(std::move(entries.error()));
  for (const io::DirectoryEntry& entry : *entries) {
    const std::uint64_t number = number_of(entry.name);
    if (number == 0) continue;
    if (auto taken = take_up(entry.name); !taken) return taken;
    next_number_ = std::max(next_number_, number + 1);
  }
  if (auto begun = begin_segment(); !begun) return begun;
  // What follows is another stream: a line that a kill tore apart ends here.
  Segment& last = segments_.back();
  char end = '\n';
  if (last.size > 0) {
    auto read = last.file->read_at(last.size - 1, {&end, 1});
    if (!read) return fail(std::move(read.error()));
  }
  if (end != '\n' && !write("\n")) return fail(Errc::io, trouble_);
  if (const std::uint64_t left = unsettled_bytes(); left > 0) {
    world_.log.info("stdin.left", {{"bytes", left}, {"what", "an earlier process did not send"}});
  }
  return {};
}

Result<> StandardInput::take_up(const std::string& name) {
  Segment segment;
  segment.path = directory_ + "/" + name;
  auto stat = world_.disk.stat(segment.path);
  if (!stat) return fail(std::move(stat.error()));
  segment.identity = stat->identity;
  segment.size = stat->size;
  segments_.push_back(std::move(segment));
  return {};
}

std::string StandardInput::glob() const {
  std::string glob;
  for (const char c : prefix_) {
    if (std::string_view("*?[]{},!^\\").find(c) != std::string_view::npos) glob += '\\';
    glob += c;
  }
  return glob + "*";
}

void StandardInput::start() {
  timer_.arm_at(world_.loop.now_ms());
}

void StandardInput::stop() {
  is_over_ = true;
  if (!ended_.is_set()) timer_.arm_at(world_.loop.now_ms());
}

bool StandardInput::is_settled() {
  settle();
  return ended_.is_set() && segments_.empty();
}

std::uint64_t StandardInput::unsettled_bytes() const {
  std::uint64_t bytes = 0;
  for (const Segment& each : segments_) bytes += each.size - std::min(each.size, each.settled);
  return bytes;
}

void StandardInput::pump() {
  settle();
  for (int i = 0; i < kChunksAtOnce; ++i) {
    if (!pending_.empty() && !keep()) return timer_.arm_at(world_.loop.now_ms() + kRetryMs);
    if (is_over_) return end();
    if (!take_some()) return timer_.arm_at(world_.loop.now_ms() + wait_ms_);
  }
  timer_.arm_at(world_.loop.now_ms());
}

/// False when there is nothing now, or no room for it.
bool StandardInput::take_some() {
  if (unsettled_bytes() >= limits_.unsettled_bytes_max) {
    wait_ms_ = kFullMs;
    return false;
  }
  auto count = world_.read(buffer_);
  if (!count) {
    trouble_ = count.error().message();
    world_.log.error("stdin.failed", {{"why", trouble_}});
    has_failed_ = is_over_ = true;
    return true;
  }
  if (!*count) {
    wait_ms_ = std::clamp<std::uint64_t>(wait_ms_ * 2, 1, kLookMaxMs);
    return false;
  }
  wait_ms_ = 0;
  pending_ = {buffer_.data(), **count};
  is_over_ = is_over_ || pending_.empty();
  return true;
}

/// Brings what is pending into the file. False: the disk does not take it now.
bool StandardInput::keep() {
  while (!pending_.empty()) {
    if (auto begun = begin_segment(); !begun) {
      trouble_ = begun.error().message();
      return false;
    }
    std::string_view bytes = pending_;
    const bool is_full = segments_.back().size + bytes.size() >= limits_.segment_bytes;
    if (const std::size_t last = bytes.rfind('\n'); is_full && last != bytes.npos) {
      bytes = bytes.substr(0, last + 1);
    }
    if (!write(bytes)) return false;
    pending_.remove_prefix(bytes.size());
    if (!is_full) continue;
    const bool is_too_long = segments_.back().size >= limits_.segment_bytes_max;
    if (!is_within_line_ || (is_too_long && write("\n"))) end_segment();
  }
  return true;
}

/// To the file's end. What was written before it failed is taken off what is pending: it may have
/// been followed already, so it stays.
bool StandardInput::write(std::string_view bytes) {
  Segment& segment = segments_.back();
  auto written = segment.file->write_at(segment.size, bytes);
  std::uint64_t done = bytes.size();
  if (!written) {
    auto stat = segment.file->stat();
    done = stat && stat->size > segment.size
               ? std::min<std::uint64_t>(bytes.size(), stat->size - segment.size)
               : 0;
    if (bytes.data() == pending_.data()) pending_.remove_prefix(done);
  }
  segment.size += done;
  if (done > 0) is_within_line_ = bytes[done - 1] != '\n';
  if (written) {
    if (!has_failed_ && !trouble_.empty()) {
      world_.log.info("stdin.recovered");
      trouble_.clear();
    }
    return true;
  }
  if (trouble_.empty()) {
    world_.log.warn("stdin.waits", {{"why", written.error().message()},
                                    {"hint", "nothing is read until the disk has room"}});
  }
  trouble_ = written.error().message();
  // Room that we have ourselves: what is settled of this file cannot be freed as long as it is
  // written.
  settle();
  const Segment& still = segments_.back();
  if (still.size > 0 && still.settled >= still.size) end_segment();
  return false;
}

/// The file that is written, made when there is none.
Result<> StandardInput::begin_segment() {
  if (!segments_.empty() && segments_.back().file != nullptr) return {};
  Segment segment;
  segment.path = prefix_;
  auto file = world_.disk.open(segment.path, io::OpenFor::writing);
  if (!file) return fail(std::move(file.error()));
  auto stat = (*file)->stat();
  if (!stat) return fail(std::move(stat.error()));
  segment.file = std::move(*file);
  segment.identity = stat->identity;
  segment.size = stat->size;
  segments_.push_back(std::move(segment));
  return {};
}

/// Renames it; the next one is begun when there is something for it. When that is refused it grows
/// on.
void StandardInput::end_segment() {
  Segment& segment = segments_.back();
  std::string path = directory_ + "/" + name_of(next_number_);
  if (auto renamed = world_.disk.rename(segment.path, path); !renamed) {
    trouble_ = renamed.error().message();
    return;
  }
  ++next_number_;
  segment.path = std::move(path);
  segment.file.reset();
}

/// Finds out how far the files have arrived, and removes those that have whole.
void StandardInput::settle() {
  for (Segment& each : segments_) {
    const auto settled = world_.settled_to(each.identity);
    // One that is followed no more was settled before.
    if (settled || each.is_followed) each.settled = settled.value_or(each.size);
    each.is_followed = each.is_followed || settled.has_value();
  }
  std::erase_if(segments_, [this](const Segment& each) {
    const bool is_written = each.file != nullptr && !ended_.is_set();
    if (is_written || each.settled < each.size) return false;
    auto removed = world_.disk.remove(each.path);
    if (!removed) world_.log.warn("stdin.not_removed", {{"why", removed.error().message()}});
    return true;
  });
}

void StandardInput::end() {
  const bool has_file = !segments_.empty() && segments_.back().file != nullptr;
  if (is_within_line_ && has_file && !write("\n")) {
    return timer_.arm_at(world_.loop.now_ms() + kRetryMs);
  }
  ended_.set();  // May run who waits: nothing behind it.
}

}  // namespace consort::logsaver
