// What the tests of tasks share: an object that counts the living, to see frames destroyed.
#pragma once

#include <utility>

namespace consort::test {

/// Counts up while it lives, wherever it was moved to.
class Alive {
 public:
  explicit Alive(int& count) : count_(&count) { ++*count_; }
  Alive(Alive&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  Alive& operator=(Alive&&) = delete;
  ~Alive() {
    if (count_ != nullptr) --*count_;
  }

 private:
  int* count_;
};

}  // namespace consort::test
