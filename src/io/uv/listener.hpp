// A listening TCP or unix socket on a UvLoop.
//
// Without descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) accepting pauses for 100 ms,
// doubling to 1 s: the backlog keeps the clients meanwhile, and a level-triggered loop must not
// spin.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "async/timer.hpp"
#include "io/fd.hpp"
#include "io/stream.hpp"
#include "io/uv/fd_watcher.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

class UvListener final : public Listener {
 public:
  static constexpr int kAcceptsPerEventMax = 64;
  static constexpr std::uint64_t kPauseMs = 100;
  static constexpr std::uint64_t kPauseMsMax = 1000;

  UvListener(UvLoop& loop, AcceptHandler& handler);
  ~UvListener() override;
  UvListener(const UvListener&) = delete;
  UvListener& operator=(const UvListener&) = delete;

  Result<> listen(const Address& address, const ListenOptions& options);
  Address address() const override { return address_; }
  void accept_last() override;

 private:
  Result<> open(const ListenOptions& options);
  Result<> bind_tcp(const ListenOptions& options);
  Result<> bind_every_interface(const ListenOptions& options);
  Result<> bind_unix();
  Result<> bind_to(const Address& address, const ListenOptions& options);
  Result<> take_path();
  void shut_out();
  /// False when nobody waits any more, or when the listener is gone.
  bool accept_some();
  void pause(Error why);
  void resume();

  UvLoop& loop_;
  AcceptHandler& handler_;
  Address address_;
  Fd fd_;
  FdWatcher watcher_;  // after fd_: it must let go before the descriptor closes
  Timer retry_;
  std::uint64_t pause_ms_ = 0;  // 0 while accepting works
  bool is_shut_ = false;
  bool* gone_ = nullptr;  // set by the destructor for the event under way
  // The path as we made it: a successor may have put its own there since.
  bool owns_path_ = false;
  dev_t path_device_ = 0;
  ino_t path_inode_ = 0;
};

}  // namespace consort::io
