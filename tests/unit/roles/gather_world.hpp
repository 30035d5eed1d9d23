// A root with everything around it simulated: its leaves, its clients, names, time.
//
//   GatherWorld world(3, 2);                     // 3 shards, s0 to s2, of 2 replicas each
//   world.route.min_coverage = 90;               // before start()
//   world.start();
//   TestClient& client = world.get("/search?q=x");
//   world.leaf(0).answer(0, "1");                // the first call at s0's first replica
//   CHECK(client.answer().body == "[1,2,3]");
//
// Replicas have priorities: the first one is asked first, then the second. Each test ends with
// nothing left behind: no memory, no call in flight, nobody in a line (see the destructor).
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checks.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "net/http_server.hpp"
#include "roles/gather/config.hpp"
#include "roles/gather/root.hpp"
#include "sim/world.hpp"

namespace consort::gather::test {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

/// A first line, headers by their lower-case names (several joined by " | "), a body.
struct Message {
  std::string first;
  std::map<std::string, std::string> headers;
  std::string body;

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "none" : found->second;
  }
  /// Takes a message off the front of `bytes`; nothing when it is not whole.
  static std::optional<Message> take(std::string& bytes, bool has_body = true) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return std::nullopt;
    Message message;
    std::size_t at = bytes.find("\r\n");
    message.first = bytes.substr(0, at);
    while (at < end) {
      const std::size_t next = bytes.find("\r\n", at + 2);
      const std::string line = bytes.substr(at + 2, next - at - 2);
      const std::size_t colon = line.find(": ");
      std::string& value = message.headers[lower(line.substr(0, colon))];
      value += (value.empty() ? "" : " | ") + line.substr(colon + 2);
      at = next;
    }
    std::size_t length = 0;
    if (has_body && message.headers.contains("content-length")) {
      length = std::stoul(message.headers["content-length"]);
    }
    if (bytes.size() < end + 4 + length) return std::nullopt;
    message.body = bytes.substr(end + 4, length);
    bytes.erase(0, end + 4 + length);
    return message;
  }
};

struct LeafAnswer {
  int status = 200;
  std::string body;
  HeaderList headers = {};
  std::string content_type = "application/json";

  std::string text() const {
    std::string out = "HTTP/1.1 " + std::to_string(status) + " X\r\n";
    if (!content_type.empty()) out += "Content-Type: " + content_type + "\r\n";
    for (const auto& [name, value] : headers) out.append(name + ": " + value + "\r\n");
    return out + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
};

/// One replica, played by the test. Its calls are counted from 0, in the order in which they came.
class TestLeaf {
 public:
  TestLeaf(sim::SimLoop& loop, sim::SimNetwork& network, const std::string& address)
      : server(network.serve(address)), loop_(loop) {
    server.on_data = [this](sim::SimPeer& peer) { read(peer); };
  }
  TestLeaf(const TestLeaf&) = delete;
  TestLeaf& operator=(const TestLeaf&) = delete;

  std::size_t calls() {
    loop_.settle();
    return calls_.size();
  }
  const Message& call(std::size_t n) { return calls_.at(n).message; }
  /// The connection that it came on.
  sim::SimPeer& peer(std::size_t n) { return *calls_.at(n).peer; }
  /// When it came, on the loop's clock.
  std::uint64_t came_ms(std::size_t n) const { return calls_.at(n).came_ms; }
  void answer(std::size_t n, std::string body) {
    LeafAnswer good;
    good.body = std::move(body);
    answer(n, good);
  }
  void answer(std::size_t n, const LeafAnswer& with) { send(n, with.text()); }
  /// Any bytes; what follows from them has happened when it returns.
  void send(std::size_t n, std::string_view bytes) {
    REQUIRE(calls() > n);
    calls_.at(n).peer->send(bytes);
    loop_.settle();
  }
  void reset(std::size_t n) {
    REQUIRE(calls() > n);
    calls_.at(n).peer->reset();
    loop_.settle();
  }
  /// The root has closed the connection of the call.
  bool was_cancelled(std::size_t n) {
    loop_.settle();
    return calls_.at(n).peer->ended();
  }
  /// Answers all further calls, that much later.
  void always(LeafAnswer with, std::uint64_t after_ms = 0) {
    on_call = [this, with = std::move(with), after_ms](std::size_t n) {
      loop_.after(after_ms, [peer = calls_.at(n).peer, text = with.text()] {
        if (!peer->ended()) peer->send(text);
      });
    };
  }
  void always(std::string body, std::uint64_t after_ms = 0) {
    LeafAnswer good;
    good.body = std::move(body);
    always(std::move(good), after_ms);
  }

  sim::SimServer& server;
  std::function<void(std::size_t n)> on_call;  ///< run for each call as it comes

 private:
  struct Call {
    sim::SimPeer* peer;
    Message message;
    std::uint64_t came_ms;
  };

  void read(sim::SimPeer& peer) {
    std::string& pending = pending_[&peer];
    pending += peer.take();
    while (auto message = Message::take(pending)) {
      calls_.push_back({&peer, std::move(*message), loop_.now_ms()});
      if (on_call) on_call(calls_.size() - 1);
    }
  }

  sim::SimLoop& loop_;
  std::map<sim::SimPeer*, std::string> pending_;
  std::deque<Call> calls_;
};

struct Answer {
  int status = 0;  ///< 0: none has come
  std::string body;
  Message message;

  std::string header(const std::string& name) const { return message.header(name); }
  bool has(std::string_view text) const { return body.find(text) != std::string::npos; }
};

/// A connection to the root, with one request at a time.
class TestClient {
 public:
  TestClient(sim::SimLoop& loop, sim::SimPeer& peer) : loop_(loop), peer_(peer) {}

  void ask(const std::string& method, const std::string& target, const HeaderList& headers = {},
           const std::string& body = {}) {
    is_head_ = method == "HEAD";
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: root\r\n";
    for (const auto& [name, value] : headers) text.append(name + ": " + value + "\r\n");
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    peer_.send(text + "\r\n" + body);
    loop_.settle();
  }
  /// The next answer; it is gone then.
  Answer answer() {
    loop_.settle();
    pending_ += peer_.take();
    auto message = Message::take(pending_, !is_head_);
    if (!message) return {};
    Answer answer;
    answer.status = std::stoi(message->first.substr(9, 3));
    answer.body = message->body;
    answer.message = std::move(*message);
    return answer;
  }
  bool is_waiting() {
    loop_.settle();
    return pending_.empty() && peer_.received().empty();
  }
  void leave() {
    peer_.close();
    loop_.settle();
  }
  sim::SimPeer& peer() { return peer_; }

 private:
  sim::SimLoop& loop_;
  sim::SimPeer& peer_;
  std::string pending_;
  bool is_head_ = false;
};

class GatherWorld {
 public:
  static constexpr const char* kFront = "127.0.0.1:8080";

  explicit GatherWorld(std::size_t shards = 1, std::size_t replicas = 1, std::uint64_t seed = 1)
      : world(seed), route(config.route) {
    for (std::size_t i = 0; i < shards; ++i) {
      ShardSpec& shard = topology.shards.emplace_back();
      shard.id = default_shard_id(i);
      for (std::size_t r = 0; r < replicas; ++r) {
        ReplicaSpec replica;
        replica.url = *http::Url::parse("http://" + address_of(i, r));
        replica.priority = static_cast<std::uint16_t>(r);
        shard.replicas.push_back(std::move(replica));
        leaf(i, r);
      }
    }
    topology.epoch = 1;
    route.hedge = HedgeOptions{};
  }
  GatherWorld(const GatherWorld&) = delete;
  GatherWorld& operator=(const GatherWorld&) = delete;
  ~GatherWorld() {
    if (!root_) return;
    server_.reset();
    CHECK(root_->inside() == 0);
    CHECK(root_->state().metrics.inflight.value() == 0);
    CHECK(root_->state().metrics.queued.value() == 0);
    CHECK(root_->state().metrics.memory_bytes.value() == 0);
    root_->backends().for_each([](Backend& backend) {
      CHECK(backend.stats().inflight() == 0);
      CHECK(backend.waiting() == 0);
    });
  }

  /// With `route` as the only one, unless config.routes has been filled.
  void start() {
    config.access_log = has_access_log;
    if (config.routes.empty()) config.routes.push_back(route);
    root_ = std::make_unique<Root>(services_, config, "test");
    set_routes(config.routes);
    root_->set_topology(std::make_shared<const Topology>(topology));
    http::Limits limits;
    limits.connections = config.limits.connections;
    limits.body_bytes = config.limits.request_body.bytes;
    server_ = std::make_unique<http::Server>(world.loop, world.network, *root_, limits);
    REQUIRE(server_->listen(*Address::parse(kFront)).has_value());
  }
  /// As a reload does; each route is new.
  void set_routes(const std::vector<RouteConfig>& routes) {
    std::vector<std::shared_ptr<RouteState>> made;
    for (const RouteConfig& each : routes) made.push_back(make_route(each));
    root_->set_routes(std::move(made));
  }
  std::shared_ptr<RouteState> make_route(const RouteConfig& of) {
    return std::make_shared<RouteState>(services_, of, root_->instance());
  }
  /// The server goes, with all that is under way.
  void stop() {
    root_->close();
    server_.reset();
  }

  static std::string address_of(std::size_t shard, std::size_t replica) {
    return "10." + std::to_string(shard / 200) + "." + std::to_string(shard % 200) + "." +
           std::to_string(replica + 1) + ":80";
  }
  TestLeaf& leaf(std::size_t shard, std::size_t replica = 0) {
    auto& leaf = leaves_[{shard, replica}];
    if (!leaf) {
      leaf = std::make_unique<TestLeaf>(world.loop, world.network, address_of(shard, replica));
    }
    return *leaf;
  }
  ReplicaStats& stats(std::size_t shard, std::size_t replica = 0) {
    return backend(shard, replica).stats();
  }
  Backend& backend(std::size_t shard, std::size_t replica = 0) {
    return *root_->epoch()->generation->shards.at(shard).replicas.at(replica);
  }
  Root& root() { return *root_; }
  RouteState& state(std::size_t route_index = 0) { return *root_->epoch()->routes.at(route_index); }
  RouteMetrics& metrics() { return state().metrics; }
  std::uint64_t limit_count(LimitHit limit) {
    return root_->state().metrics.limits.at(static_cast<std::size_t>(limit))->value();
  }
  std::uint64_t hedges(HedgePolicy::Answer answer) { return metrics().hedge(answer).value(); }
  std::int64_t memory_bytes() { return root_->state().metrics.memory_bytes.value(); }

  TestClient& connect() {
    clients_.emplace_back(world.loop, world.network.connect_client(kFront));
    return clients_.back();
  }
  /// A request on a connection of its own.
  TestClient& ask(const std::string& method, const std::string& target,
                  const HeaderList& headers = {}, const std::string& body = {}) {
    TestClient& client = connect();
    client.ask(method, target, headers, body);
    return client;
  }
  TestClient& get(const std::string& target, const HeaderList& headers = {}) {
    return ask("GET", target, headers);
  }
  void run_for(std::uint64_t ms) { world.loop.run_for(ms); }
  void settle() { world.loop.settle(); }
  std::uint64_t now_ms() const { return world.loop.now_ms(); }
  std::size_t logged(std::string_view text) const {
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(),
        [text](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  const Services& services() const { return services_; }
  /// The same series for the same labels.
  Gauge& gauge(std::string_view name, Labels labels) {
    return registry_.gauge(name, "", std::move(labels));
  }

  sim::World world;
  Config config;
  RouteConfig& route;
  Topology topology;
  bool has_access_log = false;

 private:
  static Logger::Options log_options() {
    Logger::Options options;
    options.format = LogFormat::logfmt;
    return options;
  }

  Registry registry_;
  CheckBoard checks_;
  std::vector<std::string> lines_;
  Logger log_{{.write =
                   [](void* self, std::string_view line) {
                     static_cast<GatherWorld*>(self)->lines_.emplace_back(line);
                   },
               .wall_ms = [](void*) { return std::int64_t{0}; },
               .context = this},
              log_options()};
  Services services_{.loop = world.loop,
                     .network = world.network,
                     .dns = world.dns,
                     .files = world.files,
                     .disk = world.disk,
                     .processes = world.processes,
                     .random = world.random,
                     .metrics = registry_,
                     .checks = checks_,
                     .log = log_};
  std::map<std::pair<std::size_t, std::size_t>, std::unique_ptr<TestLeaf>> leaves_;
  std::deque<TestClient> clients_;
  std::unique_ptr<Root> root_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace consort::gather::test
