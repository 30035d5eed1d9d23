// Room for what a library writes before it is known how much that is.
#pragma once

#include <cstddef>
#include <memory>

namespace consort {

/// Grows and never shrinks; its bytes are not initialized, so that pages that nobody writes do not
/// become resident.
class Scratch {
 public:
  /// At least that many bytes, valid until the next call.
  char* fit(std::size_t bytes) {
    if (bytes > size_) {
      bytes_.reset();  // first, so that both are never there at once
      bytes_ = std::make_unique_for_overwrite<char[]>(bytes);
      size_ = bytes;
    }
    return bytes_.get();
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace consort
