// The bytes of a simulated file: blocks with holes between them, and what a power cut would leave.
//
//   written blocks  ####....####      '.': a hole, reads as NULs
//   history         what each block was before, since the last syncs; lose() goes back through it
//
// Only what keep_history() was called for can be lost.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace consort::sim {

class FileContent {
 public:
  static constexpr std::uint64_t kBlockBytes = 4096;

  std::uint64_t size() const { return size_; }

  /// Fewer bytes than asked for only at the end.
  std::size_t read(std::uint64_t offset, std::span<char> into) const {
    if (offset >= size_) return 0;
    const std::size_t bytes =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - offset));
    for (std::size_t done = 0; done < bytes;) {
      const Piece piece = piece_at(offset + done, bytes - done);
      const auto found = blocks_.find(piece.block);
      char* to = into.data() + done;
      if (found == blocks_.end()) {
        std::fill_n(to, piece.bytes, '\0');
      } else {
        std::copy_n(found->second.data() + piece.from, piece.bytes, to);
      }
      done += piece.bytes;
    }
    return bytes;
  }

  void write(std::uint64_t offset, std::string_view text) {
    while (!text.empty()) {
      const Piece piece = piece_at(offset, text.size());
      remember(piece.block);
      std::copy_n(text.data(), piece.bytes, blocks_[piece.block].data() + piece.from);
      text.remove_prefix(piece.bytes);
      offset += piece.bytes;
      size_ = std::max(size_, offset);
    }
  }

  void truncate(std::uint64_t size) {
    const std::uint64_t kept_blocks = (size + kBlockBytes - 1) / kBlockBytes;
    for (auto each = blocks_.lower_bound(kept_blocks); each != blocks_.end();) {
      remember(each->first);
      each = blocks_.erase(each);
    }
    const auto cut = blocks_.find(size / kBlockBytes);
    if (size < size_ && cut != blocks_.end()) {
      remember(cut->first);
      std::fill(cut->second.begin() + static_cast<std::ptrdiff_t>(size % kBlockBytes),
                cut->second.end(), '\0');
    }
    size_ = size;
  }

  /// The beginning of the next block that was written, or offset inside of one; the size without.
  std::uint64_t data_from(std::uint64_t offset) const {
    const auto found = blocks_.lower_bound(offset / kBlockBytes);
    if (offset >= size_ || found == blocks_.end()) return size_;
    return std::max(offset, found->first * kBlockBytes);
  }

  std::string text() const {
    std::string all(static_cast<std::size_t>(size_), '\0');
    (void)read(0, all);
    return all;
  }

  /// From now on what was not synced can be lost.
  void keep_history() {
    if (history_.empty()) history_.push_back({.size = size_, .blocks = {}});
  }
  /// What is written from now on is not part of the sync that begins; its number for end_sync().
  std::uint64_t begin_sync() {
    if (history_.empty()) return 0;
    history_.push_back({.size = size_, .blocks = {}});
    return first_ + history_.size() - 1;
  }
  void end_sync(std::uint64_t number) {
    while (first_ < number && history_.size() > 1) {
      history_.pop_front();
      ++first_;
    }
  }
  /// Becomes what the last sync saw, and the next keep_bytes of what had been appended since.
  void lose(std::uint64_t keep_bytes) {
    if (history_.empty()) return;
    const FileContent before = *this;
    for (auto each = history_.rbegin(); each != history_.rend(); ++each) {
      for (auto& [number, block] : each->blocks) {
        blocks_.erase(number);
        if (block) blocks_.emplace(number, *block);
      }
      size_ = each->size;
    }
    first_ += history_.size();
    history_.clear();
    if (before.size_ > size_ && keep_bytes > 0) {
      std::string kept(static_cast<std::size_t>(std::min(keep_bytes, before.size_ - size_)), '\0');
      (void)before.read(size_, kept);
      write(size_, kept);
    }
    keep_history();
  }

 private:
  using Block = std::array<char, kBlockBytes>;
  struct Piece {
    std::uint64_t block;
    std::size_t from;
    std::size_t bytes;
  };
  struct Before {
    std::uint64_t size = 0;
    std::map<std::uint64_t, std::optional<Block>> blocks;
  };

  static Piece piece_at(std::uint64_t offset, std::size_t bytes_max) {
    const auto from = static_cast<std::size_t>(offset % kBlockBytes);
    return {offset / kBlockBytes, from,
            std::min(bytes_max, static_cast<std::size_t>(kBlockBytes) - from)};
  }
  void remember(std::uint64_t number) {
    if (history_.empty() || history_.back().blocks.contains(number)) return;
    const auto found = blocks_.find(number);
    std::optional<Block> block;
    if (found != blocks_.end()) block = found->second;
    history_.back().blocks.emplace(number, block);
  }

  std::uint64_t size_ = 0;
  std::map<std::uint64_t, Block> blocks_;
  std::deque<Before> history_;  ///< empty: nothing can be lost. The last one is under way
  std::uint64_t first_ = 1;     ///< the number of history_.front()
};

}  // namespace consort::sim
