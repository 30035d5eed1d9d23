// TaskScope: owns tasks that nobody awaits, so that none outlives the object it works for.
#pragma once

#include <coroutine>
#include <cstddef>

#include "async/task.hpp"

namespace consort {

/// Tasks run until they finish (then they unlink and free themselves) or until the scope is
/// cancelled (then they are dropped where they wait, in reverse order of spawning). Declare it
/// after the members its tasks use, so that it is destroyed before them. Belongs to one thread.
///
/// A task must not cancel or destroy its own scope while it runs: it would destroy the frame it
/// stands in. Let the loop do it (post), or set an Event that the owner waits for. Destructors in
/// a task's frame that run at its end may do both: the task has left the scope by then.
class TaskScope {
 public:
  TaskScope() = default;
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope() { cancel(); }

  /// Starts the task at once; returns when it waits for the first time or has finished. During
  /// cancel() it is dropped unstarted instead, or a destructor could keep the scope alive for ever.
  void spawn(Task<> task);
  /// Destroys all tasks. The scope can be used again afterwards.
  void cancel();
  std::size_t size() const { return size_; }

 private:
  struct Runner;
  struct Node {
    std::coroutine_handle<> frame;
    Node* previous = nullptr;
    Node* next = nullptr;
  };

  static Runner run(TaskScope& scope, Task<> task);
  void link(Node& node);
  void unlink(Node& node);

  Node* newest_ = nullptr;
  std::size_t size_ = 0;
  bool cancelling_ = false;
};

}  // namespace consort
