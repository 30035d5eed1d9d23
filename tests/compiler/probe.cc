// Refuses compilers that miscompile coroutines. Exit 0: sound.
#include <coroutine>
#include <memory>
#include <string>
#include <utility>
struct Probe {
  static inline int live = 0, bad = 0;
  Probe* self;
  std::unique_ptr<int> p = std::make_unique<int>(1);
  Probe() : self(this) { ++live; }
  Probe(Probe&& o) noexcept : self(this), p(std::move(o.p)) { ++live; }
  ~Probe() {
    if (self == this)
      --live;
    else {
      ++bad;
      (void)p.release();
    }
  }
};
struct Co {
  struct promise_type {
    std::coroutine_handle<> up;
    Co get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    struct F {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
        return h.promise().up;
      }
      void await_resume() noexcept {}
    };
    F final_suspend() noexcept { return {}; }
  };
  std::coroutine_handle<promise_type> h;
  Co(std::coroutine_handle<promise_type> x) : h(x) {}
  Co(Co&& o) noexcept : h(std::exchange(o.h, {})) {}
  ~Co() {
    if (h) h.destroy();
  }
  bool await_ready() { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> c) {
    h.promise().up = c;
    return h;
  }
  void await_resume() {}
};
static std::coroutine_handle<> waiting;
struct Wait {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> h) { waiting = h; }
  void await_resume() {}
};
struct Options {
  Probe a;
  int n = 0;
};
static Co take(Options) {
  co_await Wait{};
}
static Co list() {
  Options o{Probe(), (co_await Wait{}, 1)};
  (void)o;
}
static Co top() {
  co_await take({.a = Probe(), .n = 1});
}
int main() {
  {
    Co t = top();
    t.h.promise().up = std::noop_coroutine();
    t.h.resume();
    waiting.resume();
  }
  {
    Co t = list();
    t.h.promise().up = std::noop_coroutine();
    t.h.resume();
  }  // dropped while suspended
  return Probe::live != 0 || Probe::bad != 0;
}
