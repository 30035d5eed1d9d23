// Reloads and new topologies under load: a request keeps what it began with, and what was learnt
// of replicas and routes outlives the change.
#include <doctest/doctest.h>

#include "async/scope.hpp"
#include "gather_world.hpp"
#include "roles/gather/role.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

RouteConfig route_called(const std::string& name, const std::string& match) {
  RouteConfig route;
  route.name = name;
  route.match = *RouteMatch::parse(match);
  route.hedge = HedgeOptions{};
  return route;
}

/// The world's topology with other shards: `ids` and the address of each.
std::shared_ptr<const Topology> topology_with(
    std::uint64_t epoch, const std::vector<std::pair<std::string, std::string>>& shards) {
  auto topology = std::make_shared<Topology>();
  topology->epoch = epoch;
  for (const auto& [id, address] : shards) {
    ShardSpec& shard = topology->shards.emplace_back();
    shard.id = id;
    shard.replicas.push_back({.url = *http::Url::parse("http://" + address)});
  }
  return topology;
}

LeafAnswer child(std::string counts) {
  LeafAnswer answer;
  answer.body = "1";
  answer.headers.emplace_back("Consort-Coverage", std::move(counts));
  return answer;
}

struct Nobody final : io::AcceptHandler {
  void on_accept(std::unique_ptr<io::Stream>) override {}
  void on_accept_paused(const Error&) override {}
};

Task<> start_role(Role& role, std::string& failure) {
  Result<> started = co_await role.start();
  failure = started ? "none" : started.error().message();
}

/// The whole role, configured by its options; its leaves are those of the world.
struct RoleBench : GatherWorld {
  explicit RoleBench(std::size_t shards) : GatherWorld(shards) {
    settings.listen.push_back(*Address::parse(kFront));
    settings.routes.push_back(route_called("default", "*"));
    for (std::size_t i = 0; i < shards; ++i) {
      settings.leaves.push_back(*LeafSpec::parse("http://" + address_of(i, 0)));
      leaf(i).always(std::to_string(i));
    }
  }
  void begin() {
    role = kGatherRoot.make(services(), settings);
    scope.spawn(start_role(*role, failure));
    settle();
    REQUIRE(failure == "none");
  }
  std::string reload() {
    Result<> done = role->reload(settings);
    settle();
    return done ? "done" : done.error().message();
  }
  std::string page(const std::string& path) {
    AdminQuestion question;
    question.method = "GET";
    question.path = path;
    return role->ask(question).body;
  }
  std::string ask_at(const std::string& address) {
    TestClient client(world.loop, world.network.connect_client(address));
    client.ask("GET", "/x");
    return client.answer().body;
  }

  Config settings;
  std::string failure;
  std::unique_ptr<Role> role;
  TaskScope scope;
};

}  // namespace

TEST_CASE("a request keeps the topology that it began with") {
  GatherWorld world(3);
  world.start();
  TestClient& before = world.get("/x");
  world.root().set_topology(topology_with(
      2, {{"s9", GatherWorld::address_of(2, 0)}, {"s0", GatherWorld::address_of(0, 0)}}));
  TestClient& after = world.get("/x");
  CHECK(world.leaf(1).calls() == 1);
  REQUIRE(world.leaf(2).calls() == 2);
  CHECK(world.leaf(2).call(1).header("consort-shard") == "s9");
  CHECK(world.leaf(2).call(1).header("consort-shards") == "2");
  world.leaf(0).answer(0, "0");
  world.leaf(0).answer(1, "10");
  world.leaf(2).answer(0, "2");
  world.leaf(2).answer(1, "12");
  CHECK(after.answer().body == "[12,10]");
  world.leaf(1).answer(0, "1");
  const Answer old = before.answer();
  CHECK(old.body == "[0,1,2]");
  CHECK(old.header("consort-coverage").starts_with("total=3, ok=3"));
  CHECK(world.root().state().metrics.topology_epoch.value() == 2);
}

TEST_CASE("a failover after the change goes by the old topology") {
  GatherWorld world(1, 2);
  world.start();
  TestClient& client = world.get("/x");
  world.root().set_topology(topology_with(2, {{"s0", "10.9.9.9:80"}}));
  world.leaf(0, 0).reset(0);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.leaf(0, 1).answer(0, "1");
  CHECK(client.answer().body == "[1]");
}

TEST_CASE("a replica that stays keeps its connections and what was learnt of it") {
  GatherWorld world(2);
  world.start();
  TestClient& client = world.connect();
  for (std::size_t i = 0; i < 2; ++i) world.leaf(i).always("1");
  for (int i = 0; i < 25; ++i) {
    client.ask("GET", "/x");
    CHECK(client.answer().status == 200);
  }
  const std::shared_ptr<Backend> stays = world.root().backends().find("http://10.0.0.1");
  const std::weak_ptr<Backend> goes = world.root().backends().find("http://10.0.1.1");
  REQUIRE(stays);
  REQUIRE_FALSE(goes.expired());
  world.root().set_topology(topology_with(2, {{"other", GatherWorld::address_of(0, 0)}}));
  CHECK(world.root().backends().find("http://10.0.0.1") == stays);
  CHECK(stays->stats().is_warm());
  client.ask("GET", "/x");
  CHECK(client.answer().status == 200);
  CHECK(world.leaf(0).server.connections() == 1);
  // Nobody uses the other one any more.
  CHECK(goes.expired());
  CHECK(world.leaf(1).server.last().ended());
}

TEST_CASE("a replica that goes is kept until its last call has ended") {
  GatherWorld world(2);
  world.start();
  TestClient& client = world.get("/x");
  const std::weak_ptr<Backend> goes = world.root().backends().find("http://10.0.1.1");
  world.root().set_topology(topology_with(2, {{"s0", GatherWorld::address_of(0, 0)}}));
  CHECK_FALSE(goes.expired());
  world.leaf(0).answer(0, "0");
  world.leaf(1).answer(0, "1");
  CHECK(client.answer().body == "[0,1]");
  CHECK(goes.expired());
}

TEST_CASE("what a leaf that is a root covers is known after a change") {
  GatherWorld world(2);
  world.route.min_coverage = 0;
  world.start();
  TestClient& client = world.connect();
  client.ask("GET", "/x");
  world.leaf(0).answer(0, child("total=10, ok=10"));
  world.leaf(1).answer(0, "1");
  world.run_for(10);
  CHECK(client.answer().status == 200);
  world.root().set_topology(topology_with(2, {{"new", "10.9.9.9:80"}, {"s0", "10.9.9.8:80"}}));
  client.ask("GET", "/x");
  world.run_for(10);
  CHECK(client.answer().header("consort-coverage").starts_with("total=11, ok=0, failed=11"));
}

TEST_CASE("a request that waits for its turn is not confused by other routes") {
  GatherWorld world(2);
  world.config.limits.inflight = 1;
  RouteConfig key = route_called("one", "/one");
  key.to = *SelectSpec::parse("key:query:k");
  world.config.routes = {route_called("all", "/all"), key};
  world.start();
  TestClient& inside = world.get("/all");
  TestClient& waits = world.get("/one?k=x");
  // "one" becomes the third of three, and then the only one.
  const auto all = world.root().epoch()->routes[0];
  const auto one = world.root().epoch()->routes[1];
  world.root().set_routes({world.make_route(route_called("new", "/new")), all, one});
  for (std::size_t i = 0; i < 2; ++i) world.leaf(i).answer(0, "1");
  CHECK(inside.answer().status == 200);
  // One shard, as its rule says, and not both.
  CHECK(world.leaf(0).calls() + world.leaf(1).calls() == 3);
  TestClient& next = world.get("/all");
  world.root().set_routes({one});
  const std::size_t i = world.leaf(0).calls() == 2 ? 0 : 1;
  world.leaf(i).answer(1, "1");
  CHECK(waits.answer().status == 200);
  CHECK(world.leaf(0).calls() + world.leaf(1).calls() == 5);
  for (std::size_t leaf = 0; leaf < 2; ++leaf) {
    world.leaf(leaf).answer(world.leaf(leaf).calls() - 1, "1");
  }
  CHECK(next.answer().status == 200);
  CHECK(world.get("/all").answer().status == 404);
}

TEST_CASE("a route that goes ends with its last request") {
  GatherWorld world(1);
  world.start();
  TestClient& client = world.get("/x");
  const std::weak_ptr<RouteState> old = world.root().epoch()->routes[0];
  RouteConfig other = world.route;
  other.min_coverage = 10;
  world.set_routes({other});
  CHECK_FALSE(old.expired());
  world.leaf(0).answer(0, "1");
  CHECK(client.answer().status == 200);
  CHECK(old.expired());
}

TEST_CASE("limits change for the requests that come") {
  GatherWorld world(2);
  world.start();
  Limits limits = world.config.limits;
  limits.fanout = 1;
  world.root().set_limits(limits);
  CHECK(world.get("/x").answer().status == 400);
  limits.fanout = 2;
  limits.memory = ByteSize{5};
  world.root().set_limits(limits);
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "123456");
  CHECK(client.answer().status == 503);
}

TEST_CASE("the role reloads: unchanged routes keep what they know, changed ones begin anew") {
  RoleBench bench(2);
  RouteConfig other = route_called("other", "/other");
  bench.settings.routes.insert(bench.settings.routes.begin(), other);
  bench.begin();
  CHECK(bench.ask_at(GatherWorld::kFront) == "[0,1]");
  CHECK(bench.page("/topology").find(R"("epoch": 1)") != std::string::npos);

  // Nothing differs: nothing would happen.
  CHECK(*bench.role->would_reload(bench.settings) == "");
  bench.settings.routes[0].min_coverage = 50;
  bench.settings.routes.push_back(route_called("third", "/third"));
  CHECK(*bench.role->would_reload(bench.settings) == "route other: changes\nroute third: comes");
  CHECK(bench.reload() == "done");
  CHECK(*bench.role->would_reload(bench.settings) == "");
  CHECK(bench.ask_at(GatherWorld::kFront) == "[0,1]");

  // Other leaves, while a request is under way at the old ones.
  bench.leaf(1).on_call = nullptr;
  TestClient& client = bench.get("/x");
  bench.settings.leaves.pop_back();
  CHECK(*bench.role->would_reload(bench.settings) == "topology: from another source");
  CHECK(bench.reload() == "done");
  bench.run_for(10);
  CHECK(bench.ask_at(GatherWorld::kFront) == "[0]");
  bench.leaf(1).answer(bench.leaf(1).calls() - 1, "1");
  CHECK(client.answer().body == "[0,1]");
}

TEST_CASE("the role reloads: a budget that was spent stays spent, until its route changes") {
  RoleBench bench(1);
  bench.settings.leaves = {*LeafSpec::parse("http://10.0.0.1|http://10.0.0.2")};
  bench.settings.routes[0].select = SelectPolicy::round_robin;
  LeafAnswer busy;
  busy.status = 503;
  bench.leaf(0, 0).always(busy);
  bench.leaf(0, 1).always("1");
  bench.begin();
  const auto balance = [&bench] {
    bench.run_for(1000);
    return bench.gauge("consort_gather_budget_balance", {{"route", "default"}, {"budget", "retry"}})
        .value();
  };
  CHECK(balance() == 100);
  for (int i = 0; i < 20; ++i) CHECK(bench.ask_at(GatherWorld::kFront) == "[1]");
  const std::int64_t left = balance();
  CHECK(left < 100);
  CHECK(bench.reload() == "done");
  CHECK(balance() == left);
  bench.settings.routes[0].timeout = Millis(1500);
  CHECK(bench.reload() == "done");
  CHECK(balance() == 100);
}

TEST_CASE("the role reloads: another address is opened, and the old one finishes what it has") {
  RoleBench bench(1);
  bench.begin();
  bench.leaf(0).on_call = nullptr;
  TestClient& client = bench.get("/x");
  bench.settings.listen = {*Address::parse("127.0.0.1:9090")};
  CHECK(bench.reload() == "done");
  bench.world.loop.run_for(static_cast<std::uint64_t>(http::kHandshake.count()));
  CHECK_FALSE(bench.world.network.listening(GatherWorld::kFront));
  bench.leaf(0).answer(0, "1");
  CHECK(client.answer().body == "[1]");
  CHECK(client.peer().ended());
  bench.leaf(0).always("2");
  CHECK(bench.ask_at("127.0.0.1:9090") == "[2]");
}

TEST_CASE("the role reloads: an address that is taken changes nothing") {
  RoleBench bench(1);
  bench.begin();
  Nobody nobody;
  const auto taken = bench.world.network.listen(*Address::parse("127.0.0.1:9090"), {}, nobody);
  REQUIRE(taken.has_value());
  bench.settings.listen = {*Address::parse("127.0.0.1:9090")};
  bench.settings.routes[0].min_coverage = 10;
  CHECK(bench.reload().find("127.0.0.1:9090") != std::string::npos);
  CHECK(*bench.role->would_reload(bench.settings) == "route default: changes");
  CHECK(bench.ask_at(GatherWorld::kFront) == "[0]");
}

// ---- everything at once ----

namespace {

/// Leaves that do whatever may happen, clients that come and go, topologies that change.
class Storm {
 public:
  Storm(std::uint64_t seed, GatherWorld& of) : world_(of), random_(seed) {
    world_.world.network.set_conditions(
        {.latency_ms = 1, .jitter_ms = 3, .window_bytes = 2048, .split = true});
    RouteConfig& route = world_.route;
    route.timeout = Millis(kTimeoutMs);
    route.connect_timeout = Millis(20);
    route.hedge = *HedgeOptions::parse("5ms:50%");
    route.min_coverage = random_.below(2) == 0 ? 100 : 50;
    const char* const modes[] = {"all", "all", "first", "first-n:2", "majority"};
    route.mode = *Mode::parse(modes[random_.below(5)]);
    world_.config.limits.inflight = 10;
    world_.config.limits.queue_time = Millis(20);
    world_.config.limits.inflight_per_replica = 2;
    world_.config.limits.memory = ByteSize{20'000};  // heads alone may be 14,000
    world_.config.limits.leaf_body = ByteSize{2000};
    world_.start();
    for (std::size_t i = 0; i < kShards; ++i) {
      for (std::size_t r = 0; r < kReplicas; ++r) {
        TestLeaf& leaf = world_.leaf(i, r);
        leaf.server.on_connect = [this, &leaf](sim::SimPeer&) {
          if (random_.below(20) == 0) leaf.server.refuse_next(1);
          if (random_.below(30) == 0) leaf.server.hang_next(1);
        };
        leaf.on_call = [this, &leaf](std::size_t n) { act(leaf.peer(n)); };
      }
    }
  }

  void blow() {
    for (int i = 0; i < kRequests; ++i) {
      world_.run_for(random_.below(6));
      begin();
      if (random_.below(10) == 0) change_topology();
      if (random_.below(10) == 0) world_.set_routes({world_.route});
    }
    world_.run_for(kTimeoutMs + 200);
  }

  void check() {
    for (Request& each : requests_) {
      std::string bytes = each.client->peer().received();
      const auto answer = Message::take(bytes);
      if (each.has_left) continue;
      REQUIRE(answer.has_value());
      CHECK(bytes.empty());
      // The way there and back, and one turn of the clock.
      CHECK(each.answered_ms <= each.asked_ms + kTimeoutMs + 10);
      CAPTURE(answer->first);
      CAPTURE(answer->body);
      if (answer->body.find("urn:consort:gather:overloaded") != std::string::npos) continue;
      const auto coverage = Coverage::parse(answer->header("consort-coverage"));
      REQUIRE(coverage.has_value());
      CHECK(coverage->total ==
            coverage->ok + coverage->failed + coverage->timeout + coverage->skipped);
      if (answer->first.find(" 200 ") != std::string::npos) ++good;
    }
  }
  std::size_t good = 0;

 private:
  static constexpr std::size_t kShards = 4;
  static constexpr std::size_t kReplicas = 3;
  static constexpr std::uint64_t kTimeoutMs = 100;
  static constexpr int kRequests = 40;

  struct Request {
    TestClient* client;
    std::uint64_t asked_ms;
    std::uint64_t answered_ms = 0;
    bool has_left = false;
  };

  /// What one call gets: mostly an answer, sooner or later.
  void act(sim::SimPeer& peer) {
    LeafAnswer answer;
    answer.body = std::string(1 + random_.below(900), '1');
    std::uint64_t after_ms = random_.below(4) == 0 ? random_.below(150) : random_.below(8);
    std::string bytes = answer.text();
    switch (random_.below(30)) {
      case 0:
        answer.status = 503;
        bytes = answer.text();
        break;
      case 1:
        answer.body = "{";
        bytes = answer.text();
        break;
      case 2:
        bytes.resize(bytes.size() / 2);
        break;
      case 3:
        world_.world.loop.after(after_ms, [&peer] { peer.reset(); });
        return;
      case 4:
        answer.body.resize(3000, '1');
        bytes = answer.text();
        break;
      case 5:
        return;
      default:
        break;
    }
    world_.world.loop.after(after_ms, [&peer, bytes] { peer.send(bytes); });
  }

  void begin() {
    TestClient& client = world_.connect();
    Request& request = requests_.emplace_back(Request{&client, world_.now_ms()});
    client.peer().on_data = [this, &request](sim::SimPeer&) {
      if (request.answered_ms == 0) request.answered_ms = world_.now_ms();
    };
    const bool is_write = random_.below(4) == 0;
    client.ask(is_write ? "POST" : "GET", "/x", {}, is_write ? std::string(700, 'b') : "");
    if (random_.below(6) != 0) return;
    request.has_left = true;
    world_.world.loop.after(random_.below(60), [&client] { client.peer().close(); });
  }

  void change_topology() {
    Topology next = world_.topology;
    next.epoch = ++epoch_;
    const std::size_t kept = 1 + random_.below(kShards);
    next.shards.erase(next.shards.begin() + static_cast<std::ptrdiff_t>(kept), next.shards.end());
    world_.root().set_topology(std::make_shared<const Topology>(std::move(next)));
  }

  GatherWorld& world_;
  Random random_;
  std::uint64_t epoch_ = 1;
  std::deque<Request> requests_;
};

}  // namespace

TEST_CASE("whatever leaves, clients and topologies do, each request has one answer in time") {
  std::size_t good = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    GatherWorld world(4, 3, seed);
    Storm storm(seed, world);
    storm.blow();
    storm.check();
    good += storm.good;
  }
  // A storm in which nothing succeeds would prove little.
  CHECK(good > 500);
}
