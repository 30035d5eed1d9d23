#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "roles/gather/hedge_policy.hpp"
#include "unit/roles/gather_replica_sim.hpp"

using namespace consort;
using namespace consort::gather;
using consort::gather::testing::Future;
using Answer = HedgePolicy::Answer;
using Moment = HedgePolicy::Moment;

namespace {

HedgeOptions options_of(std::string_view text) {
  auto options = HedgeOptions::parse(text);
  REQUIRE(options);
  return *options;
}

/// A root that fans each request out to `width` shards, hedges late ones, and waits for all.
class HedgeSim {
 public:
  HedgeSim(HedgeOptions options, std::uint32_t width, std::function<std::uint64_t(Random&)> latency)
      : policy(options), width_(width), latency_(std::move(latency)) {}

  /// Requests arrive with this mean rate.
  void run(int requests, double per_second) {
    std::uint64_t at = future.now_us();
    for (int i = 0; i < requests; ++i) {
      at += static_cast<std::uint64_t>(-std::log(1 - random.unit()) * 1e6 / per_second) + 1;
      future.at(at, [this] { start(); });
    }
    future.run_until(at + 60'000'000);
  }
  double extra() const { return static_cast<double>(hedges) / static_cast<double>(originals); }
  std::uint64_t percentile_us(double p) {
    std::ranges::sort(took_us);
    return took_us[static_cast<std::size_t>(p * static_cast<double>(took_us.size() - 1))];
  }

  Future future;
  Random random{21};
  HedgePolicy policy;
  TokenBudget retries{0.2, 10};
  std::uint64_t originals = 0;
  std::uint64_t hedges = 0;
  std::uint64_t systemic = 0;
  std::vector<std::uint64_t> took_us;  ///< of whole requests

 private:
  struct Request {
    std::uint64_t started_us;
    std::uint32_t pending;
    std::uint32_t late = 0;
  };
  struct Call {
    std::shared_ptr<Request> request;
    bool done = false;
    bool late = false;
  };

  void start() {
    auto request = std::make_shared<Request>(Request{future.now_us(), width_});
    for (std::uint32_t i = 0; i < width_; ++i) {
      auto call = std::make_shared<Call>(Call{request});
      policy.on_original(future.now_ms());
      retries.deposit(future.now_ms());
      ++originals;
      const auto delay = policy.delay_us(future.now_ms());
      if (delay) later(call, *delay);
      attempt(call, true);
    }
  }
  void later(const std::shared_ptr<Call>& call, std::uint64_t delay) {
    future.at(future.now_us() + delay, [this, call, delay] { on_late(call, delay); });
  }
  void on_late(const std::shared_ptr<Call>& call, std::uint64_t delay) {
    if (call->done) return;
    if (!call->late) ++call->request->late;
    call->late = true;
    const Moment moment{.late = call->request->late, .width = width_};
    switch (policy.may_hedge(future.now_ms(), moment, retries)) {
      case Answer::go:
        ++hedges;
        attempt(call, false);
        break;
      case Answer::systemic:
        ++systemic;
        later(call, delay);
        break;
      case Answer::target_busy:
      case Answer::no_budget:
        break;
    }
  }
  void attempt(const std::shared_ptr<Call>& call, bool is_original) {
    const std::uint64_t started = future.now_us();
    const std::uint64_t us = latency_(random);
    future.at(started + us, [this, call, is_original, us] {
      if (call->done) return;
      call->done = true;
      policy.record(us, future.now_ms());
      // The loser that a copy has overtaken took at least as long as it has.
      if (!is_original) policy.record(future.now_us() - call->request->started_us, future.now_ms());
      if (call->late) --call->request->late;
      if (--call->request->pending == 0) {
        took_us.push_back(future.now_us() - call->request->started_us);
      }
    });
  }

  std::uint32_t width_;
  std::function<std::uint64_t(Random&)> latency_;
};

/// 1 to 2 ms, and one in a hundred 100 ms.
std::uint64_t mostly_fast(Random& random) {
  return random.below(100) == 0 ? 100'000 : 1'000 + random.below(1'000);
}

}  // namespace

TEST_CASE("hedging reads as people write it") {
  const HedgeOptions usual = options_of("p95:5%");
  CHECK(usual.enabled);
  CHECK(usual.percentile == doctest::Approx(0.95));
  CHECK(usual.max_extra == doctest::Approx(0.05));
  CHECK_FALSE(usual.delay);
  CHECK_FALSE(options_of("off").enabled);
  CHECK(options_of("p99.9").percentile == doctest::Approx(0.999));
  CHECK(options_of("p99.9").max_extra == doctest::Approx(0.05));
  CHECK(options_of("2%").percentile == doctest::Approx(0.98));
  CHECK(options_of("10ms").percentile == 0);
  CHECK(options_of("10ms").delay == Millis{10});
  CHECK(options_of("10ms:20%").max_extra == doctest::Approx(0.2));
  const HedgeOptions all = options_of("1s:1%:p99");
  CHECK(all.delay == Millis{1'000});
  CHECK(all.percentile == doctest::Approx(0.99));
  CHECK(all.max_extra == doctest::Approx(0.01));
}

TEST_CASE("hedging prints what it reads") {
  for (const char* text : {"off", "p95:5%", "p99.9:0.1%", "p50:100%", "5%:10ms", "p99:1%:1500ms"}) {
    CAPTURE(text);
    CHECK(options_of(text).to_string() == text);
    CHECK(options_of(options_of(text).to_string()) == options_of(text));
  }
}

TEST_CASE("hedging that makes no sense is refused with a reason") {
  const char* const cases[][2] = {
      {"", R"("" is not a percentile, a share or a delay (try p95:5%, 10ms or off))"},
      {"p95:", R"("" is not a percentile, a share or a delay (try p95:5%, 10ms or off))"},
      {"95", R"("95" is not a percentile, a share or a delay (try p95:5%, 10ms or off))"},
      {"0", R"("0" is not a percentile, a share or a delay (try p95:5%, 10ms or off))"},
      {"p95:off", R"("off" is not a percentile, a share or a delay (try p95:5%, 10ms or off))"},
      {"p49", R"("p49" is not a percentile from p50 to p99.9 (try p95))"},
      {"p100", R"("p100" is not a percentile from p50 to p99.9 (try p95))"},
      {"pnan", R"("pnan" is not a percentile from p50 to p99.9 (try p95))"},
      {"p95:0%", R"("0%" is not a share of extra calls from 0.1% to 100% (try 5%))"},
      {"p95:101%", R"("101%" is not a share of extra calls from 0.1% to 100% (try 5%))"},
      {"%", R"("%" is not a share of extra calls from 0.1% to 100% (try 5%))"},
      {"p95:p99", R"("p99" is a second percentile; give one)"},
      {"1%:5%", R"("5%" is a second share of extra calls; give one)"},
      {"1ms:5ms", R"("5ms" is a second delay; give one)"},
  };
  for (const auto& [text, why] : cases) {
    CAPTURE(text);
    auto read = HedgeOptions::parse(text);
    REQUIRE_FALSE(read);
    CHECK(read.error().text() == why);
  }
}

TEST_CASE("before there are a hundred samples only a fixed delay hedges") {
  HedgePolicy measured(options_of("p95:5%"));
  HedgePolicy helped(options_of("p95:5%:20ms"));
  for (int i = 0; i < 99; ++i) {
    measured.record(4'000, 0);
    helped.record(4'000, 0);
  }
  CHECK_FALSE(measured.delay_us(0));
  CHECK(helped.delay_us(0) == 20'000);
  measured.record(4'000, 0);
  helped.record(4'000, 0);
  CHECK(measured.delay_us(0).value() >= 4'000);
  CHECK(measured.delay_us(0).value() <= 4'500);
  CHECK(helped.delay_us(0) == measured.delay_us(0));
  // Half a minute later nobody knows any more.
  CHECK_FALSE(measured.delay_us(31'000));
  CHECK(helped.delay_us(31'000) == 20'000);
}

TEST_CASE("a fixed delay alone stays what it is") {
  HedgePolicy policy(options_of("10ms"));
  for (int i = 0; i < 500; ++i) policy.record(90'000, 0);
  CHECK(policy.delay_us(5'000) == 10'000);
}

TEST_CASE("off means off") {
  HedgePolicy policy;
  for (int i = 0; i < 500; ++i) policy.record(90'000, 0);
  policy.on_original(0);
  TokenBudget retries(0.2, 10);
  CHECK_FALSE(policy.delay_us(0));
  CHECK(policy.may_hedge(0, {}, retries) == Answer::no_budget);
}

TEST_CASE("the delay is refreshed every three seconds, and never below the smallest") {
  HedgePolicy policy(options_of("p95:5%"));
  for (int i = 0; i < 200; ++i) policy.record(50, 0);
  CHECK(policy.delay_us(0) == 1'000);
  for (int i = 0; i < 5'000; ++i) policy.record(8'000, 100);
  CHECK(policy.delay_us(2'999) == 1'000);
  CHECK(policy.delay_us(3'000).value() >= 8'000);
}

TEST_CASE("when calls take longer than can be told, hedging stops") {
  HedgePolicy policy(options_of("p95:5%"));
  for (int i = 0; i < 200; ++i) policy.record(90'000'000, 0);
  CHECK_FALSE(policy.delay_us(0));
}

TEST_CASE("a fifth of the shards being late is systemic, one shard alone never is") {
  HedgePolicy policy(options_of("p95:5%"));
  TokenBudget retries(0.2, 10);
  auto ask = [&](std::uint32_t late, std::uint32_t width) {
    policy.on_original(0);
    return policy.may_hedge(0, {.late = late, .width = width}, retries);
  };
  CHECK(ask(1, 1) == Answer::go);
  CHECK(ask(1, 2) == Answer::go);
  CHECK(ask(2, 10) == Answer::go);  // two are late by chance
  CHECK(ask(3, 15) == Answer::systemic);
  CHECK(ask(3, 16) == Answer::go);
  CHECK(ask(19, 100) == Answer::go);
  CHECK(ask(20, 100) == Answer::systemic);
}

TEST_CASE("a target that is busier than usual gets no copy") {
  HedgePolicy policy(options_of("p95:5%"));
  TokenBudget retries(0.2, 10);
  policy.on_original(0);
  CHECK(policy.may_hedge(0, {.target_inflight = 4, .target_usual = 3}, retries) ==
        Answer::target_busy);
  CHECK(policy.may_hedge(0, {.target_inflight = 3, .target_usual = 3}, retries) == Answer::go);
}

TEST_CASE("a hedge needs a token from both budgets, and takes none when one is empty") {
  HedgePolicy policy(options_of("p95:5%"));
  TokenBudget empty(0, 0);
  policy.on_original(0);
  const double before = policy.balance(0);
  CHECK(policy.may_hedge(0, {}, empty) == Answer::no_budget);
  CHECK(policy.balance(0) == before);

  TokenBudget retries(0.2, 10);
  CHECK(policy.may_hedge(0, {.late = 9, .width = 9}, retries) == Answer::systemic);
  CHECK(retries.balance(0) == doctest::Approx(100));
  CHECK(policy.may_hedge(0, {}, retries) == Answer::go);
  CHECK(retries.balance(0) == doctest::Approx(99));
  CHECK(policy.balance(0) == doctest::Approx(before - 1));
}

TEST_CASE("of ten thousand calls at most the share and one percent are hedged, however slowly") {
  for (std::uint64_t ms_apart : {0U, 1U, 50U, 5'000U}) {
    CAPTURE(ms_apart);
    HedgePolicy policy(options_of("10ms:5%"));
    TokenBudget retries(1, 1'000);
    int hedges = 0;
    for (std::uint64_t call = 0; call < 10'000; ++call) {
      policy.on_original(call * ms_apart);
      retries.deposit(call * ms_apart);
      if (policy.may_hedge(call * ms_apart, {}, retries) == Answer::go) ++hedges;
    }
    CHECK(hedges <= 600);
    CHECK(hedges >= 490);
  }
}

TEST_CASE("calls that were not hedged save nothing up for a burst") {
  HedgePolicy policy(options_of("10ms:5%"));
  TokenBudget retries(1, 1'000);
  for (int i = 0; i < 9'000; ++i) policy.on_original(0);
  int hedges = 0;
  while (policy.may_hedge(60'000, {}, retries) == Answer::go) ++hedges;
  CHECK(hedges == 100);
}

TEST_CASE("the first requests of a person who tries it out are hedged") {
  HedgePolicy policy(options_of("10ms"));
  TokenBudget retries(0.2, 10);
  policy.on_original(0);
  CHECK(policy.may_hedge(0, {}, retries) == Answer::go);
}

TEST_CASE("hedging cuts the tail to a fifth for at most one percent over its share") {
  HedgeSim with(options_of("p95:5%"), 10, mostly_fast);
  with.run(10'000, 200);
  HedgeSim without(options_of("off"), 10, mostly_fast);
  without.run(10'000, 200);
  CHECK(without.percentile_us(0.99) >= 100'000);
  CHECK(with.percentile_us(0.99) <= without.percentile_us(0.99) / 5);
  CHECK(with.percentile_us(0.5) <= without.percentile_us(0.5));
  CHECK(with.extra() <= 0.06);
}

TEST_CASE("the share holds for single calls at any rate") {
  for (double rate : {5.0, 100.0, 5'000.0}) {
    CAPTURE(rate);
    HedgeSim sim(options_of("p95:5%"), 1, mostly_fast);
    sim.run(10'000, rate);
    CHECK(sim.extra() <= 0.06);
    if (rate >= 100) CHECK(sim.extra() > 0.005);
  }
}

TEST_CASE("when everything becomes slow at once the share holds, and the delay follows") {
  bool is_slow = false;
  std::uint64_t delay_before = 0;
  std::uint64_t delay_after = 0;
  HedgeSim sim(options_of("p95:5%"), 10, [&](Random& random) {
    return (is_slow ? 50U : 1U) * (1'000 + random.below(1'000));
  });
  auto delay = [&] { return sim.policy.delay_us(sim.future.now_ms()).value_or(0); };
  sim.future.at(5'000'000, [&] {
    delay_before = delay();
    is_slow = true;
  });
  sim.future.at(9'500'000, [&] { delay_after = delay(); });
  sim.run(1'000, 100);
  CHECK(delay_before < 2'300);
  CHECK(delay_after > 50'000);
  CHECK(sim.extra() <= 0.06);
  CHECK(sim.systemic > 0);
}

TEST_CASE("after a pause the delay is learnt anew") {
  HedgeSim sim(options_of("p95:5%"), 10, mostly_fast);
  sim.run(100, 100);
  CHECK(sim.hedges > 0);
  CHECK_FALSE(sim.policy.delay_us(sim.future.now_ms()));
}
