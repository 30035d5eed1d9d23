// Asking for peers in DNS and files: when, how often, and what the handler is told. What becomes of
// a role's own answers is in the roles' tests.
#include "net/record_watch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "io/burst.hpp"
#include "net/records.hpp"
#include "sim/world.hpp"

using namespace consort;

namespace {

std::string text_of(const Records& records) {
  std::string text = records.text;
  for (const auto& address : records.addresses) text += address.ip + ' ';
  for (const auto& service : records.services) {
    text += service.target + ':' + std::to_string(service.port) + ' ';
  }
  return text;
}

struct Bench final : RecordWatch::Handler {
  explicit Bench(std::string_view source, std::uint64_t seed = 1) : world(seed) {
    RecordWatch::Settings settings;
    settings.source = *RecordSource::parse(source);
    settings.name = settings.source.to_string();
    settings.file_bytes_max = 100;
    RecordWatch::Handler& handler = *this;
    watch.emplace(RecordEffects{world.loop, world.dns, world.files, world.random, metrics},
                  settings, handler);
  }
  Result<RecordWatch::News> on_records(const Records& records) override {
    ++answers;
    const std::string text = text_of(records);
    if (text.find("bad") != text.npos) return fail(Errc::invalid, "nobody there");
    if (std::exchange(last, text) == text) return RecordWatch::News::same;
    return RecordWatch::News::changed;
  }
  void on_records_changed() override { tell(last + ";"); }
  void on_records_failed(const std::string& why) override { tell("failed: " + why + ";"); }
  void on_records_recovered() override { tell("recovered;"); }
  void tell(const std::string& what) {
    log += what;
    if (destroy) watch.reset();
  }
  void start() {
    watch->start();
    CHECK(log.empty());
    CHECK(answers == 0);
    world.loop.settle();
  }
  std::string take() { return std::exchange(log, {}); }
  void run_for(std::uint64_t ms) { world.loop.run_for(ms); }

  sim::World world;
  Registry metrics;
  std::string last;
  std::string log;
  int answers = 0;
  bool destroy = false;
  std::optional<RecordWatch> watch;
};

std::string refusal(std::string_view text) {
  auto source = RecordSource::parse(text);
  return source ? "accepted as " + source->to_string() : source.error().message();
}

}  // namespace

TEST_CASE("a source is read in the forms with and without slashes, and printed with them") {
  for (const auto& [text, printed] :
       {std::pair("dns://leaf.local:80", "dns://leaf.local:80"),
        std::pair("dns:leaf.local:80", "dns://leaf.local:80"),
        std::pair("dns:[::1]:80?as=x", "dns://[::1]:80?as=x"),
        std::pair("srv://_http._tcp.leaf", "srv://_http._tcp.leaf"),
        std::pair("srv:_http._tcp.leaf?a=1&b", "srv://_http._tcp.leaf?a=1&b"),
        std::pair("file:/etc/a?b", "file:/etc/a?b"), std::pair("file:///etc/a", "file:/etc/a"),
        std::pair("file:////etc/a", "file:////etc/a")}) {
    CAPTURE(text);
    auto source = RecordSource::parse(text);
    REQUIRE(source);
    CHECK(source->to_string() == printed);
    CHECK(*RecordSource::parse(printed) == *source);
  }
  CHECK(RecordSource::parse("dns:a:80?as=x&y")->parameters == "as=x&y");
  CHECK(RecordSource::parse("file:/etc/a?b")->target == "/etc/a?b");
}

TEST_CASE("what is no source is refused with the reason alone") {
  CHECK(refusal("leaf.local:80") == "it begins with none of dns://, srv:// and file:");
  CHECK(refusal("dns:leaf.local") == "the port is missing");
  CHECK(refusal("dns:leaf.local?a:80") == "the port is missing");
  CHECK(refusal("dns://leaf.local:0") == "it needs a host name and a port from 1 to 65535");
  CHECK(refusal("dns:///run/a:1") == "it needs a host name and a port from 1 to 65535");
  CHECK(refusal("srv:leaf") == "the name of an SRV record is _SERVICE._tcp.NAME, no port");
  CHECK(refusal("file://host/a") == "a file lies on this machine: no host");
  CHECK(refusal("file:") == "the file is missing");
}

TEST_CASE("a name is asked again after its shortest TTL, from a second to a minute") {
  for (const auto& [ttl_s, wait_ms] : {std::pair(0U, 1000U), std::pair(7U, 7000U),
                                       std::pair(60U, 60'000U), std::pair(86'400U, 60'000U)}) {
    Bench bench("dns://leaf:1");
    bench.world.dns.set("leaf",
                        {{.ip = "10.0.0.1", .ttl_s = 100'000}, {.ip = "10.0.0.2", .ttl_s = ttl_s}});
    bench.start();
    bench.run_for(wait_ms - 1);
    CHECK(bench.world.dns.questions("leaf") == 1);
    bench.run_for(1);
    CHECK(bench.world.dns.questions("leaf") == 2);
    CHECK(bench.take() == "10.0.0.1 10.0.0.2 ;");
  }
}

TEST_CASE("the three kinds of answers arrive as they are") {
  Bench srv("srv:_h._tcp.leaf");
  srv.world.dns.set_service("_h._tcp.leaf", {{.target = "B.", .port = 2}, {.target = "a"}});
  srv.start();
  CHECK(srv.take() == "B.:2 a:0 ;");
  Bench file("file:/etc/leaves");
  file.world.files.set("/etc/leaves", "hello");
  file.start();
  CHECK(file.take() == "hello;");
}

TEST_CASE("a failure is told once per reason and its end once, with no change between") {
  Bench bench("dns://leaf:1");
  bench.world.dns.set("leaf", {{.ip = "10.0.0.1", .ttl_s = 1}});
  bench.start();
  (void)bench.take();
  bench.world.dns.forget("leaf");
  bench.run_for(60'000);
  CHECK(bench.take() == "failed: dns://leaf:1: resolve leaf;");
  bench.world.dns.set("leaf", {{.ip = "bad", .ttl_s = 1}});
  bench.run_for(60'000);
  CHECK(bench.take() == "failed: dns://leaf:1: nobody there;");
  bench.world.dns.set("leaf", {{.ip = "10.0.0.1", .ttl_s = 1}});
  bench.run_for(60'000);
  CHECK(bench.take() == "recovered;");
  bench.world.dns.forget("leaf");
  bench.run_for(2'000);
  bench.world.dns.set("leaf", {{.ip = "10.0.0.2", .ttl_s = 1}});
  bench.run_for(60'000);
  CHECK(bench.take() == "failed: dns://leaf:1: resolve leaf;10.0.0.2 ;");
}

TEST_CASE("questions without an answer come ever more slowly, and at most 36 s apart") {
  Bench bench("dns://leaf:1");
  bench.start();
  // 1 s, 1.5 s, 2.25 s: within 20 % of 4.75 s there are four questions.
  bench.run_for(5800);
  CHECK(bench.world.dns.questions("leaf") == 4);
  bench.run_for(600'000);
  const int before = bench.world.dns.questions("leaf");
  bench.run_for(3'600'000);
  const int hourly = bench.world.dns.questions("leaf") - before;
  CHECK(hourly >= 100);
  CHECK(hourly <= 150);
  const std::string text = bench.metrics.render(Registry::Format::prometheus_text);
  CHECK(text.find("consort_discovery_failures_total{source=\"dns://leaf:1\"} " +
                  std::to_string(bench.world.dns.questions("leaf"))) != std::string::npos);
}

TEST_CASE("after a good answer the pauses begin anew") {
  Bench bench("file:/etc/leaves");
  bench.start();
  bench.run_for(600'000);
  bench.world.files.set("/etc/leaves", "x");
  bench.run_for(60'000);
  bench.world.files.remove("/etc/leaves");
  bench.run_for(io::Burst::kQuietMs);
  const int before = bench.world.files.reads("/etc/leaves");
  bench.run_for(5800);
  CHECK(bench.world.files.reads("/etc/leaves") == before + 3);
}

TEST_CASE("retries of two processes drift apart") {
  Bench one("dns://leaf:1", 1);
  Bench two("dns://leaf:1", 2);
  one.start();
  two.start();
  CHECK(one.world.loop.timers().next() != two.world.loop.timers().next());
}

TEST_CASE("a file is read when it changes and not otherwise, and its errors name it once") {
  Bench bench("file:/etc/leaves");
  bench.world.files.set("/etc/leaves", "a");
  bench.start();
  bench.run_for(1000);
  (void)bench.take();
  const int reads = bench.world.files.reads("/etc/leaves");
  bench.run_for(3'600'000);
  CHECK(bench.world.files.reads("/etc/leaves") == reads);
  bench.world.files.set("/etc/leaves", "bad");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "failed: nobody there;");
  bench.world.files.set("/etc/leaves", std::string(101, 'x'));
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "failed: /etc/leaves: larger than 100;");
}

TEST_CASE("a watch may be destroyed by what it tells, or with a question under way") {
  for (const char* source : {"dns://leaf:1", "srv://_h._tcp.leaf", "file:/etc/leaves"}) {
    for (const bool is_good : {true, false}) {
      Bench bench(source);
      bench.destroy = true;
      if (is_good) {
        bench.world.dns.set("leaf", {{.ip = "10.0.0.1"}});
        bench.world.dns.set_service("_h._tcp.leaf", {{.target = "a", .port = 1}});
        bench.world.files.set("/etc/leaves", "a");
      }
      bench.start();
      CHECK_FALSE(bench.watch);
      bench.run_for(60'000);
      CHECK(std::count(bench.log.begin(), bench.log.end(), ';') == 1);
    }
    Bench bench(source);
    bench.world.dns.delay_ms = 100;
    bench.watch->start();
    bench.run_for(10);
    bench.watch.reset();
    bench.run_for(60'000);
  }
}

TEST_CASE("numbers in names count as numbers") {
  std::vector<std::string> names = {"c-10", "c-9", "c-a", "c-1", "c-01", "c", "d-0", "c-1a"};
  std::sort(names.begin(), names.end(), natural_less);
  CHECK(names == std::vector<std::string>{"c", "c-01", "c-1", "c-1a", "c-9", "c-10", "c-a", "d-0"});
}

TEST_CASE("SRV records without a target or port are nobody") {
  auto found = usable_services(
      {{.target = "A.x.", .port = 1}, {.target = ".", .port = 1}, {.target = "b", .port = 0}});
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  CHECK(found->front().target == "a.x");
  CHECK(usable_services({{.target = ".", .port = 0}}).error().message() ==
        "the service is said to be nowhere");
  CHECK(weight_divisor({{.weight = 20}, {.weight = 30}}) == 10);
  CHECK(weight_divisor({{.weight = 20}, {.weight = 0}}) == 0);
}
