#include "net/token_budget.hpp"

#include <doctest/doctest.h>

#include <cstdint>

using namespace consort;

namespace {

int withdraw_all(TokenBudget& budget, std::uint64_t now_ms) {
  int taken = 0;
  while (budget.withdraw(now_ms)) ++taken;
  return taken;
}

}  // namespace

TEST_CASE("a share of the calls may be retried") {
  TokenBudget budget(0.2, 0);
  CHECK_FALSE(budget.withdraw(0));
  for (int i = 0; i < 4; ++i) budget.deposit(0);
  CHECK_FALSE(budget.can_withdraw(0));
  budget.deposit(0);
  CHECK(budget.can_withdraw(0));
  CHECK(budget.withdraw(0));
  CHECK_FALSE(budget.withdraw(0));
  for (int i = 0; i < 500; ++i) budget.deposit(0);
  CHECK(budget.balance(0) == doctest::Approx(100));
  CHECK(withdraw_all(budget, 0) == 100);
}

TEST_CASE("asking takes nothing") {
  TokenBudget budget(1, 0);
  budget.deposit(0);
  for (int i = 0; i < 10; ++i) CHECK(budget.can_withdraw(0));
  CHECK(withdraw_all(budget, 0) == 1);
}

TEST_CASE("who calls rarely lives on the reserve") {
  TokenBudget budget(0.2, 10);
  CHECK(budget.balance(0) == doctest::Approx(100));
  CHECK(withdraw_all(budget, 0) == 100);
  // It is not spent for good: what was taken is forgotten after ten seconds.
  CHECK(withdraw_all(budget, 8'999) == 0);
  CHECK(withdraw_all(budget, 10'000) == 100);
}

TEST_CASE("a share of nothing leaves only the reserve") {
  TokenBudget budget(0, 1);
  for (int i = 0; i < 10'000; ++i) budget.deposit(0);
  CHECK(withdraw_all(budget, 0) == 10);
  TokenBudget none(0, 0);
  none.deposit(0);
  CHECK(withdraw_all(none, 0) == 0);
}

TEST_CASE("a quiet hour saves nothing up") {
  TokenBudget budget(0.5, 0);
  for (std::uint64_t second = 0; second < 3'600; ++second) {
    for (int i = 0; i < 10; ++i) budget.deposit(second * 1'000);
  }
  // Ten seconds of ten calls.
  CHECK(withdraw_all(budget, 3'599'000) == 50);
}

TEST_CASE("deposits and withdrawals are forgotten a tenth of the time at once") {
  TokenBudget budget(1, 0);
  for (std::uint64_t slot = 0; slot < 10; ++slot) budget.deposit(slot * 1'000);
  CHECK(budget.balance(9'999) == doctest::Approx(10));
  CHECK(budget.balance(10'000) == doctest::Approx(9));
  CHECK(budget.balance(12'345) == doctest::Approx(7));
  CHECK(budget.withdraw(12'345));
  CHECK(budget.balance(12'345) == doctest::Approx(6));
  // All deposits are gone, and the withdrawal they paid for is not: no credit, until it is.
  CHECK(budget.balance(19'000) == doctest::Approx(-1));
  CHECK(budget.balance(22'000) == doctest::Approx(0));
}

TEST_CASE("over a long time the share holds, whatever the demand") {
  TokenBudget budget(0.05, 0);
  int hedges = 0;
  for (std::uint64_t call = 0; call < 100'000; ++call) {
    budget.deposit(call * 3);
    if (budget.withdraw(call * 3)) ++hedges;
  }
  CHECK(hedges <= 5'000);
  CHECK(hedges > 4'900);  // the part of a hedge that is left in a slot is forgotten with it
}

TEST_CASE("a time in the past counts as the newest") {
  TokenBudget budget(1, 0);
  budget.deposit(50'000);
  budget.deposit(10);
  CHECK(budget.balance(20) == doctest::Approx(2));
  CHECK(budget.balance(60'000) == doctest::Approx(0));
}
