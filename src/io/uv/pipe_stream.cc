#include "io/uv/pipe_stream.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.hpp"

namespace consort::io {

UvPipeStream::UvPipeStream(UvLoop& loop, PipeEnd end)
    : loop_(loop),
      end_(end),
      watcher_(
          [](void* self, Readiness ready) { static_cast<UvPipeStream*>(self)->on_ready(ready); },
          this),
      later_(
          loop.timers(), [](void* self) { static_cast<UvPipeStream*>(self)->on_later(); }, this) {}

UvPipeStream::~UvPipeStream() {
  if (gone_ != nullptr) *gone_ = true;
}

Result<> UvPipeStream::adopt(Fd fd) {
  fd_ = std::move(fd);
  return watcher_.open(loop_, fd_.get());
}

void UvPipeStream::set_handler(StreamHandler& handler) {
  handler_ = &handler;
  if (failure_) later_.arm_at(loop_.now_ms());
  update_wish();
}

Result<std::size_t> UvPipeStream::try_write(std::string_view bytes) {
  if (bytes.empty()) return std::size_t{0};
  if (end_ == PipeEnd::read || ended_ || failure_ || !fd_) {
    return fail(Errc::closed, "write", EPIPE);
  }
  for (;;) {
    const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
    Error why = Error::from_errno(errno, "write");
    fail_later(why.clone());
    return fail(std::move(why));
  }
}

void UvPipeStream::want_writable() {
  wants_writable_ = true;
  update_wish();
}

void UvPipeStream::pause_reading() {
  reading_ = false;
  update_wish();
}

void UvPipeStream::resume_reading() {
  reading_ = true;
  update_wish();
}

void UvPipeStream::shutdown_write() {
  if (end_ == PipeEnd::write) close();
}

Peer UvPipeStream::peer() const {
  Peer peer;
  peer.is_loopback = true;
  peer.text = "pipe";
  return peer;
}

/// One call from the loop. The handler may destroy the stream, so each of its calls is followed by
/// a look at `gone`; wishes that change meanwhile are settled once, at the end.
void UvPipeStream::on_ready(Readiness ready) {
  CHECK(gone_ == nullptr);
  bool gone = false;
  gone_ = &gone;
  // A reader that went away shows as writable; the write that follows finds out.
  if (end_ == PipeEnd::read) {
    if (ready.readable && reading_) read_some(gone);
  } else if (ready.writable && wants_writable_) {
    wants_writable_ = false;
    handler_->on_writable();
  }
  if (gone) return;
  gone_ = nullptr;
  update_wish();
}

void UvPipeStream::read_some(const bool& gone) {
  char* buffer = loop_.read_buffer();
  for (int i = 0; i < kReadsPerEventMax; ++i) {
    const ssize_t n = ::read(fd_.get(), buffer, UvLoop::kReadBufferBytes);
    if (n == 0) {
      end(Error(Errc::closed, "the last writer closed the pipe"));
      return;
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      end(Error::from_errno(errno, "read"));
      return;
    }
    handler_->on_data({buffer, static_cast<std::size_t>(n)});
    if (gone || !reading_ || ended_) return;
    if (static_cast<std::size_t>(n) < UvLoop::kReadBufferBytes) return;
  }
}

void UvPipeStream::fail_later(Error why) {
  failure_ = std::move(why);
  later_.arm_at(loop_.now_ms());
}

void UvPipeStream::on_later() {
  if (handler_ == nullptr || ended_) return;  // set_handler() comes back to it
  const Error why = failure_->clone();        // the handler may destroy the stream, and failure_
  end(why);
}

void UvPipeStream::end(const Error& why) {
  close();
  handler_->on_end(why);
}

void UvPipeStream::close() {
  ended_ = true;
  watcher_.close();
  fd_.reset();
}

void UvPipeStream::update_wish() {
  if (gone_ != nullptr || ended_ || handler_ == nullptr) return;
  Readiness wish;
  wish.readable = end_ == PipeEnd::read && reading_;
  wish.writable = end_ == PipeEnd::write && wants_writable_;
  watcher_.want(wish);
}

}  // namespace consort::io
