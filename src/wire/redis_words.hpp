// How Redis compares the words of a request, and a hash table of words for the command table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace consort::redis {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

constexpr bool same_word(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

/// FNV-1a over the letters without their case. The fold is coarse; equal hashes are compared.
constexpr std::uint32_t hash_of(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<std::uint32_t>(c | 0x20)) * 16777619u;
  return hash ^ (hash >> 15);
}

/// Open addressing: each slot holds the number of an entry, or kNoEntry. The number of slots is a
/// power of two and at least kSlotsPerName times that of the names, so that a look-up rarely passes
/// its first slot.
inline constexpr std::uint16_t kNoEntry = 0xffff;
inline constexpr std::size_t kSlotsPerName = 4;

/// Fills `slots`, all kNoEntry, with the numbers of `entries`, which have a `name`.
template <class Entry>
constexpr void fill_slots(std::span<const Entry> entries, std::span<std::uint16_t> slots) {
  for (std::uint16_t i = 0; i < entries.size(); ++i) {
    std::size_t slot = hash_of(entries[i].name) % slots.size();
    while (slots[slot] != kNoEntry) slot = (slot + 1) % slots.size();
    slots[slot] = i;
  }
}

}  // namespace consort::redis
