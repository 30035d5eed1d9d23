// Waiting on the admin's loop: with a limit, and for what another thread answers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "async/event.hpp"
#include "async/timer.hpp"
#include "base/options.hpp"
#include "io/loop.hpp"

namespace consort {

/// An Event that a timer sets as well.
struct TimedEvent {
  explicit TimedEvent(io::Loop& loop, Millis at_most)
      : timer(loop.timers(), [](void* self) { static_cast<Event*>(self)->set(); }, &event) {
    timer.arm_at(loop.now_ms() + static_cast<std::uint64_t>(at_most.count()));
  }
  Event event;
  Timer timer;
};

/// Requests that wait for an answer from the role's thread. Belongs to the admin's loop.
///
///   RoleAnswers<Report>::Waiting waiting(reports_, limit);
///   ask_the_role(waiting.receiver());
///   co_await waiting.wait();
///   if (!waiting.answer) ...                       // the limit has passed
template <class T>
class RoleAnswers {
 public:
  explicit RoleAnswers(io::Loop& loop) : loop_(loop) {}

  class Waiting {
   public:
    Waiting(RoleAnswers& all, Millis at_most)
        : all_(all), id_(all.next_id_++), timed_(all.loop_, at_most) {
      all_.waiting_[id_] = this;
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { all_.waiting_.erase(id_); }

    /// For any thread, once. The request may be gone when the answer comes: it is found by its
    /// number, or not at all.
    std::function<void(T)> receiver() {
      return [all = &all_, id = id_](T answer) {
        all->loop_.post([all, id, answer = std::move(answer)]() mutable {
          const auto found = all->waiting_.find(id);
          if (found == all->waiting_.end()) return;
          found->second->answer = std::move(answer);
          found->second->timed_.event.set();
        });
      };
    }
    auto wait() { return timed_.event.wait(); }

    std::optional<T> answer;

   private:
    RoleAnswers& all_;
    std::uint64_t id_;
    TimedEvent timed_;
  };

 private:
  io::Loop& loop_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Waiting*> waiting_;
};

}  // namespace consort
