// fire() first moves every due timer from the heap to a list, then calls them one by one:
//
//   idle --arm_at--> heap --fire: due--> due list --its turn--> idle, callback
//     ^________________|____cancel__________|
//
// A timer armed during the calls lands in the heap and so waits for the next fire().
#include "async/timer.hpp"

#include "base/check.hpp"

namespace consort {

TimerQueue::~TimerQueue() {
  CHECK(!firing_);
  for (Entry& entry : heap_) entry.timer->place_ = Timer::Place::idle;
}

void TimerQueue::set_alarm(Alarm alarm, void* owner) {
  alarm_ = alarm;
  owner_ = owner;
  told_ms_ = kNever;
  tell();
}

void TimerQueue::fire(std::uint64_t now_ms) {
  CHECK(!firing_);
  firing_ = true;
  take_due(now_ms);
  for (Timer*& slot : due_) {
    Timer* timer = slot;
    if (timer == nullptr) continue;
    slot = nullptr;
    --due_left_;
    timer->place_ = Timer::Place::idle;
    timer->callback_(timer->context_);
    // The timer may be gone now.
  }
  due_.clear();
  firing_ = false;
  // The owner's own timer has probably gone off, whatever it was told before.
  told_ms_ = next();
  if (alarm_ != nullptr) alarm_(owner_, told_ms_);
}

void TimerQueue::take_due(std::uint64_t now_ms) {
  while (!heap_.empty() && heap_.front().at_ms <= now_ms) {
    Timer* timer = heap_.front().timer;
    erase(0);
    timer->place_ = Timer::Place::due;
    timer->index_ = due_.size();
    due_.push_back(timer);
  }
  due_left_ = due_.size();
}

void TimerQueue::insert(Timer& timer) {
  timer.place_ = Timer::Place::heap;
  Entry entry{timer.at_ms_, next_order_++, &timer};
  heap_.push_back(entry);
  up(heap_.size() - 1, entry);
  tell();
}

void TimerQueue::remove(Timer& timer) {
  const bool is_due = timer.place_ == Timer::Place::due;
  timer.place_ = Timer::Place::idle;
  if (is_due) {
    due_[timer.index_] = nullptr;
    --due_left_;
    return;
  }
  erase(timer.index_);
  tell();
}

void TimerQueue::erase(std::size_t index) {
  const Entry last = heap_.back();
  heap_.pop_back();
  if (index == heap_.size()) return;
  // The last entry comes from another branch: it may belong above the hole or below it.
  if (index > 0 && before(last, heap_[(index - 1) / 2])) {
    up(index, last);
  } else {
    down(index, last);
  }
}

void TimerQueue::tell() {
  if (firing_ || told_ms_ == next()) return;
  told_ms_ = next();
  if (alarm_ != nullptr) alarm_(owner_, told_ms_);
}

void TimerQueue::up(std::size_t index, const Entry& entry) {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!before(entry, heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerQueue::down(std::size_t index, const Entry& entry) {
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], entry)) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, entry);
}

void TimerQueue::place(std::size_t index, const Entry& entry) {
  heap_[index] = entry;
  entry.timer->index_ = index;
}

bool TimerQueue::before(const Entry& a, const Entry& b) {
  return a.at_ms != b.at_ms ? a.at_ms < b.at_ms : a.order < b.order;
}

void Timer::arm_at(std::uint64_t at_ms) {
  cancel();
  at_ms_ = at_ms;
  if (at_ms != TimerQueue::kNever) queue_.insert(*this);
}

void Timer::cancel() {
  if (armed()) queue_.remove(*this);
}

}  // namespace consort
