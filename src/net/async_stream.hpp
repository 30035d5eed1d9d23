// A byte stream for coroutines: await bytes, await that bytes are gone, each with a deadline.
//
//   AsyncStream stream(loop, std::move(accepted));
//   auto bytes = co_await stream.read_some(deadline);      // Result<std::string_view>
//   auto sent = co_await stream.write_all(std::move(text), deadline);   // Result<>
//
// Ownership: it owns the io::Stream; destroying it closes the connection at once. Cancellation:
// dropping a task that waits takes the wait back (its awaiter's destructor), and the stream is as
// if that wait had never been; bytes that a dropped write_all handed over stay sent. A wait may
// resume its task on the loop's stack, and that task may destroy the stream. An AsyncStream that
// dies leaves other tasks' waits pending until they are dropped.
//
// At most one read, one write and one while_open at a time (else CHECK). Belongs to one thread.
// Back-pressure: what arrives between reads is kept up to buffer_bytes, plus the delivery that
// crosses them; then reading pauses, and so does the discovery that the peer has left.
// Cost: one copy of each byte read, no allocation in a steady state up to 4 KiB per read.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/error.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"

namespace consort {

class AsyncStream final : public io::StreamHandler {
 public:
  static constexpr std::size_t kBufferBytes = 64 * 1024;

  class Opened;
  class Read;
  class Write;
  template <class T>
  class WhileOpen;

  /// Takes over a stream that stands, for example an accepted one.
  AsyncStream(io::Loop& loop, std::unique_ptr<io::Stream> stream,
              std::size_t buffer_bytes = kBufferBytes);
  /// Starts connecting; opened() says when the connection stands.
  AsyncStream(io::Loop& loop, io::Network& network, const Address& address,
              std::size_t buffer_bytes = kBufferBytes);
  AsyncStream(const AsyncStream&) = delete;
  AsyncStream& operator=(const AsyncStream&) = delete;
  ~AsyncStream();

  /// Result<>: the connection stands, or why it does not.
  Opened opened(Deadline deadline);
  /// Result<std::string_view>: at least one byte, valid until the next read_some. After the last
  /// byte the error: Errc::closed for an orderly end, Errc::timed_out, or the failure.
  Read read_some(Deadline deadline);
  /// Result<>: the kernel has taken all. After an error it is unknown how much the peer got.
  Write write_all(std::string bytes, Deadline deadline);
  /// Result<T>: the task's result, unless the stream ends first: then the task is dropped. A peer
  /// that only shut down its sending half counts as gone.
  template <class T>
  WhileOpen<T> while_open(Task<T> task);

  /// Ends a pending read_some with Errc::cancelled, on this stack.
  void cancel_read();
  /// True when bytes have arrived that no read_some has shown yet.
  bool has_unread() const { return !arrived_.empty(); }
  /// No more writes; the peer sees the end after what was written.
  void shutdown_write() { stream_->shutdown_write(); }
  io::Peer peer() const { return stream_->peer(); }
  std::size_t unconfirmed_bytes() const { return stream_->unconfirmed_bytes(); }

  void on_open() override;
  void on_data(std::string_view bytes) override;
  void on_writable() override;
  void on_end(const Error& why) override;

 private:
  /// What the waits share: a place in the stream, a timer, and who is resumed.
  class Wait {
   public:
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   protected:
    using Place = Wait* AsyncStream::*;

    Wait(AsyncStream& stream, Place place, Deadline deadline);
    ~Wait();
    void suspend(std::coroutine_handle<> task);

    AsyncStream* stream_;  ///< null once it has died
    std::optional<Error> failure_;

   private:
    friend class AsyncStream;
    static void expire(void* context);

    Place place_;
    Timer timer_;
    Deadline deadline_;
    std::coroutine_handle<> task_;
  };

  /// Somebody to tell when the stream ends.
  struct Watch {
    void (*on_end)(Watch& self);
    AsyncStream* stream;  ///< null once it has died
  };

  static void wake(Wait*& place, const Error* failure);
  static void abandon(Wait* wait);
  void set_watch(Watch& watch);

  io::Loop& loop_;
  std::size_t buffer_bytes_;
  ByteQueue lent_;     ///< what the last read_some shows
  ByteQueue arrived_;  ///< what the next one will show
  std::optional<Error> end_;
  bool is_open_;
  bool is_paused_ = false;
  Wait* opener_ = nullptr;
  Wait* reader_ = nullptr;
  Wait* writer_ = nullptr;  ///< always a Write
  Watch* watch_ = nullptr;
  bool* destroyed_ = nullptr;  ///< while on_end runs: the destructor says so there
  // Last, so that it is gone before what its events would touch.
  std::unique_ptr<io::Stream> stream_;
};

class [[nodiscard]] AsyncStream::Opened : Wait {
 public:
  Opened(AsyncStream& stream, Deadline deadline) : Wait(stream, &AsyncStream::opener_, deadline) {}
  bool await_ready() const noexcept { return stream_->is_open_ || stream_->end_; }
  void await_suspend(std::coroutine_handle<> task) { suspend(task); }
  Result<> await_resume();
};

class [[nodiscard]] AsyncStream::Read : Wait {
 public:
  Read(AsyncStream& stream, Deadline deadline) : Wait(stream, &AsyncStream::reader_, deadline) {}
  bool await_ready() const noexcept { return !stream_->arrived_.empty() || stream_->end_; }
  void await_suspend(std::coroutine_handle<> task);
  Result<std::string_view> await_resume();
};

class [[nodiscard]] AsyncStream::Write : Wait {
 public:
  Write(AsyncStream& stream, std::string bytes, Deadline deadline)
      : Wait(stream, &AsyncStream::writer_, deadline), bytes_(std::move(bytes)), left_(bytes_) {}
  bool await_ready() { return push(); }
  void await_suspend(std::coroutine_handle<> task);
  Result<> await_resume();

 private:
  friend class AsyncStream;
  bool push();

  std::string bytes_;
  std::string_view left_;
};

template <class T>
class [[nodiscard]] AsyncStream::WhileOpen : Watch {
 public:
  WhileOpen(AsyncStream& stream, Task<T> task)
      : Watch{&WhileOpen::drop, &stream},
        task_(std::move(task)),
        runner_(std::move(*task_).operator co_await()) {
    stream.set_watch(*this);
  }
  WhileOpen(const WhileOpen&) = delete;
  WhileOpen& operator=(const WhileOpen&) = delete;
  ~WhileOpen() {
    if (stream != nullptr) stream->watch_ = nullptr;
  }

  bool await_ready() {
    if (stream->end_) task_.reset();
    return !task_.has_value();
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    return runner_.await_suspend(waiter);
  }
  Result<T> await_resume() {
    // Only the stream's end drops the task. NOLINTNEXTLINE(bugprone-unchecked-optional-access)
    if (!task_) return fail(stream->end_->clone());
    return runner_.await_resume();
  }

 private:
  static void drop(Watch& watch) {
    auto& self = static_cast<WhileOpen&>(watch);
    // A task that was never started is await_ready's business.
    if (!self.waiter_) return;
    self.task_.reset();
    self.waiter_.resume();
  }

  std::optional<Task<T>> task_;
  typename Task<T>::Awaiter runner_;
  std::coroutine_handle<> waiter_;
};

inline AsyncStream::Opened AsyncStream::opened(Deadline deadline) {
  return Opened(*this, deadline);
}
inline AsyncStream::Read AsyncStream::read_some(Deadline deadline) {
  return Read(*this, deadline);
}
inline AsyncStream::Write AsyncStream::write_all(std::string bytes, Deadline deadline) {
  return Write(*this, std::move(bytes), deadline);
}
template <class T>
AsyncStream::WhileOpen<T> AsyncStream::while_open(Task<T> task) {
  return WhileOpen<T>(*this, std::move(task));
}

}  // namespace consort
