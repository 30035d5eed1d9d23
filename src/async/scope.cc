#include "async/scope.hpp"

#include <utility>

namespace consort {

/// The frame around a spawned task: linked while it lives, destroys itself when the task is done.
struct TaskScope::Runner {
  struct promise_type;

  struct Final {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<promise_type> done) const noexcept {
      promise_type& promise = done.promise();
      // Leave first: destructors in the frame may destroy the scope.
      promise.scope.unlink(promise.node);
      done.destroy();
    }
    void await_resume() const noexcept {}
  };

  struct promise_type {
    promise_type(TaskScope& owner, Task<>&) noexcept : scope(owner) {}
    Runner get_return_object() noexcept {
      node.frame = std::coroutine_handle<promise_type>::from_promise(*this);
      scope.link(node);
      return {};
    }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    Final final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }

    TaskScope& scope;
    Node node;
  };
};

void TaskScope::spawn(Task<> task) {
  if (cancelling_) return;
  run(*this, std::move(task));
}

void TaskScope::cancel() {
  const bool outermost = !std::exchange(cancelling_, true);
  // Not a walk: what a frame's destructors do may remove any other node.
  while (newest_ != nullptr) {
    Node& node = *newest_;
    unlink(node);
    node.frame.destroy();
  }
  if (outermost) cancelling_ = false;
}

TaskScope::Runner TaskScope::run(TaskScope&, Task<> task) {
  co_await std::move(task);
}

void TaskScope::link(Node& node) {
  node.next = newest_;
  if (newest_ != nullptr) newest_->previous = &node;
  newest_ = &node;
  ++size_;
}

void TaskScope::unlink(Node& node) {
  if (node.previous != nullptr) {
    node.previous->next = node.next;
  } else {
    newest_ = node.next;
  }
  if (node.next != nullptr) node.next->previous = node.previous;
  --size_;
}

}  // namespace consort
