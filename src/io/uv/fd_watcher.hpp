// Tells when a descriptor can be read or written: the one use of uv_poll, under all sockets.
//
// Cost: nothing while the wish stays the same; a changed wish is two epoll_ctl (libuv removes the
// descriptor and adds it again), so callers settle their wish once per event.
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

/// What a descriptor is ready for, or what a watcher waits for.
struct Readiness {
  bool readable = false;
  bool writable = false;
  friend bool operator==(const Readiness&, const Readiness&) = default;
};

/// Level-triggered. Destroying it is safe inside its own callback and must happen before the
/// descriptor is closed. Belongs to the loop's thread.
class FdWatcher {
 public:
  /// An error of the descriptor shows as everything that was waited for.
  using Callback = void (*)(void* owner, Readiness ready);

  FdWatcher(Callback callback, void* owner) : callback_(callback), owner_(owner) {}
  ~FdWatcher() { close(); }
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;

  /// Sets the descriptor non-blocking. Fails when the kernel does not take it (out of memory or
  /// watches).
  Result<> open(UvLoop& loop, int fd);
  /// Waits for this from now on; nothing wanted costs nothing.
  void want(Readiness wanted);
  void close();

 private:
  struct Handle;
  /// uv_close is asynchronous: the handle lives until the loop lets go of it.
  struct Closer {
    void operator()(Handle* handle) const;
  };

  void on_ready(int status, int events);

  std::unique_ptr<Handle, Closer> handle_;
  Readiness wanted_;
  Callback callback_;
  void* owner_;
};

}  // namespace consort::io
