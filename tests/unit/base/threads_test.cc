// One thread works, another looks: meant to run under ThreadSanitizer, harmless without.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/checks.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"

namespace consort {
namespace {

constexpr int kRounds = 2000;

/// Runs work on a second thread, and look on this one until the work is done.
template <class Work, class Look>
void work_and_look(Work work, Look look) {
  std::atomic<bool> done{false};
  std::thread worker([&] {
    work();
    done.store(true);
  });
  do {
    look();
  } while (!done.load());
  worker.join();
}

TEST_CASE("a registry is rendered while its series are written and new ones made") {
  Registry registry;
  Counter& counter = registry.counter("n_total", "N.");
  LatencyHistogram& histogram = registry.histogram("t_seconds", "T.");
  work_and_look(
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          counter.add();
          histogram.observe_ns(static_cast<std::uint64_t>(i) * 1000);
          registry.gauge("g", "G.", {{"i", std::to_string(i % 50)}}).set(i);
        }
      },
      [&] {
        const std::string text = registry.render(Registry::Format::openmetrics);
        REQUIRE(text.ends_with("# EOF\n"));
      });
  CHECK(counter.value() == kRounds);
}

struct SilentWorld {
  static void write(void* context, std::string_view line) {
    static_cast<SilentWorld*>(context)->bytes += line.size();
  }
  static std::int64_t wall_ms(void* context) {
    return ++static_cast<SilentWorld*>(context)->now_ms;
  }
  std::size_t bytes = 0;
  std::int64_t now_ms = 0;
};

TEST_CASE("a logger is read and used by another thread while lines come in") {
  SilentWorld world;
  Logger log({&SilentWorld::write, &SilentWorld::wall_ms, &world},
             {.format = LogFormat::json, .role = "test", .name = "test"});
  work_and_look(
      [&] {
        for (int i = 0; i < kRounds; ++i) log.info("line", {{"i", i / 2}});
      },
      [&] {
        REQUIRE(log.tail(10).size() <= 10);
        log.warn("look");
        log.set_level(LogLevel::debug);
        log.flush();
      });
  CHECK(world.bytes > 0);
}

TEST_CASE("a board is read while checks change") {
  CheckBoard board;
  work_and_look(
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          board.set(std::to_string(i % 10), i % 2 == 0 ? Health::pass : Health::fail, "text");
          board.remove(std::to_string((i + 5) % 10));
        }
      },
      [&] {
        REQUIRE(board.all().size() <= 10);
        (void)board.worst(true);
      });
}

}  // namespace
}  // namespace consort
