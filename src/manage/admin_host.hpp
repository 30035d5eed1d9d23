// The admin side of a process: its loop, its listeners, the signals, and the end by force.
//
// Signals arrive here and not on the role's loop, so that they work while that one hangs:
//
//   first TERM or INT -> Supervisor::stop with the grace period
//   second            -> Supervisor::hurry, and exit kHurryMs later whatever happens
//   HUP               -> reload
//   USR1              -> POST to the page that the role has for it, if any
//   a stop's deadline -> exit, when the role's loop did not end by itself
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/metrics.hpp"
#include "io/signals.hpp"
#include "io/uv/loop.hpp"
#include "io/uv/network.hpp"
#include "io/uv/signals.hpp"
#include "manage/admin.hpp"
#include "manage/config.hpp"
#include "manage/supervisor.hpp"
#include "net/http_server.hpp"

namespace consort {

/// Made, listening and destroyed on the main thread; in between run() belongs to another one.
class AdminHost final : private io::SignalHandler {
 public:
  /// What a second signal leaves to the role's loop for an orderly end.
  static constexpr std::uint64_t kHurryMs = 250;
  /// How long requests under way may delay the end of the process.
  static constexpr std::uint64_t kLingerMs = 250;

  explicit AdminHost(Logger& log);
  ~AdminHost();

  io::Loop& loop() { return loop_; }
  /// Answers from now on; all three must outlive this object's run(). The server's counters show
  /// up in `metrics`, which only this host's requests may render.
  void attach(Admin& admin, Supervisor& supervisor, Registry& metrics, Millis grace);

  /// The TCP address, unless it is "none", and the abstract socket. An error names the address and
  /// the way out; trouble with the abstract socket is a warning only.
  Result<> listen(const ManageConfig& manage, std::uint16_t default_port, const Identity& identity);
  /// `usr1_page` as in RoleSpec.
  Result<> watch_signals(std::string_view usr1_page);

  /// Serves until finish(). The one thread that this object has.
  void run() { loop_.run(); }

  /// Drops what finish() could not wait for. After run(), before the admin and supervisor go.
  void close() { server_.reset(); }

  // The rest is for any thread.

  /// Ends run() as soon as the requests under way are answered.
  void finish();
  /// Wakes requests that wait for a transition.
  void tell_transition();
  /// Ends the process by force at that time, should it still be there.
  void end_by(std::uint64_t mono_ms);

 private:
  void on_signal(int number) override;
  void ask_by_signal();
  void on_stop_signal(int number);
  void linger();
  [[noreturn]] void end_by_force();
  Result<> listen_tcp(const Address& address);
  void listen_abstract(const Identity& identity);

  Logger& log_;
  io::UvLoop loop_;
  io::UvNetwork network_;
  io::UvSignals signals_;
  std::unique_ptr<http::Server> server_;
  Admin* admin_ = nullptr;
  Supervisor* supervisor_ = nullptr;
  std::string usr1_page_;
  Millis grace_{0};
  int stop_signals_ = 0;
  bool finishing_ = false;
  std::uint64_t linger_until_ms_ = 0;
  Timer linger_timer_;
  Timer force_timer_;
};

}  // namespace consort
