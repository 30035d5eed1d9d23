// The life of a managed process as one state machine, the same for every role.
//
//   CREATED -> INITIALIZING -> STARTING -> READY <-> UNREADY      (READY and UNREADY follow the
//                  |               |          \        /           gating health checks)
//                  |               |           DRAINING            no new work, finish the old
//                  +---------------+--------------+  |
//                                                 STOPPING         dropping what is left
//                                                 /     \.
//                                            STOPPED   FAILED      the end
//
// Every state before STOPPED may end in FAILED. DRAINING is left only towards the end: a process
// that told its clients to go away does not call them back. Work that is done by itself goes from
// READY or UNREADY to STOPPING, for there is nothing to drain.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "manage/clock.hpp"

namespace consort {

enum class State : std::uint8_t {
  created,
  initializing,
  starting,
  ready,
  unready,
  draining,
  stopping,
  stopped,
  failed,
};
inline constexpr std::size_t kStates = 9;

/// "READY": the fixed name in logs, metrics and the admin interface.
std::string_view to_string(State state);
/// The one table that says which transitions exist.
bool is_legal(State from, State to);
/// STARTING is over: what /startupz asks.
bool has_started(State state);
/// DRAINING or later.
bool is_ending(State state);

struct Transition {
  std::uint64_t seq = 0;  ///< counts transitions from 1; 0 is the birth in CREATED
  State from = State::created;
  State to = State::created;
  Moment at;
  std::string cause;                   ///< "signal TERM"
  std::uint64_t deadline_mono_ms = 0;  ///< by when the state must be left; 0 for no deadline
};

/// Thread-safe: the role's thread, the admin thread and signals all move and read it.
class Lifecycle {
 public:
  static constexpr std::size_t kHistory = 256;
  /// Called after each transition, on the thread that made it, without locks held.
  using Listener = std::function<void(const Transition&)>;

  explicit Lifecycle(Clock clock);

  /// Set before the second thread starts.
  void set_listener(Listener listener) { listener_ = std::move(listener); }

  /// An illegal transition is Errc::invalid and changes nothing; so two racing orders to stop
  /// have exactly one winner.
  Result<Transition> move_to(State to, std::string cause, std::uint64_t deadline_mono_ms = 0);

  /// The transition into the current state.
  Transition current() const;
  State state() const { return current().to; }
  /// Oldest first; the last kHistory of them.
  std::vector<Transition> history() const;
  /// How often this transition happened, also beyond the history.
  std::uint64_t count(State from, State to) const;
  Moment born() const { return born_; }

 private:
  Clock clock_;
  Moment born_;
  Listener listener_;
  mutable std::mutex mutex_;
  Transition current_;
  std::deque<Transition> history_;
  std::array<std::array<std::uint64_t, kStates>, kStates> counts_{};
};

}  // namespace consort
