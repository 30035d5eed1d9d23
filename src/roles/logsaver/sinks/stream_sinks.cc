#include "roles/logsaver/sinks/stream_sinks.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "async/deadline.hpp"

namespace consort::logsaver {
namespace {

/// What a pipe that says it is writable takes without waiting (PIPE_BUF).
constexpr std::size_t kChunkBytes = 4096;
constexpr Millis kLookFirst{1};
constexpr Millis kLookMax{50};

std::unique_ptr<Encoding> line_encoding(const SinkWorld& world, BodyForm form) {
  JsonRecordRules rules;
  rules.invalid_utf8 = world.invalid_utf8;
  return make_line_encoding(form, rules);
}

Result<std::size_t> write_some(int fd, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 0) <= 0 || (ready.revents & ~POLLOUT & ~POLLERR & ~POLLHUP) != 0) break;
    if (ready.revents == 0) break;
    const std::string_view chunk = bytes.substr(done, kChunkBytes);
    const ssize_t written = ::write(fd, chunk.data(), chunk.size());
    if (written > 0) {
      done += static_cast<std::size_t>(written);
      continue;
    }
    if (written == 0 || errno == EAGAIN || errno == EINTR) break;
    // What was taken is told first; the next call fails again.
    if (done > 0) break;
    return fail(Error::from_errno(errno, "standard output"));
  }
  return done;
}

}  // namespace

std::function<Result<std::size_t>(std::string_view)> descriptor_writer(int fd) {
  return [fd](std::string_view bytes) { return write_some(fd, bytes); };
}

StdoutSink::StdoutSink(const SinkWorld& world, StreamSettings settings)
    : world_(world), settings_(std::move(settings)) {}

std::unique_ptr<Encoding> StdoutSink::make_encoding() const {
  return line_encoding(world_, settings_.form);
}

Task<Outcome> StdoutSink::deliver(const Batch& batch) {
  if (number_ != batch.number) written_ = 0;
  number_ = batch.number;
  const Deadline deadline = Deadline::after(world_.loop.now_ms(), settings_.timeout);
  Millis look = kLookFirst;
  while (written_ < batch.body.size()) {
    const Result<std::size_t> taken =
        world_.write_stdout(std::string_view(batch.body).substr(written_));
    if (!taken && taken.error().code() == Errc::closed) {
      co_return Outcome::stuck("nobody reads standard output any more");
    }
    if (!taken) co_return Outcome::again(taken.error().message());
    written_ += *taken;
    if (*taken > 0) look = kLookFirst;
    if (written_ == batch.body.size()) break;
    if (deadline.passed(world_.loop.now_ms())) {
      co_return Outcome::again("standard output takes no more: its reader is slow", Millis{0},
                               /*is_overload=*/true);
    }
    // Descriptors of all kinds can be asked, and few of them can be watched: files cannot.
    co_await sleep_until(world_.loop.timers(), Deadline::after(world_.loop.now_ms(), look).at_ms);
    look = std::min(look * 2, kLookMax);
  }
  number_ = 0;
  co_return Outcome::ok();
}

NullSink::NullSink(const SinkWorld& world, StreamSettings settings)
    : world_(world), settings_(std::move(settings)) {}

std::unique_ptr<Encoding> NullSink::make_encoding() const {
  return line_encoding(world_, settings_.form);
}

Task<Outcome> NullSink::deliver(const Batch&) {
  co_return Outcome::ok();
}

}  // namespace consort::logsaver
