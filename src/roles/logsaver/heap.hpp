// How much memory stays with us between batches.
//
//   batch after batch   the allocator keeps up to kKeptBytes of what was freed
//   quiet again         what is free goes back to the kernel, once
//
// Left to itself the allocator gives the memory of each batch back and takes it again for the next
// one: a sixth of the CPU time of JSON lines went into page faults.
#pragma once

#include <cstddef>
#include <cstdint>

namespace consort::logsaver {

/// One for the process, for the allocator is.
class Heap {
 public:
  static constexpr std::size_t kKeptBytes = std::size_t{16} << 20;
  /// Within a second: more is busy, and below a sixteenth of it is quiet.
  static constexpr std::uint64_t kBusyBytes = std::uint64_t{1} << 20;

  Heap();
  /// Each second: how many bytes of logs were read until now. True: memory was given back.
  bool look(std::uint64_t read_bytes);

 private:
  std::uint64_t read_bytes_ = 0;
  bool was_busy_ = true;  ///< the start takes some that is not needed later
};

}  // namespace consort::logsaver
