// Reading and counting the HyperLogLogs that Redis keeps in strings, for PFCOUNT over keys of
// several servers.
//
//   string   = "HYLL" encoding:1 0 0 0 cached:8 body
//   dense    = encoding 0; 16384 registers of 6 bits, the least significant bits first: 12288 bytes
//   sparse   = encoding 1; opcodes that must give 16384 registers in all
//     00nnnnnn            ZERO   n+1 registers of 0
//     01nnnnnn nnnnnnnn   XZERO  n+1 registers of 0, the high bits first
//     1vvvvvnn            VAL    n+1 registers of v+1
//   example: "HYLL" 01 00 00 00, 8 bytes of cache, 7f ff = XZERO 16384: the empty one
//
// The cached count is not used: it is of one key alone, and a server counts several keys afresh.
//
// Sources: the format as Redis documents it at PFCOUNT and at the top of its hyperloglog.c; the
// estimator is algorithm 6 of O. Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches" (2017), which is what the server uses since 4.0, in the same order of operations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace consort::redis {

/// The maximum, register by register, of any number of HyperLogLogs. A value of 16 KiB.
class HyperLogLog {
 public:
  static constexpr std::size_t kRegisters = 16384;

  enum class Added : std::uint8_t {
    yes,
    not_one,  ///< the server: "WRONGTYPE Key is not a valid HyperLogLog string value."
    corrupt,  ///< the server: "INVALIDOBJ Corrupted HLL object detected"
  };
  /// Adds what a key holds. After corrupt the registers mean nothing. About 20 us for a dense one.
  Added add(std::string_view value);
  /// The estimated number of distinct elements, equal to the server's PFCOUNT of the same keys; an
  /// estimate of 2^63 and more is -2^63, as it is there.
  std::int64_t count() const;

 private:
  void add_dense(std::string_view body);
  Added add_sparse(std::string_view body);
  void raise(std::size_t first, std::size_t count, std::uint8_t value);

  std::array<std::uint8_t, kRegisters> registers_{};
};

}  // namespace consort::redis
