// Random schedules against an oracle: whatever the network cuts and delays, and whatever breaks,
// every client gets the answers that one server would give it, in its own order.
#include <doctest/doctest.h>

#include <deque>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

/// One client's random commands on keys of its own, and what a single server would answer.
struct Script {
  Script(Random& source, std::size_t number)
      : random(source), prefix("c" + std::to_string(number)) {}

  Words next() {
    switch (random.below(12)) {
      case 0:
        return {"PING"};
      case 1:
        return {"ECHO", text()};
      case 2:
        return many("MGET");
      case 3:
        return many("EXISTS");
      case 4:
        return many("DEL");
      case 5:
        return pairs();
      case 6:
        return {"INCR", key()};
      case 7:
        return {"GET", key(), "too", "many"};
      case 8:
        return {"NOSUCH", text()};
      case 9:
        return {"SET", key(), text()};
      default:
        return {"GET", key()};
    }
  }
  std::string key() { return prefix + ":" + std::to_string(random.below(12)); }
  std::string text() {
    std::size_t size = random.below(8) == 0 ? random.below(20'000) : random.below(30);
    std::string out(size, 'x');
    if (random.below(2) == 0) return std::to_string(random.below(1000));
    for (char& c : out) c = "ab\r\n$*+-:\0"[random.below(10)];
    return out;
  }
  Words many(const std::string& name) {
    Words words{name};
    for (std::uint64_t i = 1 + random.below(8); i > 0; --i) words.push_back(key());
    return words;
  }
  Words pairs() {
    Words words{"MSET"};
    for (std::uint64_t i = 1 + random.below(5); i > 0; --i) {
      words.push_back(key());
      words.push_back(text());
    }
    if (random.below(6) == 0) words.pop_back();
    return words;
  }

  Random& random;
  std::string prefix;
  RedisStore oracle;
  std::string expected;
};

void play_in_order(std::uint64_t seed) {
  Random random(seed * 7919 + 1);
  sim::Conditions conditions{.latency_ms = random.below(3),
                             .jitter_ms = random.below(30),
                             .window_bytes = 1 + random.below(100'000),
                             .split = true};
  RedisWorld proxy(4, seed, conditions);
  proxy.config.server_connections = static_cast<std::uint32_t>(1 + random.below(3));
  proxy.config.timeout = Millis(60'000);
  proxy.start();
  proxy.run_for(100);
  std::deque<Script> scripts;
  std::vector<TestClient*> clients;
  for (std::size_t i = 0; i < 3; ++i) {
    scripts.emplace_back(random, i);
    clients.push_back(&proxy.connect());
  }
  for (int step = 0; step < 60; ++step) {
    std::size_t who = random.below(scripts.size());
    Words words = scripts[who].next();
    clients[who]->post(words);
    scripts[who].expected += scripts[who].oracle.execute(words);
    if (random.below(4) == 0) proxy.run_for(random.below(20));
  }
  proxy.run_for(50'000);
  for (std::size_t i = 0; i < scripts.size(); ++i) {
    bool same = clients[i]->take() == scripts[i].expected;
    CAPTURE(seed);
    CAPTURE(i);
    CHECK(same);
    CHECK_FALSE(clients[i]->ended());
  }
}

// Splits a stream of replies; false when it does not end with a whole one.
bool split_replies(std::string_view bytes, Lines& replies) {
  resp::ReplyScanner scanner;
  while (!bytes.empty()) {
    auto step = scanner.scan(bytes);
    if (step.progress != resp::Progress::done) return false;
    replies.emplace_back(bytes.substr(0, step.used));
    bytes.remove_prefix(step.used);
  }
  return true;
}

bool is_failure(const std::string& reply) {
  return reply.starts_with("-ERR a ") || reply.starts_with("-ERR b ") ||
         reply.starts_with("-ERR c ");
}

void break_something(RedisWorld& proxy, Random& random) {
  RedisServer& server = proxy.server(random.below(3));
  if (server.at().connections() == 0) return;
  sim::SimPeer& peer = server.at().peer(random.below(server.at().connections()));
  switch (random.below(9)) {
    case 8:
      peer.send("$9\r\npart");
      peer.close();
      break;
    case 0:
      peer.reset();
      break;
    case 1:
      peer.close();
      break;
    case 2:
      server.hold();
      break;
    case 3:
      server.at().refuse_next(1);
      break;
    case 4:
      server.at().hang_next(1);
      break;
    case 5:
      peer.stall();
      break;
    default:
      server.release();
      peer.resume();
  }
}

void repair(RedisWorld& proxy) {
  for (std::size_t i = 0; i < 3; ++i) {
    sim::SimServer& server = proxy.server(i).at();
    proxy.server(i).release();
    for (std::size_t peer = 0; peer < server.connections(); ++peer) server.peer(peer).resume();
  }
}

/// Keys are only read, and each holds its own name: a reply that belongs to another request shows.
void play_with_faults(std::uint64_t seed) {
  Random random(seed * 104'729 + 5);
  RedisWorld proxy(3, seed, {.latency_ms = 1, .jitter_ms = random.below(40), .split = true});
  proxy.config.timeout = Millis(200);
  proxy.start();
  struct Asked {
    TestClient* client;
    Lines expected;
    bool left = false;
  };
  std::vector<Asked> all;
  for (int i = 0; i < 4; ++i) all.push_back({&proxy.connect(), {}});
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 40; ++k) {
      std::string key = "k" + std::to_string(k);
      std::string name = k % 5 == 0 ? std::string(3000, 'v') + key : "value of " + key;
      proxy.server(proxy.owner_of(key)).store.data[key] = name;
    }
  }
  auto value_of = [&proxy](const std::string& key) {
    return bulk(proxy.server(proxy.owner_of(key)).store.data[key]);
  };
  for (int step = 0; step < 150; ++step) {
    Asked& one = all[random.below(all.size())];
    std::string key = "k" + std::to_string(random.below(40));
    std::string other = "k" + std::to_string(random.below(40));
    if (random.below(3) == 0) {
      one.client->post({"MGET", key, other});
      one.expected.push_back("*2\r\n" + value_of(key) + value_of(other));
    } else {
      one.client->post({"GET", key});
      one.expected.push_back(value_of(key));
    }
    if (random.below(10) == 0) break_something(proxy, random);
    if (random.below(300) == 0) {
      one.client->peer().reset();
      one.left = true;
    }
    proxy.run_for(random.below(15));
  }
  repair(proxy);
  proxy.run_for(5000);
  for (Asked& one : all) {
    CAPTURE(seed);
    bool cut_off = one.client->ended();
    Lines replies;
    bool whole = split_replies(one.client->take(), replies);
    if (!cut_off && !one.left) CHECK(whole);
    if (!cut_off && !one.left) CHECK(replies.size() == one.expected.size());
    CHECK(replies.size() <= one.expected.size());
    for (std::size_t i = 0; i < std::min(replies.size(), one.expected.size()); ++i) {
      bool fits = replies[i] == one.expected[i] || is_failure(replies[i]);
      CHECK(fits);
    }
  }
  // After the storm all servers are found again.
  proxy.run_for(60'000);
  TestClient& after = proxy.connect();
  proxy.run_for(200);
  after.post({"MGET", proxy.key_on(0), proxy.key_on(1), proxy.key_on(2)});
  proxy.run_for(200);
  CHECK(after.take().starts_with("*3\r\n"));
}

/// A random memcached request on few keys.
std::string memcache_request(Random& random) {
  auto key = [&random] { return "key" + std::to_string(random.below(10)); };
  std::string body(random.below(6) == 0 ? random.below(10'000) : random.below(10), 'x');
  std::string size = std::to_string(body.size());
  std::string quiet = random.below(2) == 0 ? " noreply" : "";
  std::string meta_quiet = random.below(2) == 0 ? " q O" + std::to_string(random.below(99)) : " k";
  switch (random.below(10)) {
    case 0:
      return "set " + key() + " 0 0 " + size + quiet + "\r\n" + body + "\r\n";
    case 1:
      return "add " + key() + " 0 0 " + size + quiet + "\n" + body + "\r\n";
    case 2:
      return "delete " + key() + quiet + "\r\n";
    case 3:
      return "mg " + key() + " v" + meta_quiet + "\r\n";
    case 4:
      return "ms " + key() + " " + size + meta_quiet + "\r\n" + body + "\r\n";
    case 5:
      return "md " + key() + meta_quiet + "\r\n";
    case 6:
      return random.below(3) == 0 ? "flush_all" + quiet + "\r\n" : "mn\r\n";
    case 7:
      return "incr " + key() + " nonsense" + quiet + "\r\nset k 0 0 1\r\nlong\r\n";
    default:
      break;
  }
  std::string line = random.below(2) == 0 ? "gets" : "gat 10";
  for (std::uint64_t i = 1 + random.below(7); i > 0; --i) line += " " + key();
  return line + "\r\n";
}

std::string play_memcache(std::uint64_t seed, std::uint32_t servers) {
  Random random(seed * 15'485'863 + 3);
  sim::Conditions conditions{.jitter_ms = 20, .window_bytes = 5000, .split = true};
  MemcacheWorld proxy(servers, seed, conditions);
  proxy.config.timeout = Millis(60'000);
  proxy.start();
  proxy.run_for(100);
  TestClient& client = proxy.connect();
  for (int step = 0; step < 80; ++step) {
    client.send(memcache_request(random));
    if (random.below(4) == 0) proxy.run_for(random.below(20));
  }
  proxy.run_for(50'000);
  CHECK_FALSE(client.ended());
  return client.take();
}

}  // namespace

TEST_CASE("on 200 random schedules four memcached servers answer as one does") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::string one = play_memcache(seed, 1);
    bool same = one == play_memcache(seed, 4);
    CHECK(same);
    CHECK(one.size() > 100);
  }
}

TEST_CASE("on 200 random schedules every client gets what one server would answer, in order") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) play_in_order(seed);
}

TEST_CASE("on 200 schedules with faults every reply is the right one or says which server failed") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) play_with_faults(seed);
}
