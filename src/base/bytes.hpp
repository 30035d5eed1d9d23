// A queue of bytes for connection buffers: append at the back, consume at the front.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace consort {

/// One contiguous block, so that parsers and try_write see a single view. Appending is a memcpy;
/// consuming moves an index. Memory above kKeepBytes is returned when the queue runs empty, so that
/// one large value does not stay as a connection's resident size for ever.
class ByteQueue {
 public:
  static constexpr std::size_t kKeepBytes = 64 * 1024;

  ByteQueue() = default;
  ByteQueue(ByteQueue&& other) noexcept { swap(other); }
  ByteQueue& operator=(ByteQueue&& other) noexcept {
    swap(other);
    return *this;
  }

  std::string_view view() const { return {block_.get() + head_, tail_ - head_}; }
  std::size_t size() const { return tail_ - head_; }
  bool empty() const { return head_ == tail_; }
  std::size_t capacity() const { return capacity_; }

  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    if (capacity_ - tail_ < bytes.size()) grow(bytes.size());
    std::memcpy(block_.get() + tail_, bytes.data(), bytes.size());
    tail_ += bytes.size();
  }
  void append(char byte) { append(std::string_view(&byte, 1)); }

  /// n must not exceed size().
  void consume(std::size_t n) {
    head_ += n;
    if (head_ != tail_) return;
    head_ = tail_ = 0;
    if (capacity_ > kKeepBytes) release();
  }
  /// Drops the last n bytes; n must not exceed size().
  void unappend(std::size_t n) { tail_ -= n; }
  void clear() { consume(size()); }
  /// Gives the memory back; for connections that fall idle.
  void release() {
    block_.reset();
    capacity_ = head_ = tail_ = 0;
  }

 private:
  void grow(std::size_t more);
  void swap(ByteQueue& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(capacity_, other.capacity_);
    std::swap(head_, other.head_);
    std::swap(tail_, other.tail_);
  }

  std::unique_ptr<char[]> block_;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace consort
