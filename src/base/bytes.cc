#include "base/bytes.hpp"

#include <algorithm>

namespace consort {

void ByteQueue::grow(std::size_t more) {
  std::size_t used = size();
  // Half the block free at the front is worth moving for; otherwise double.
  if (head_ >= capacity_ / 2 && capacity_ - used >= more) {
    std::memmove(block_.get(), block_.get() + head_, used);
  } else {
    std::size_t wanted = std::max({used + more, capacity_ * 2, std::size_t{1024}});
    auto larger = std::make_unique_for_overwrite<char[]>(wanted);
    if (used != 0) std::memcpy(larger.get(), block_.get() + head_, used);
    block_ = std::move(larger);
    capacity_ = wanted;
  }
  head_ = 0;
  tail_ = used;
}

}  // namespace consort
