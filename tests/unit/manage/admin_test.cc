#include "manage/admin.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <functional>

#include "async/scope.hpp"
#include "base/document.hpp"
#include "unit/manage/support.hpp"

using namespace consort;
using test::Bench;
using test::kTestSpec;

namespace {

const io::Peer kLocal{.is_unix = false, .is_loopback = true, .text = "127.0.0.1:4711"};

struct AdminBench : Bench {
  explicit AdminBench(std::vector<Flag> flags = {}) : Bench(std::move(flags)) { begin(); }

  LatencyHistogram turns;
  std::uint64_t busy_since_ns = 0;
  LoopWatch watch{{.now_ns = [this] { return world.loop.now_ns(); },
                   .busy_since_ns = [this] { return busy_since_ns; },
                   .busy_ns = [] { return std::uint64_t{0}; },
                   .turns = [] { return std::uint64_t{7}; }}};
  Admin admin{{.identity = {.role = "test", .name = "one", .hostname = "box", .version = "1.2"},
               .loop = world.loop,
               .lifecycle = lifecycle,
               .checks = checks,
               .metrics = metrics,
               .log = log,
               .watch = watch,
               .turns = turns,
               .config = config,
               .control = *supervisor,
               .clock = clock(),
               .grace = Millis{30'000},
               .stall_limit = Millis{10'000},
               .token_file = {},
               .hosts = {"box"},
               .pages = kTestSpec.pages}};
  TaskScope scope;
  std::optional<http::Response> answer;

  static Task<> keep(Admin& admin, http::Request request, std::optional<http::Response>& to) {
    to = co_await admin.handle(std::move(request));
  }
  static http::Request request(std::string method, std::string target) {
    http::Request made;
    made.method = std::move(method);
    made.target = target;
    made.path = target.substr(0, target.find('?'));
    if (made.path.size() < target.size()) made.query = target.substr(made.path.size() + 1);
    made.headers = {{"host", "127.0.0.1:9999"}};
    made.peer = kLocal;
    return made;
  }
  /// Sends and lets everything happen that needs no time.
  void send(http::Request made) {
    answer.reset();
    scope.spawn(keep(admin, std::move(made), answer));
    world.loop.settle();
  }
  http::Response ask(std::string method, std::string target) {
    send(request(std::move(method), std::move(target)));
    REQUIRE(answer);
    return *answer;
  }
  http::Response get(std::string target) { return ask("GET", std::move(target)); }
};

std::string header(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

Node json(const http::Response& response) {
  CHECK(response.content_type == "application/json");
  Result<Node> document = read_json(response.body);
  REQUIRE(document);
  return std::move(*document);
}

std::string text_at(const Node& root, std::vector<std::string_view> path) {
  const Node* node = &root;
  for (std::string_view key : path) {
    node = node->find(key);
    REQUIRE(node != nullptr);
  }
  return node->scalar;
}

}  // namespace

TEST_CASE("probes of a ready role answer ok") {
  AdminBench bench;
  for (const char* path : {"/livez", "/readyz", "/startupz", "/healthz", "/ready"}) {
    http::Response response = bench.get(path);
    CHECK(response.status == 200);
    CHECK(response.body == "ok\n");
    CHECK(header(response, "Cache-Control") == "no-store");
    CHECK(header(response, "X-Content-Type-Options") == "nosniff");
    CHECK(bench.ask("HEAD", path).status == 200);
  }
}

TEST_CASE("a pause of accepting is a warning") {
  AdminBench bench;
  bench.admin.on_accept_paused(Error::from_errno(EMFILE, "accept"));
  CHECK(bench.logged("admin.accept_paused"));
  CHECK(bench.logged("Too many open files"));
}

TEST_CASE("a failing check turns readiness but not liveness") {
  AdminBench bench;
  bench.checks.set("upstream", Health::fail, "cache-2: refused");
  http::Response ready = bench.get("/readyz?verbose");
  CHECK(ready.status == 503);
  CHECK(ready.body ==
        "[-]state UNREADY\n[+]config valid\n[-]upstream cache-2: refused\nreadyz check failed\n");
  CHECK(bench.get("/readyz").body == "UNREADY: check upstream: cache-2: refused\n");
  CHECK(bench.get("/livez").status == 200);
  CHECK(bench.get("/startupz").status == 200);
  CHECK(bench.get("/health").status == 503);
  bench.checks.set("upstream", Health::pass, "");
  CHECK(bench.get("/readyz").status == 200);
}

TEST_CASE("startup gates until the start is over") {
  AdminBench bench;
  Lifecycle fresh(bench.clock());
  HealthFacts facts{.now = {}, .born = {}, .state = fresh.current(), .checks = {}};
  facts.stall_limit = Millis{10'000};
  CHECK_FALSE(startup(facts).ok);
  CHECK_FALSE(ready(facts).ok);
  CHECK(live(facts).ok);
  CHECK(overall(facts) == Health::fail);
}

TEST_CASE("a loop that hangs longer than the limit is not alive, and the body says for how long") {
  AdminBench bench;
  bench.busy_since_ns = bench.world.loop.now_ns() - 9'000'000'000;
  CHECK(bench.get("/livez").status == 200);
  bench.busy_since_ns = bench.world.loop.now_ns() - 12'300'000'000;
  http::Response response = bench.get("/livez");
  CHECK(response.status == 503);
  CHECK(response.body == "the role's loop has not turned for 12.3s (limit 10.0s)\n");
  CHECK(bench.get("/health").status == 503);
  CHECK(text_at(json(bench.get("/loop")), {"stalled"}) == "true");
}

TEST_CASE("a draining process is alive but not ready") {
  AdminBench bench;
  bench.role.drain_time = Millis{5000};
  (void)bench.supervisor->stop("signal TERM", Millis{30'000});
  CHECK(bench.get("/readyz").status == 503);
  CHECK(bench.get("/livez").status == 200);
  http::Response health = bench.get("/health");
  CHECK(health.status == 200);
  CHECK(text_at(json(health), {"status"}) == "warn");
}

TEST_CASE("health tells the state, and only ok to who wants plain text") {
  AdminBench bench;
  bench.checks.set("upstream", Health::warn, "2 of 3");
  Node document = json(bench.get("/health"));
  CHECK(text_at(document, {"status"}) == "warn");
  CHECK(text_at(document, {"role"}) == "test");
  CHECK(text_at(document, {"name"}) == "one");
  CHECK(text_at(document, {"state"}) == "READY");
  CHECK(text_at(document, {"checks", "upstream", "text"}) == "2 of 3");
  CHECK(text_at(document, {"checks", "loop", "status"}) == "pass");
  CHECK(bench.get("/health?format=text").body == "ok");
  http::Request request = AdminBench::request("GET", "/health");
  request.headers.emplace_back("accept", "text/plain");
  bench.send(std::move(request));
  CHECK(bench.answer->body == "ok");
}

TEST_CASE("unknown paths are answered with the nearest one") {
  AdminBench bench;
  http::Response response = bench.get("/redyz");
  CHECK(response.status == 404);
  CHECK(text_at(json(response), {"error", "code"}) == "not_found");
  CHECK(text_at(json(response), {"error", "hint"}).find("\"/readyz\"") != std::string::npos);
}

TEST_CASE("GET never changes anything and POST never reads") {
  AdminBench bench;
  for (const char* path : {"/lifecycle/stop", "/lifecycle/drain", "/reload", "/quitquitquit"}) {
    for (const char* method : {"GET", "HEAD", "PUT", "OPTIONS"}) {
      http::Response response = bench.ask(method, path);
      CHECK(response.status == 405);
      CHECK(header(response, "Allow") == "POST");
    }
  }
  http::Response response = bench.ask("POST", "/livez");
  CHECK(response.status == 405);
  CHECK(header(response, "Allow") == "GET, HEAD");
  CHECK(bench.state() == State::ready);
}

TEST_CASE("guarded paths refuse remote peers, open ones do not") {
  AdminBench bench;
  auto from_afar = [&](std::string method, std::string target) {
    http::Request request = AdminBench::request(std::move(method), std::move(target));
    request.peer = {.is_unix = false, .is_loopback = false, .text = "10.1.2.3:4"};
    bench.send(std::move(request));
    return bench.answer->status;
  };
  for (const char* path : {"/", "/config", "/logs", "/loop", "/lifecycle"}) {
    CHECK(from_afar("GET", path) == 403);
  }
  for (const char* path : {"/lifecycle/stop", "/lifecycle/drain", "/reload", "/quitquitquit"}) {
    CHECK(from_afar("POST", path) == 403);
  }
  for (const char* path : {"/livez", "/readyz", "/startupz", "/health", "/metrics"}) {
    CHECK(from_afar("GET", path) == 200);
  }
  CHECK(bench.state() == State::ready);
}

TEST_CASE("a stop is accepted once, with a deadline") {
  AdminBench bench;
  bench.role.drain_time = Millis{5000};
  http::Response first = bench.ask("POST", "/lifecycle/stop?grace=10s");
  CHECK(first.status == 202);
  CHECK(text_at(json(first), {"seq"}) == "4");
  CHECK(bench.lifecycle.current().cause == "POST /lifecycle/stop from 127.0.0.1:4711");
  CHECK(bench.end_by == bench.world.loop.now_ms() + 10'000);
  http::Response second = bench.ask("POST", "/quitquitquit");
  CHECK(second.status == 409);
  CHECK(text_at(json(second), {"error", "code"}) == "already_stopping");
  CHECK_FALSE(text_at(json(second), {"error", "since"}).empty());
  CHECK(bench.ask("POST", "/lifecycle/drain").status == 409);
}

TEST_CASE("a drain can be repeated and followed by a stop") {
  AdminBench bench;
  CHECK(bench.ask("POST", "/lifecycle/drain").status == 202);
  http::Response again = bench.ask("POST", "/lifecycle/drain");
  CHECK(again.status == 202);
  CHECK(text_at(json(again), {"seq"}) == "4");
  CHECK(bench.ask("POST", "/lifecycle/stop").status == 202);
  CHECK(bench.state() == State::stopped);
}

TEST_CASE("a stop that waits answers 200 once the process has stopped") {
  AdminBench bench;
  bench.lifecycle.set_listener(
      [&](const Transition&) { bench.world.loop.post([&] { bench.admin.on_transition(); }); });
  bench.role.drain_time = Millis{700};
  bench.send(AdminBench::request("POST", "/lifecycle/stop?wait=5s"));
  CHECK_FALSE(bench.answer);
  CHECK(bench.admin.in_flight() == 1);
  bench.world.loop.run_for(1000);
  bench.world.loop.settle();
  REQUIRE(bench.answer);
  CHECK(bench.answer->status == 200);
  CHECK(bench.admin.in_flight() == 0);
}

TEST_CASE("a wait ends by itself with 202") {
  AdminBench bench;
  bench.role.drain_time = Millis{20'000};
  bench.send(AdminBench::request("POST", "/lifecycle/stop?wait=2s"));
  CHECK_FALSE(bench.answer);
  bench.world.loop.run_for(2000);
  REQUIRE(bench.answer);
  CHECK(bench.answer->status == 202);
}

TEST_CASE("a client that leaves while it waits takes nothing with it") {
  AdminBench bench;
  bench.role.drain_time = Millis{20'000};
  bench.send(AdminBench::request("POST", "/lifecycle/stop?wait=2s"));
  bench.scope.cancel();
  CHECK(bench.admin.in_flight() == 0);
  bench.admin.on_transition();
}

TEST_CASE("bad parameters change nothing") {
  AdminBench bench;
  for (const char* target : {"/lifecycle/stop?grace=5x", "/lifecycle/stop?grace=",
                             "/lifecycle/stop?wait=1000h", "/lifecycle/stop?grace=10"}) {
    http::Response response = bench.ask("POST", target);
    CHECK(response.status == 400);
    CHECK(text_at(json(response), {"error", "code"}) == "bad_parameter");
  }
  CHECK(bench.get("/logs?tail=many").status == 400);
  CHECK(bench.get("/logs?level=loud").status == 400);
  CHECK(bench.state() == State::ready);
}

TEST_CASE("a reload answers with what changed, or with all problems and the old configuration") {
  AdminBench bench;
  bench.file = "greeting: good day\nnote: x\n";
  http::Response good = bench.ask("POST", "/reload");
  CHECK(good.status == 200);
  CHECK(text_at(json(good), {"generation"}) == "2");
  CHECK(json(good).find("needs_restart")->items.size() == 1);
  bench.file = "nonsense: 1\nrubbish: 2\n";
  http::Response bad = bench.ask("POST", "/reload");
  CHECK(bad.status == 422);
  CHECK(text_at(json(bad), {"generation"}) == "2");
  CHECK(json(bad).find("error")->find("problems")->items.size() == 2);
  CHECK(bench.role.greeting == "good day");
  CHECK(bench.get("/readyz").status == 200);
  CHECK(text_at(json(bench.get("/health")), {"checks", "config", "status"}) == "warn");
}

TEST_CASE("the configuration shows each value with its source") {
  AdminBench bench;
  Node document = json(bench.get("/config"));
  CHECK(text_at(document, {"generation"}) == "1");
  CHECK(text_at(document, {"keys", "greeting", "value"}) == "hello");
  CHECK(text_at(document, {"keys", "greeting", "source"}).starts_with("file test.yaml:1"));
  CHECK(text_at(document, {"keys", "greeting", "runtime"}) == "true");
  CHECK(text_at(document, {"keys", "note", "runtime"}) == "false");
}

TEST_CASE("logs can be cut and filtered") {
  AdminBench bench;
  bench.log.info("first");
  bench.log.warn("second");
  bench.log.info("third");
  CHECK(bench.get("/logs?tail=1").body.find("third") != std::string::npos);
  CHECK(bench.get("/logs?tail=1").body.find("second") == std::string::npos);
  const std::string warnings = bench.get("/logs?level=warn&tail=1").body;
  CHECK(warnings.find("second") != std::string::npos);
  CHECK(warnings.find("third") == std::string::npos);
  CHECK(bench.get("/logs?tail=0").body.empty());
}

TEST_CASE("the lifecycle shows its history") {
  AdminBench bench;
  Node document = json(bench.get("/lifecycle"));
  CHECK(text_at(document, {"state"}) == "READY");
  CHECK(document.find("history")->items.size() == 3);
  CHECK(document.find("deadline")->kind == Node::Kind::null);
  bench.role.drain_time = Millis{5000};
  (void)bench.supervisor->stop("signal TERM", Millis{30'000});
  CHECK_FALSE(text_at(json(bench.get("/lifecycle")), {"deadline"}).empty());
}

TEST_CASE("the index lists every route") {
  AdminBench bench;
  Node document = json(bench.get("/"));
  for (const Node& route : document.find("routes")->items) {
    const std::string path = text_at(route, {"path"});
    CHECK(bench.ask("BREW", path).status == 405);
  }
  const http::Response response = bench.get("/");
  CHECK(response.body.find("says the greeting; ?who=NAME") != std::string::npos);
}

TEST_CASE("a role's pages are answered on the role's loop") {
  AdminBench bench;
  http::Response response = bench.get("/greet?who=you%21");
  CHECK(response.status == 200);
  CHECK(response.body == "hello you!\n");
  CHECK(header(response, "Cache-Control") == "no-store");
  http::Request put = AdminBench::request("PUT", "/greet");
  put.body = "good day";
  bench.send(std::move(put));
  CHECK(bench.answer->body == "good day \n");
  CHECK(bench.role.asked == std::vector<std::string>{"GET /greet who=you%21", "PUT /greet "});
}

TEST_CASE("a role's page answers to its methods only, and to local peers only") {
  AdminBench bench;
  http::Response response = bench.ask("POST", "/greet");
  CHECK(response.status == 405);
  CHECK(header(response, "Allow") == "GET, HEAD, PUT");
  CHECK(text_at(json(response), {"error", "hint"}) == "use GET or PUT");
  CHECK(header(bench.get("/forget"), "Allow") == "POST");
  http::Request request = AdminBench::request("POST", "/forget");
  request.peer = {.is_unix = false, .is_loopback = false, .text = "10.1.2.3:4"};
  bench.send(std::move(request));
  CHECK(bench.answer->status == 403);
  CHECK(bench.role.asked.empty());
  CHECK(bench.get("/great").body.find("\\\"/greet\\\"") != std::string::npos);
}

TEST_CASE("a question to a role that has ended, or that too many ask, gets 503") {
  AdminBench bench;
  int refused = 0;
  int answered = 0;
  auto count = [&](const AdminAnswer& answer) { ++(answer.status == 503 ? refused : answered); };
  AdminQuestion question = AdminBench::request("GET", "/greet");
  for (int i = 0; i < 100; ++i) bench.supervisor->ask(question, count);
  CHECK(refused == 36);
  bench.world.loop.settle();
  CHECK(answered == 64);
  (void)bench.supervisor->stop("signal TERM", Millis{0});
  bench.world.loop.settle();
  bench.supervisor->ask(question, count);
  bench.world.loop.settle();
  CHECK(refused == 37);
}

TEST_CASE("a role whose loop hangs is answered for after the limit") {
  AdminBench bench;
  sim::SimLoop own;  // the admin's; the role's loop does not turn
  Admin admin({.identity = {},
               .loop = own,
               .lifecycle = bench.lifecycle,
               .checks = bench.checks,
               .metrics = bench.metrics,
               .log = bench.log,
               .watch = bench.watch,
               .turns = bench.turns,
               .config = bench.config,
               .control = *bench.supervisor,
               .clock = bench.clock(),
               .grace = Millis{30'000},
               .stall_limit = Millis{10'000},
               .token_file = {},
               .hosts = {},
               .pages = kTestSpec.pages});
  for (const auto& [method, target] :
       {std::pair("GET", "/greet"), std::pair("POST", "/reload?dry-run=1")}) {
    std::optional<http::Response> answer;
    bench.scope.spawn(AdminBench::keep(admin, AdminBench::request(method, target), answer));
    own.run_for(9999);
    CHECK_FALSE(answer);
    own.run_for(1);
    REQUIRE(answer);
    CHECK(answer->status == 503);
    CHECK(text_at(json(*answer), {"error", "code"}) == "role_busy");
  }
  // What comes late finds nobody and harms nobody.
  bench.world.loop.settle();
  own.settle();
}

TEST_CASE("a dry run tells what a reload would do, and does nothing") {
  AdminBench bench;
  bench.file = "greeting: good day\nnote: x\n";
  http::Response good = bench.ask("POST", "/reload?dry-run=1");
  CHECK(good.status == 200);
  CHECK(text_at(json(good), {"dry_run"}) == "true");
  CHECK(text_at(json(good), {"effect"}) == "would say good day instead of hello");
  CHECK(text_at(json(good), {"generation"}) == "1");
  CHECK(json(good).find("changed")->items.size() == 1);
  CHECK(json(good).find("needs_restart")->items.size() == 1);
  bench.file = "nonsense: 1\n";
  http::Response bad = bench.ask("POST", "/reload?dry-run");
  CHECK(bad.status == 422);
  CHECK(json(bad).find("error")->find("problems")->items.size() == 1);
  bench.file = "greeting: good day\n";
  bench.role.reload_fails = true;
  CHECK(bench.ask("POST", "/reload?dry-run=true").status == 422);
  CHECK(bench.ask("POST", "/reload?dry-run=maybe").status == 400);
  CHECK(bench.role.greeting == "hello");
  CHECK(bench.config.get()->generation == 1);
  CHECK_FALSE(bench.logged("config."));
  CHECK(bench.checks.worst(false) == Health::pass);
  CHECK(bench.metrics_text().find("\nconsort_config_last_reload_successful 1\n") !=
        std::string::npos);
  bench.role.reload_fails = false;
  CHECK(bench.ask("POST", "/reload?dry-run=0").status == 200);
  CHECK(bench.role.greeting == "good day");
}

TEST_CASE("metrics count requests by route and status, unknown paths under one name") {
  AdminBench bench;
  (void)bench.get("/livez");
  (void)bench.get("/livez?verbose");
  (void)bench.get("/random-1");
  (void)bench.get("/random-2");
  http::Response response = bench.get("/metrics");
  CHECK(response.content_type.starts_with("text/plain; version=0.0.4"));
  auto has = [&](const char* a, const char* b) {
    return response.body.find(a) != std::string::npos || response.body.find(b) != std::string::npos;
  };
  CHECK(has("consort_admin_requests_total{code=\"200\",path=\"/livez\"} 2",
            "consort_admin_requests_total{path=\"/livez\",code=\"200\"} 2"));
  CHECK(has("consort_admin_requests_total{code=\"404\",path=\"other\"} 2",
            "consort_admin_requests_total{path=\"other\",code=\"404\"} 2"));
}

TEST_CASE("OpenMetrics is for who prefers it") {
  AdminBench bench;
  http::Request request = AdminBench::request("GET", "/metrics");
  request.headers.emplace_back(
      "accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5");
  bench.send(std::move(request));
  CHECK(bench.answer->content_type.starts_with("application/openmetrics-text"));
  CHECK(bench.answer->body.ends_with("# EOF\n"));
}
