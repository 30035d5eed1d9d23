// The slowest requests of the last while, with what happened at each leaf: GET /requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace consort::gather {

/// Keeps up to kMost timelines. Asking is cheap, so that only a request that will be kept is
/// rendered. Belongs to the role's loop.
class FlightRecorder {
 public:
  static constexpr std::size_t kMost = 100;
  static constexpr std::uint64_t kForgottenMs = 15 * 60 * 1000;
  /// Of a request's leaves, those that tell most: a hundred times all of a wide request's would be
  /// most of the root's memory.
  static constexpr std::size_t kMostLeaves = 16;
  static constexpr std::size_t kMostBytes = 4 << 20;

  /// Whether a request of this duration would be among the slowest.
  bool wants(std::uint64_t duration_us, std::uint64_t now_ms);
  void add(std::uint64_t duration_us, std::uint64_t now_ms, std::string timeline_json);
  /// A JSON array, the slowest first.
  std::string to_json() const;

 private:
  static constexpr std::uint64_t kRateMs = 100;
  static constexpr std::uint32_t kMostPerWindow = 5;

  bool is_slow(std::uint64_t duration_us, std::uint64_t now_ms) const;

  struct Entry {
    std::uint64_t duration_us;
    std::uint64_t at_ms;
    std::string json;
  };

  std::vector<Entry> entries_;  ///< the slowest first
  std::size_t bytes_ = 0;
  std::uint64_t oldest_ms_ = 0;
  std::uint64_t rate_window_ = 0;
  std::uint32_t wanted_ = 0;  ///< in this window
};

}  // namespace consort::gather
