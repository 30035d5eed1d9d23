// Many small texts that live and die together: one allocation for all of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace consort {

/// What is kept stays where it is until the arena is cleared or dies.
class ByteArena {
 public:
  /// A copy of the text. When there is no room, `expected` bytes are allocated at once (or as many
  /// as the text has): what this and the next texts will take.
  std::string_view keep(std::string_view text, std::size_t expected) {
    if (text.size() > left_) grow(std::max(text.size(), expected));
    if (text.empty()) return {};
    char* const at = next_;
    std::memcpy(at, text.data(), text.size());
    next_ += text.size();
    left_ -= text.size();
    return {at, text.size()};
  }
  void clear() { *this = ByteArena(); }
  /// Allocated.
  std::size_t bytes() const { return bytes_; }

 private:
  void grow(std::size_t bytes) {
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    next_ = blocks_.back().get();
    left_ = bytes;
    bytes_ += bytes;
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace consort
