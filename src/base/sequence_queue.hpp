// A FIFO whose elements keep a sequence number for life: requests in flight, addressed by a 32-bit
// tag that a reply carries back.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/check.hpp"

namespace consort {

/// A power-of-two ring: no allocation while the number of elements stays below its capacity.
/// Sequence numbers wrap at 2^32; fewer than 2^31 elements may be queued.
template <class T>
class SequenceQueue {
 public:
  static constexpr std::size_t kKeepElements = 1024;  ///< above it, memory is returned when empty

  std::uint32_t front_seq() const { return head_; }
  std::uint32_t end_seq() const { return tail_; }
  std::size_t size() const { return tail_ - head_; }
  bool empty() const { return head_ == tail_; }
  bool contains(std::uint32_t seq) const { return seq - head_ < tail_ - head_; }

  T& front() { return (*this)[head_]; }
  T& operator[](std::uint32_t seq) {
    CONSORT_CHECK(contains(seq));
    return ring_[seq & mask_];
  }

  /// Returns the element's sequence number.
  std::uint32_t push(T value) {
    if (size() == capacity_) grow();
    ring_[tail_ & mask_] = std::move(value);
    return tail_++;
  }
  void pop() {
    CONSORT_CHECK(!empty());
    ring_[head_ & mask_] = T();
    ++head_;
    if (empty() && capacity_ > kKeepElements) release();
  }

 private:
  void grow() {
    std::size_t wanted = capacity_ == 0 ? 8 : capacity_ * 2;
    auto larger = std::make_unique<T[]>(wanted);
    auto larger_mask = static_cast<std::uint32_t>(wanted - 1);
    for (std::uint32_t seq = head_; seq != tail_; ++seq) {
      larger[seq & larger_mask] = std::move(ring_[seq & mask_]);
    }
    ring_ = std::move(larger);
    capacity_ = wanted;
    mask_ = larger_mask;
  }
  void release() {
    ring_.reset();
    capacity_ = 0;
    mask_ = 0;
  }

  std::unique_ptr<T[]> ring_;
  std::size_t capacity_ = 0;
  std::uint32_t mask_ = 0;
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
};

}  // namespace consort
