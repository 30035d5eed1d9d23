#include "net/async_stream.hpp"

#include "base/check.hpp"

namespace consort {

namespace {
/// Buffers above this are given back while nothing arrives: idle connections stay small.
constexpr std::size_t kKeepWhileIdleBytes = 4 * 1024;
}  // namespace

AsyncStream::AsyncStream(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                         std::size_t buffer_bytes)
    : loop_(loop), buffer_bytes_(buffer_bytes), is_open_(true), stream_(std::move(stream)) {
  stream_->set_handler(*this);
}

AsyncStream::AsyncStream(io::Loop& loop, io::Network& network, const Address& address,
                         std::size_t buffer_bytes)
    : loop_(loop),
      buffer_bytes_(buffer_bytes),
      is_open_(false),
      stream_(network.connect(address, *this)) {}

AsyncStream::~AsyncStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  abandon(opener_);
  abandon(reader_);
  abandon(writer_);
  if (watch_ != nullptr) watch_->stream = nullptr;
}

void AsyncStream::abandon(Wait* wait) {
  if (wait == nullptr) return;
  wait->timer_.cancel();
  wait->stream_ = nullptr;
}

void AsyncStream::cancel_read() {
  const Error cancelled(Errc::cancelled, "the read was cancelled");
  wake(reader_, &cancelled);
}

void AsyncStream::set_watch(Watch& watch) {
  CHECK(watch_ == nullptr);
  watch_ = &watch;
}

void AsyncStream::on_open() {
  is_open_ = true;
  wake(opener_, nullptr);
}

void AsyncStream::on_data(std::string_view bytes) {
  arrived_.append(bytes);
  if (arrived_.size() >= buffer_bytes_ && !is_paused_) {
    is_paused_ = true;
    stream_->pause_reading();
  }
  wake(reader_, nullptr);
}

void AsyncStream::on_writable() {
  if (writer_ != nullptr && static_cast<Write*>(writer_)->push()) wake(writer_, nullptr);
}

void AsyncStream::on_end(const Error& why) {
  end_.emplace(why.clone());
  // Each task that is resumed may destroy this stream; the others' waits are abandoned then.
  bool destroyed = false;
  destroyed_ = &destroyed;
  wake(opener_, &why);
  if (!destroyed) wake(writer_, &why);
  // The reader learns of the end from end_, after the bytes that came before it.
  if (!destroyed) wake(reader_, nullptr);
  if (!destroyed && watch_ != nullptr) watch_->on_end(*watch_);
  if (!destroyed) destroyed_ = nullptr;
}

/// The awaiter's task may destroy the stream: nothing of it may be touched afterwards.
void AsyncStream::wake(Wait*& place, const Error* failure) {
  Wait* wait = std::exchange(place, nullptr);
  if (wait == nullptr) return;
  wait->timer_.cancel();
  if (failure != nullptr) wait->failure_.emplace(failure->clone());
  wait->task_.resume();
}

AsyncStream::Wait::Wait(AsyncStream& stream, Place place, Deadline deadline)
    : stream_(&stream),
      place_(place),
      timer_(stream.loop_.timers(), &Wait::expire, this),
      deadline_(deadline) {}

AsyncStream::Wait::~Wait() {
  if (stream_ != nullptr && stream_->*place_ == this) stream_->*place_ = nullptr;
}

void AsyncStream::Wait::suspend(std::coroutine_handle<> task) {
  CHECK(stream_->*place_ == nullptr);
  task_ = task;
  stream_->*place_ = this;
  timer_.arm_at(deadline_.at_ms);
}

void AsyncStream::Wait::expire(void* context) {
  Wait& wait = *static_cast<Wait*>(context);
  const Error late(Errc::timed_out, "the deadline passed");
  wake(wait.stream_->*wait.place_, &late);
}

Result<> AsyncStream::Opened::await_resume() {
  if (failure_) return fail(std::move(*failure_));
  if (stream_->end_) return fail(stream_->end_->clone());
  return {};
}

void AsyncStream::Read::await_suspend(std::coroutine_handle<> task) {
  stream_->lent_.clear();
  if (stream_->lent_.capacity() > kKeepWhileIdleBytes) stream_->lent_.release();
  if (stream_->arrived_.capacity() > kKeepWhileIdleBytes) stream_->arrived_.release();
  suspend(task);
}

Result<std::string_view> AsyncStream::Read::await_resume() {
  if (failure_) return fail(std::move(*failure_));
  AsyncStream& stream = *stream_;
  // Nothing arrived, no failure of the wait: the stream has ended.
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access)
  if (stream.arrived_.empty()) return fail(stream.end_->clone());
  stream.lent_.clear();
  std::swap(stream.lent_, stream.arrived_);
  if (stream.is_paused_) {
    stream.is_paused_ = false;
    stream.stream_->resume_reading();
  }
  return stream.lent_.view();
}

/// True when the write is over, well or not.
bool AsyncStream::Write::push() {
  while (!left_.empty()) {
    Result<std::size_t> taken = stream_->stream_->try_write(left_);
    if (!taken) {
      failure_.emplace(std::move(taken.error()));
      return true;
    }
    left_.remove_prefix(*taken);
    if (left_.empty()) break;
    if (*taken > 0) continue;
    if (stream_->end_) {
      failure_.emplace(stream_->end_->clone());
      return true;
    }
    stream_->stream_->want_writable();
    return false;
  }
  return true;
}

void AsyncStream::Write::await_suspend(std::coroutine_handle<> task) {
  suspend(task);
}

Result<> AsyncStream::Write::await_resume() {
  if (failure_) return fail(std::move(*failure_));
  return {};
}

}  // namespace consort
