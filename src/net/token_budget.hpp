// Bounds retries and hedges to a share of the calls that caused them, so that a service that is
// already slow is not buried under second tries.
//
// The leaky token bucket of Finagle's RetryBudget (twitter/finagle, service/RetryBudget.scala):
// every original call deposits one token, a retry withdraws 1/share of them, and a reserve of
// min_per_second x ttl retries serves those who call rarely. Deposits and withdrawals are both
// forgotten after `ttl`, so a quiet hour saves nothing up for a bad minute.
//
//   share 0.2, 10 per second, ttl 10 s; 500 calls in the last 10 s
//   balance = 500 * 0.2 + 10 * 10 = 200 retries, less those made in the last 10 s
//
// Cost: deposit() and withdraw() 4 ns, no allocation. Nothing here waits: who gets no token goes on
// without.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/options.hpp"

namespace consort {

/// Belongs to one thread. Time is given and should not run backwards.
class TokenBudget {
 public:
  static constexpr Millis kTtl{10'000};
  static constexpr std::size_t kSlots = 10;  ///< tokens are forgotten a tenth of ttl at a time

  /// `share` is retries per call: 0 leaves the reserve alone.
  TokenBudget(double share, std::uint32_t min_per_second, Millis ttl = kTtl);

  /// An original call was made.
  void deposit(std::uint64_t now_ms);
  bool can_withdraw(std::uint64_t now_ms);
  /// Takes the tokens of one retry, or none and says false.
  bool withdraw(std::uint64_t now_ms);
  /// Retries that could be made now. Below 0 while old deposits are forgotten, and what they paid
  /// for is not yet.
  double balance(std::uint64_t now_ms);

 private:
  /// In thousandths, as Finagle counts: exact for any share.
  static constexpr std::int64_t kDeposit = 1'000;

  void advance(std::uint64_t now_ms);

  std::int64_t deposit_;
  std::int64_t price_;  ///< of one retry
  std::int64_t reserve_;
  std::uint64_t slot_ms_;
  std::uint64_t newest_ = 0;  ///< number of the newest slot: its time over slot_ms_
  std::int64_t sum_ = 0;
  std::array<std::int64_t, kSlots> slots_{};
};

}  // namespace consort
