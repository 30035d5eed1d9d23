// Gate: counts what is in flight, so that a drain can refuse newcomers and wait for the rest.
//
//   open --close()--> closed, n passes out --last pass dropped--> empty: drained() goes on
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "async/event.hpp"

namespace consort {

/// After Seastar's gate. Belongs to one thread and must outlive its passes.
class Gate {
 public:
  /// Held by a piece of work as long as it is in flight.
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(gate_, other.gate_);
      return *this;
    }
    ~Pass() {
      if (gate_ != nullptr) gate_->leave();
    }

   private:
    friend class Gate;
    explicit Pass(Gate& gate) : gate_(&gate) { ++gate.inside_; }
    Gate* gate_;
  };

  /// Nothing once the gate is closed.
  std::optional<Pass> enter() {
    if (closed_) return std::nullopt;
    return Pass(*this);
  }
  /// May run the task that waits for drained(), when nothing is in flight.
  void close() {
    closed_ = true;
    if (inside_ == 0) drained_.set();
  }
  /// `co_await gate.drained();` waits until the gate is closed and the last pass is gone.
  Event::Wait drained() { return drained_.wait(); }
  bool is_closed() const { return closed_; }
  std::size_t inside() const { return inside_; }

 private:
  void leave() {
    if (--inside_ == 0 && closed_) drained_.set();
  }

  std::size_t inside_ = 0;
  bool closed_ = false;
  Event drained_;
};

}  // namespace consort
