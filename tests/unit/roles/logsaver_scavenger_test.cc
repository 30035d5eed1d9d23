#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "roles/logsaver/scavenger.hpp"
#include "sim/loop.hpp"

namespace consort::logsaver {
namespace {

using Pace = ScavengerPolicy::Pace;

constexpr ScavengerSettings kSettings{.pressure_max = 20, .delay_ms = 60'000};

std::string pressure(const std::string& percent) {
  return "some avg10=" + percent + " avg60=9.04 avg300=8.65 total=25434757496\nfull avg10=99.00\n";
}

TEST_CASE("without pressure, or without knowing it, reading is free") {
  ScavengerPolicy policy(kSettings);
  CHECK(policy.next(0, 0.0, true) == Pace::free);
  CHECK(policy.next(500, 19.99, true) == Pace::free);
  CHECK(policy.next(1000, std::nullopt, true) == Pace::free);
}

TEST_CASE("from the bound on nothing is read, until the pressure is half of it") {
  ScavengerPolicy policy(kSettings);
  CHECK(policy.next(0, 20.0, true) == Pace::held);
  CHECK(policy.next(500, 10.0, true) == Pace::held);
  CHECK(policy.next(1000, 9.99, true) == Pace::free);
  CHECK(policy.next(1500, 19.0, true) == Pace::free);
}

TEST_CASE("what cannot be asked any more holds nothing") {
  ScavengerPolicy policy(kSettings);
  CHECK(policy.next(0, 90.0, true) == Pace::held);
  CHECK(policy.next(500, std::nullopt, true) == Pace::free);
}

TEST_CASE("what waits for the delay is read a little at a time, whatever the pressure") {
  ScavengerPolicy policy(kSettings);
  CHECK(policy.next(0, 90.0, true) == Pace::held);
  CHECK(policy.next(59'999, 90.0, true) == Pace::held);
  CHECK(policy.next(60'000, 90.0, true) == Pace::trickle);
  CHECK(policy.next(90'000, 90.0, true) == Pace::trickle);
  CHECK(policy.next(90'500, 5.0, true) == Pace::free);
  CHECK(policy.next(91'000, 90.0, true) == Pace::held);
}

TEST_CASE("the delay counts from the first byte that waits, not from the pressure") {
  ScavengerPolicy policy(kSettings);
  CHECK(policy.next(0, 90.0, false) == Pace::held);
  CHECK(policy.next(100'000, 90.0, false) == Pace::held);
  CHECK(policy.next(100'500, 90.0, true) == Pace::held);
  CHECK(policy.next(159'500, 90.0, true) == Pace::held);
  CHECK(policy.next(160'000, 90.0, true) == Pace::trickle);
  // Caught up: held again, and the clock runs again.
  CHECK(policy.next(160'500, 90.0, false) == Pace::held);
  CHECK(policy.next(161'000, 90.0, true) == Pace::held);
  CHECK(policy.next(220'500, 90.0, true) == Pace::trickle);
}

TEST_CASE("a delay of nothing never stops reading") {
  ScavengerPolicy policy({.pressure_max = 20, .delay_ms = 0});
  CHECK(policy.next(0, 90.0, true) == Pace::trickle);
}

TEST_CASE("a pressure file is read by its first number") {
  CHECK(read_pressure(pressure("21.74")) == 21.74);
  CHECK(read_pressure(pressure("0.00")) == 0.0);
  CHECK(read_pressure(pressure("100.00")) == 100.0);
  for (const std::string& text :
       {std::string(), std::string("some avg10="), pressure("-1"), pressure("101"), pressure("nan"),
        pressure("x"), std::string("full avg10=1.00")}) {
    CAPTURE(text);
    CHECK_FALSE(read_pressure(text));
  }
}

TEST_CASE("the cgroup's directory is that of version 2") {
  CHECK(cgroup_directory("0::/kubepods/pod1/c1\n") == "/sys/fs/cgroup/kubepods/pod1/c1");
  CHECK(cgroup_directory("12:cpu:/x\n0::/y") == "/sys/fs/cgroup/y");
  CHECK(cgroup_directory("0::/\n") == "/sys/fs/cgroup/");
  CHECK(cgroup_directory("12:cpu:/x\n").empty());
  CHECK(cgroup_directory("").empty());
  CHECK(cgroup_directory("0::").empty());
}

struct Bench {
  Bench() { scavenger.start(); }

  sim::SimLoop loop;
  std::map<std::string, std::string> files{{"/proc/pressure/cpu", pressure("0.00")},
                                           {"/proc/pressure/io", pressure("0.00")},
                                           {"/proc/self/cgroup", "0::/pod\n"}};
  bool is_behind = true;
  std::vector<std::pair<std::uint64_t, bool>> told;
  int looks = 0;
  Logger log{{.write = [](void*, std::string_view) {},
              .wall_ms = [](void*) { return std::int64_t{0}; },
              .context = nullptr},
             {}};
  Scavenger scavenger{{.loop = loop,
                       .log = log,
                       .read_file = [this](const std::string& path) -> Result<std::string> {
                         ++looks;
                         if (!files.contains(path)) return fail(Errc::not_found, path);
                         return files.at(path);
                       },
                       .is_behind = [this] { return is_behind; },
                       .yield = [this](bool yields) { told.emplace_back(loop.now_ms(), yields); }},
                      kSettings};
};

using Told = std::vector<std::pair<std::uint64_t, bool>>;

TEST_CASE("the larger of both pressures counts, and only changes are told") {
  Bench bench;
  const std::uint64_t began = bench.loop.now_ms();
  bench.loop.run_for(900);
  CHECK(bench.told.empty());
  bench.files["/proc/pressure/io"] = pressure("35.00");
  bench.loop.run_for(3'000);
  CHECK(bench.told == Told{{began + 1'000, true}});
  CHECK(bench.scavenger.pressure() == 35.0);
  bench.files["/proc/pressure/io"] = pressure("3.00");
  bench.loop.run_for(3'000);
  CHECK(bench.told == Told{{began + 1'000, true}, {began + 4'000, false}});
}

TEST_CASE("a trickle is a tenth of the time") {
  Bench bench;
  const std::uint64_t began = bench.loop.now_ms();
  bench.files["/proc/pressure/cpu"] = pressure("80.00");
  bench.loop.run_for(60'400);
  CHECK(bench.told == Told{{began + 500, true}});
  bench.loop.run_for(1'000);
  CHECK(bench.told == Told{{began + 500, true},
                           {began + 60'500, false},
                           {began + 60'550, true},
                           {began + 61'000, false},
                           {began + 61'050, true}});
}

TEST_CASE("without the machine's pressure the cgroup's is taken") {
  Bench bench;
  bench.files = {{"/proc/self/cgroup", "0::/pod\n"},
                 {"/sys/fs/cgroup/pod/cpu.pressure", pressure("50.00")}};
  bench.scavenger.start();
  bench.loop.run_for(1'000);
  CHECK(bench.told.size() == 1);
}

TEST_CASE("a kernel that tells nothing is asked no more") {
  Bench bench;
  bench.files.clear();
  bench.scavenger.stop();
  bench.scavenger.start();
  const int looks = bench.looks;
  bench.loop.run_for(100'000);
  CHECK(bench.looks == looks);
  CHECK(bench.told.empty());
}

TEST_CASE("who stops yielding reads what is left") {
  Bench bench;
  bench.files["/proc/pressure/cpu"] = pressure("80.00");
  bench.loop.run_for(1'000);
  bench.scavenger.stop();
  REQUIRE(bench.told.size() == 2);
  CHECK_FALSE(bench.told.back().second);
  bench.loop.run_for(100'000);
  CHECK(bench.told.size() == 2);
}

}  // namespace
}  // namespace consort::logsaver
