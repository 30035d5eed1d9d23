#include "roles/logsaver/heap.hpp"

#include <malloc.h>

#include <utility>

namespace consort::logsaver {

Heap::Heap() {
  ::mallopt(M_TRIM_THRESHOLD, static_cast<int>(kKeptBytes));
  ::mallopt(M_MMAP_THRESHOLD, static_cast<int>(kKeptBytes));
}

bool Heap::look(std::uint64_t read_bytes) {
  const std::uint64_t bytes = read_bytes - std::exchange(read_bytes_, read_bytes);
  if (bytes >= kBusyBytes) was_busy_ = true;
  if (!was_busy_ || bytes >= kBusyBytes / 16) return false;
  was_busy_ = false;
  ::malloc_trim(0);
  return true;
}

}  // namespace consort::logsaver
