#include "net/token_budget.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"

namespace consort {

TokenBudget::TokenBudget(double share, std::uint32_t min_per_second, Millis ttl)
    // Without a share nothing is deposited, and the price only gives the reserve its unit.
    : deposit_(share > 0 ? kDeposit : 0),
      price_(share > 0 ? std::max<std::int64_t>(1, std::llround(kDeposit / std::max(share, 1e-9)))
                       : kDeposit),
      slot_ms_(static_cast<std::uint64_t>(ttl.count()) / kSlots) {
  CONSORT_CHECK(ttl >= Millis{kSlots});
  reserve_ = static_cast<std::int64_t>(min_per_second) * price_ * ttl.count() / 1'000;
}

void TokenBudget::deposit(std::uint64_t now_ms) {
  advance(now_ms);
  slots_[newest_ % kSlots] += deposit_;
  sum_ += deposit_;
}

bool TokenBudget::can_withdraw(std::uint64_t now_ms) {
  advance(now_ms);
  return sum_ + reserve_ >= price_;
}

bool TokenBudget::withdraw(std::uint64_t now_ms) {
  if (!can_withdraw(now_ms)) return false;
  slots_[newest_ % kSlots] -= price_;
  sum_ -= price_;
  return true;
}

double TokenBudget::balance(std::uint64_t now_ms) {
  advance(now_ms);
  return static_cast<double>(sum_ + reserve_) / static_cast<double>(price_);
}

void TokenBudget::advance(std::uint64_t now_ms) {
  const std::uint64_t number = now_ms / slot_ms_;
  if (number <= newest_) return;
  const std::uint64_t stale = std::min<std::uint64_t>(number - newest_, kSlots);
  newest_ = number;
  for (std::uint64_t i = 0; i < stale; ++i) {
    std::int64_t& slot = slots_[(number - i) % kSlots];
    sum_ -= slot;
    slot = 0;
  }
}

}  // namespace consort
