#include "io/uv/loop.hpp"

#include <uv.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/check.hpp"

namespace consort::io {

namespace {

/// Without a loop there is nobody to log or to serve: one line and EX_UNAVAILABLE.
void start_or_die(int rc, const char* what) {
  if (rc == 0) return;
  std::fprintf(stderr, "consort: cannot create %s: %s (raise the limit of open files or memory)\n",
               what, uv_strerror(rc));
  std::_Exit(69);
}

}  // namespace

struct UvLoop::Handles {
  uv_loop_t loop{};
  uv_timer_t timer{};
  uv_async_t async{};
  uv_prepare_t prepare{};
};

UvLoop::UvLoop() : handles_(std::make_unique<Handles>()) {
  uv_loop_t* loop = &handles_->loop;
  start_or_die(uv_loop_init(loop), "an event loop");
  start_or_die(uv_timer_init(loop, &handles_->timer), "a timer");
  auto on_async = [](uv_async_t* handle) { static_cast<UvLoop*>(handle->data)->run_posts(); };
  start_or_die(uv_async_init(loop, &handles_->async, on_async), "a wake-up descriptor");
  start_or_die(uv_prepare_init(loop, &handles_->prepare), "a turn hook");
  handles_->timer.data = this;
  handles_->async.data = this;
  handles_->prepare.data = this;

  // Only noted here: libuv 1.44 fires a timer again in the same pass when its callback arms it for
  // now, for ever. prepare arms it after that pass.
  auto on_alarm = [](void* owner, std::uint64_t at_ms) {
    static_cast<UvLoop*>(owner)->alarm_at_ms_ = at_ms;
  };
  timers_.set_alarm(on_alarm, this);
  auto on_prepare = [](uv_prepare_t* handle) { static_cast<UvLoop*>(handle->data)->end_turn(); };
  start_or_die(uv_prepare_start(&handles_->prepare, on_prepare), "a turn hook");
  started_ns_ = now_ns();
}

UvLoop::~UvLoop() {
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->timer), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->async), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->prepare), nullptr);
  // Close callbacks run in the first of these turns; a signal caught at the last moment needs more.
  constexpr int kTurnsMax = 16;
  for (int i = 0; i < kTurnsMax && uv_loop_alive(&handles_->loop) != 0; ++i) {
    uv_run(&handles_->loop, UV_RUN_NOWAIT);
  }
  CHECK(uv_loop_close(&handles_->loop) == 0);
}

void UvLoop::run() {
  uv_update_time(&handles_->loop);
  enter_turn();
  uv_run(&handles_->loop, UV_RUN_DEFAULT);
  // stop() in a socket's event ends uv_run before prepare; what the event produced still leaves.
  stopped_ = true;
  if (turn_began_ns_ != 0) end_turn();
  stopped_ = false;
}

void UvLoop::stop() {
  // A hook that stops the loop once more at the very end must not stop the next run() as well.
  if (!stopped_) uv_stop(&handles_->loop);
}

std::uint64_t UvLoop::now_ms() const {
  return uv_now(&handles_->loop);
}

std::uint64_t UvLoop::now_ns() const {
  return uv_hrtime();
}

uv_loop_s* UvLoop::raw() {
  return &handles_->loop;
}

char* UvLoop::read_buffer() {
  if (!read_buffer_) read_buffer_ = std::make_unique_for_overwrite<char[]>(kReadBufferBytes);
  return read_buffer_.get();
}

void UvLoop::post(std::function<void()> fn) {
  bool first = false;
  {
    std::lock_guard lock(posts_mutex_);
    first = posts_.empty();
    posts_.push_back(std::move(fn));
  }
  if (first) uv_async_send(&handles_->async);
}

void UvLoop::run_posts() {
  enter_turn();
  std::vector<std::function<void()>> posts;
  {
    std::lock_guard lock(posts_mutex_);
    posts.swap(posts_);
  }
  for (auto& fn : posts) fn();
}

void UvLoop::begin_turn() {
  turn_began_ns_ = now_ns();
  busy_since_ns_.store(turn_began_ns_, std::memory_order_relaxed);
}

void UvLoop::end_turn() {
  run_hooks();
  arm_timer();
  if (turn_began_ns_ == 0) return;
  std::uint64_t took_ns = now_ns() - turn_began_ns_;
  turn_began_ns_ = 0;
  busy_since_ns_.store(0, std::memory_order_relaxed);
  busy_ns_.add(took_ns);
  turns_.add();
  if (turn_histogram_ != nullptr) turn_histogram_->observe_ns(took_ns);
}

void UvLoop::run_hooks() {
  in_hooks_ = true;
  for (std::size_t i = 0, count = hooks_.size(); i < count; ++i) {
    if (hooks_[i] != nullptr) hooks_[i]->on_turn_end();
  }
  in_hooks_ = false;
  std::erase(hooks_, nullptr);
}

void UvLoop::arm_timer() {
  if (alarm_at_ms_ == armed_at_ms_) return;
  armed_at_ms_ = alarm_at_ms_;
  if (armed_at_ms_ == TimerQueue::kNever) {
    uv_timer_stop(&handles_->timer);
    return;
  }
  auto on_timer = [](uv_timer_t* handle) {
    auto* self = static_cast<UvLoop*>(handle->data);
    self->enter_turn();
    self->armed_at_ms_ = TimerQueue::kNever;
    self->timers_.fire(self->now_ms());
  };
  std::uint64_t now = now_ms();
  uv_timer_start(&handles_->timer, on_timer, armed_at_ms_ > now ? armed_at_ms_ - now : 0, 0);
}

void UvLoop::add_turn_hook(TurnHook& hook) {
  hooks_.push_back(&hook);
}

void UvLoop::remove_turn_hook(TurnHook& hook) {
  auto found = std::find(hooks_.begin(), hooks_.end(), &hook);
  if (found == hooks_.end()) return;
  // The list is being walked during a turn end: leave a hole, swept afterwards.
  if (in_hooks_) {
    *found = nullptr;
  } else {
    hooks_.erase(found);
  }
}

}  // namespace consort::io
