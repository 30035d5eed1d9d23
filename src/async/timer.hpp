// Deadlines, kept in our own heap: thousands of timers cost one timer of the event loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace consort {

class Timer;

/// A binary heap of armed timers, O(log n) to arm and cancel. It knows no clock: the owner (io/uv
/// or a simulator) calls fire(now) and is told through set_alarm when the earliest deadline
/// changes. Milliseconds of the owner's monotonic clock throughout. Belongs to one thread. It must
/// outlive its timers' waits; timers that are left when it dies become idle.
class TimerQueue {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  /// Called with the new earliest deadline, or kNever when nothing is armed. It must not call back
  /// into the queue.
  using Alarm = void (*)(void* owner, std::uint64_t at_ms);

  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  ~TimerQueue();

  void set_alarm(Alarm alarm, void* owner);
  /// Fires everything due at now_ms: earliest first, equal deadlines in the order of their arming.
  /// A callback may arm, cancel or destroy any timer. One that it arms for a time that is already
  /// past fires in the next call, so that a bad period cannot hang the loop. Ends by telling the
  /// alarm the next deadline, changed or not. Not reentrant.
  void fire(std::uint64_t now_ms);
  std::uint64_t next() const { return heap_.empty() ? kNever : heap_.front().at_ms; }
  std::size_t size() const { return heap_.size() + due_left_; }

 private:
  friend class Timer;
  /// The key lies beside the pointer, so that sifting does not touch the timers themselves.
  struct Entry {
    std::uint64_t at_ms;
    std::uint64_t order;  ///< of arming
    Timer* timer;
  };

  void insert(Timer& timer);
  void remove(Timer& timer);
  void take_due(std::uint64_t now_ms);
  void erase(std::size_t index);
  void tell();
  void up(std::size_t index, const Entry& entry);
  void down(std::size_t index, const Entry& entry);
  void place(std::size_t index, const Entry& entry);
  static bool before(const Entry& a, const Entry& b);

  std::vector<Entry> heap_;
  std::vector<Timer*> due_;  ///< what this fire() still has to call; null where cancelled
  std::size_t due_left_ = 0;
  std::uint64_t next_order_ = 0;
  Alarm alarm_ = nullptr;
  void* owner_ = nullptr;
  std::uint64_t told_ms_ = kNever;
  bool firing_ = false;
};

/// One deadline. Lives in whoever waits (an object or an awaiter); its destructor cancels it.
class Timer {
 public:
  /// The timer is idle by the time it is called, so the callback may arm or destroy it.
  using Callback = void (*)(void* context);

  Timer(TimerQueue& queue, Callback callback, void* context)
      : queue_(queue), callback_(callback), context_(context) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { cancel(); }

  /// Replaces an earlier deadline. TimerQueue::kNever leaves the timer idle.
  void arm_at(std::uint64_t at_ms);
  void cancel();
  bool armed() const { return place_ != Place::idle; }
  /// The deadline last armed.
  std::uint64_t at() const { return at_ms_; }

 private:
  friend class TimerQueue;
  enum class Place : std::uint8_t { idle, heap, due };

  TimerQueue& queue_;
  Callback callback_;
  void* context_;
  std::uint64_t at_ms_ = 0;
  std::size_t index_ = 0;  ///< in the heap or in the list of due timers
  Place place_ = Place::idle;
};

}  // namespace consort
