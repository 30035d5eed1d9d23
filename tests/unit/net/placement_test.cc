#include "net/placement.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace consort;

namespace {

constexpr std::uint32_t kNoServer = Placement::kNoServer;
constexpr int kKeys = 20'000;

std::string key_at(int i) {
  return "user:" + std::to_string(i);
}

/// s0, s1, .. with these weights.
std::vector<PlacementServer> servers_of(std::vector<std::uint32_t> weights) {
  std::vector<PlacementServer> servers;
  for (std::uint32_t weight : weights) {
    servers.push_back({"s" + std::to_string(servers.size()), weight, true});
  }
  return servers;
}

Placement make(Distribution distribution, std::vector<PlacementServer> servers,
               std::string hash_tag = "") {
  return Placement(distribution, KeyHash::murmur, std::move(hash_tag), std::move(servers));
}

std::uint32_t owner(const Placement& placement, std::string_view key) {
  Random unused(1);
  return placement.server_of(key, unused);
}

/// How many of kKeys keys each server holds.
std::vector<int> loads(const Placement& placement, std::size_t servers) {
  std::vector<int> counts(servers);
  for (int i = 0; i < kKeys; ++i) ++counts.at(owner(placement, key_at(i)));
  return counts;
}

/// Keys that changed their server, and those of them that did not go to `allowed`.
struct Moves {
  int all = 0;
  int elsewhere = 0;
};
Moves moves(const Placement& before, const Placement& after, std::uint32_t allowed) {
  Moves found;
  for (int i = 0; i < kKeys; ++i) {
    std::uint32_t now = owner(after, key_at(i));
    if (now == owner(before, key_at(i))) continue;
    ++found.all;
    if (now != allowed) ++found.elsewhere;
  }
  return found;
}

std::vector<std::uint32_t> points_per_server(const Placement& placement, std::size_t servers) {
  std::vector<std::uint32_t> counts(servers);
  for (const auto& point : placement.ring()) ++counts.at(point.server);
  return counts;
}

using Counts = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("ketama gives each server the points that twemproxy gives it") {
  auto counts = [](std::vector<std::uint32_t> weights) {
    return points_per_server(make(Distribution::ketama, servers_of(weights)), weights.size());
  };
  CHECK(counts({1, 1}) == Counts{160, 160});
  CHECK(counts({1, 3, 7}) == Counts{40, 128, 304});
  CHECK(counts({5, 1, 2}) == Counts{300, 60, 120});
  // Shares are floats: 1 / 25 * 200 is just below 8, 6 / 25 * 200 just below 48.
  CHECK(counts({1, 6, 6, 6, 6}) == Counts{28, 188, 188, 188, 188});
  CHECK(counts({1000, 1}) == Counts{316, 0});
}

TEST_CASE("a ketama ring is sorted and made of the names' MD5 words") {
  Placement placement = make(Distribution::ketama, {{"server1", 1, true}, {"server2", 1, true}});
  auto ring = placement.ring();
  REQUIRE(ring.size() == 320);
  CHECK(
      std::is_sorted(ring.begin(), ring.end(), [](auto& a, auto& b) { return a.value < b.value; }));
  for (std::uint32_t value : {3853726576U, 2667054752U}) {
    auto at = std::find_if(ring.begin(), ring.end(), [&](auto& p) { return p.value == value; });
    REQUIRE(at != ring.end());
    CHECK(at->server == 0);
  }
}

TEST_CASE("ketama takes the first point at or after the hash and wraps to the first") {
  Placement placement = make(Distribution::ketama, servers_of({1, 3, 7}));
  auto ring = placement.ring();
  bool wrapped = false;
  for (int i = 0; i < kKeys; ++i) {
    auto why = placement.explain(key_at(i));
    auto at = std::lower_bound(ring.begin(), ring.end(), why.hash,
                               [](auto& point, std::uint32_t hash) { return point.value < hash; });
    if (at == ring.end()) {
      wrapped = true;
      CHECK(why.server == ring.front().server);
    } else {
      CHECK(why.server == at->server);
      CHECK(why.point == at->value);
    }
  }
  CHECK(wrapped);
}

TEST_CASE("ketama, modula and rendezvous do not depend on the order of the configuration") {
  std::vector<PlacementServer> servers = {
      {"10.0.0.1:1", 1, true}, {"b", 2, true}, {"aa", 3, true}, {"10.0.0.2:1", 1, true}};
  std::vector<PlacementServer> turned(servers.rbegin(), servers.rend());
  for (Distribution d : {Distribution::ketama, Distribution::modula, Distribution::rendezvous}) {
    Placement one = make(d, servers);
    Placement two = make(d, turned);
    for (int i = 0; i < 500; ++i) {
      CHECK(owner(one, key_at(i)) + owner(two, key_at(i)) == servers.size() - 1);
    }
  }
}

TEST_CASE("modula counts slots over servers sorted by name length, then bytes") {
  // Sorted: b, aa, ab, ccc. Slots: b, aa aa, ab, ccc ccc ccc.
  Placement placement = make(Distribution::modula,
                             {{"ccc", 3, true}, {"ab", 1, true}, {"b", 1, true}, {"aa", 2, true}});
  const std::uint32_t slots[] = {2, 3, 3, 1, 0, 0, 0};
  for (int i = 0; i < 500; ++i) {
    std::uint32_t hash = hash_key(KeyHash::murmur, key_at(i));
    auto why = placement.explain(key_at(i));
    CHECK(why.point == hash % 7);
    CHECK(why.server == slots[hash % 7]);
  }
}

TEST_CASE("bytes of a name sort unsigned") {
  // Slot 0 is the name that sorts first; an empty key hashes to 0.
  Placement placement = make(Distribution::modula, {{"\xc3\xa9", 1, true}, {"zz", 1, true}});
  CHECK(owner(placement, "") == 1);
}

TEST_CASE("random uses every live server, whatever its weight, and none else") {
  std::vector<PlacementServer> servers = servers_of({1, 9, 1});
  servers[0].live = false;
  Placement placement = make(Distribution::random, servers);
  Random random(7);
  int counts[3] = {};
  for (int i = 0; i < 1000; ++i) ++counts[placement.server_of("same", random)];
  CHECK(counts[0] == 0);
  CHECK(counts[1] > 400);
  CHECK(counts[2] > 400);
  CHECK(placement.explain("same").server == kNoServer);
}

TEST_CASE("only random draws from the source of randomness") {
  for (Distribution d :
       {Distribution::ketama, Distribution::modula, Distribution::jump, Distribution::rendezvous}) {
    Placement placement = make(d, servers_of({1, 2}));
    Random used(5);
    Random fresh(5);
    placement.server_of("key", used);
    CHECK(used.next() == fresh.next());
  }
}

TEST_CASE("shares follow the weights") {
  const std::vector<std::uint32_t> weights = {1, 3, 7, 1};
  for (Distribution d : {Distribution::modula, Distribution::jump, Distribution::rendezvous}) {
    auto counts = loads(make(d, servers_of(weights)), weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      double expected = kKeys * weights[i] / 12.0;
      CAPTURE(Choices<Distribution>::names[static_cast<std::size_t>(d)]);
      CHECK(counts[i] == doctest::Approx(expected).epsilon(0.1));
    }
  }
}

TEST_CASE("jump and rendezvous spread equal weights evenly, even from weak hashes") {
  for (Distribution d : {Distribution::jump, Distribution::rendezvous}) {
    for (KeyHash hash : {KeyHash::murmur, KeyHash::fnv1a_64, KeyHash::crc32}) {
      Placement placement(d, hash, "", servers_of(Counts(10, 1)));
      auto counts = loads(placement, 10);
      CHECK(*std::max_element(counts.begin(), counts.end()) < kKeys / 10 * 1.12);
      CHECK(*std::min_element(counts.begin(), counts.end()) > kKeys / 10 * 0.88);
    }
  }
}

TEST_CASE("an appended server takes its share with jump and rendezvous, nothing else moves") {
  for (Distribution d : {Distribution::jump, Distribution::rendezvous}) {
    for (std::uint32_t n : {1U, 2U, 5U, 30U}) {
      Moves found =
          moves(make(d, servers_of(Counts(n, 1))), make(d, servers_of(Counts(n + 1, 1))), n);
      CHECK(found.all == doctest::Approx(kKeys / (n + 1.0)).epsilon(0.12));
      CHECK(found.elsewhere == 0);
    }
  }
}

TEST_CASE("an ejected server moves its own keys only, with jump and rendezvous") {
  for (Distribution d : {Distribution::jump, Distribution::rendezvous}) {
    for (const Counts& weights : {Counts{1, 1, 1, 1, 1}, Counts{2, 1, 4, 3, 4}}) {
      auto servers = servers_of(weights);
      Placement before = make(d, servers);
      servers[2].live = false;
      Placement after = make(d, servers);
      for (int i = 0; i < kKeys; ++i) {
        std::uint32_t was = owner(before, key_at(i));
        std::uint32_t now = owner(after, key_at(i));
        CHECK(now != 2);
        if (was != 2) CHECK(now == was);
      }
    }
  }
}

TEST_CASE("an ejected server's keys spread over all others with jump") {
  auto servers = servers_of(Counts(5, 1));
  servers[2].live = false;
  auto counts = loads(make(Distribution::jump, servers), 5);
  for (std::size_t i : {0U, 1U, 3U, 4U}) {
    CHECK(counts[i] == doctest::Approx(kKeys / 4).epsilon(0.06));
  }
}

TEST_CASE("a raised weight only attracts keys, with rendezvous") {
  CHECK(moves(make(Distribution::rendezvous, servers_of({1, 2, 3})),
              make(Distribution::rendezvous, servers_of({1, 4, 3})), 1)
            .elsewhere == 0);
}

TEST_CASE("jump keeps weights where nearly every draw is refused") {
  Counts weights(300, 1);
  weights[0] = 30'000;
  auto counts = loads(make(Distribution::jump, servers_of(weights)), weights.size());
  CHECK(counts[0] == doctest::Approx(kKeys * 30'000.0 / 30'299).epsilon(0.01));

  std::vector<PlacementServer> mostly_dead = servers_of(Counts(500, 1));
  for (auto& server : mostly_dead) server.live = false;
  mostly_dead[17].live = mostly_dead[400].live = true;
  auto alive = loads(make(Distribution::jump, mostly_dead), mostly_dead.size());
  CHECK(alive[17] + alive[400] == kKeys);
  CHECK(alive[17] == doctest::Approx(kKeys / 2).epsilon(0.05));
}

TEST_CASE("jump and rendezvous stay where they are from release to release") {
  // Values of this implementation; a change would lose every cached key.
  Placement jump = make(Distribution::jump, servers_of(Counts(8, 1)));
  Placement rendezvous = make(Distribution::rendezvous, servers_of(Counts(8, 1)));
  Placement heavy_jump = make(Distribution::jump, servers_of({1, 2, 3, 4}));
  Placement heavy = make(Distribution::rendezvous, servers_of({1, 2, 3, 4}));
  std::string found[4];
  for (int i = 0; i < 24; ++i) {
    found[0] += std::to_string(owner(jump, key_at(i)));
    found[1] += std::to_string(owner(rendezvous, key_at(i)));
    found[2] += std::to_string(owner(heavy_jump, key_at(i)));
    found[3] += std::to_string(owner(heavy, key_at(i)));
  }
  CHECK(found[0] == "036175701710715420423240");
  CHECK(found[1] == "737611045307551730271555");
  CHECK(found[2] == "031110303232121320223330");
  CHECK(found[3] == "132211332303231331231202");
}

TEST_CASE("an ejected server leaves as if it were not configured, with ketama and modula") {
  for (Distribution d : {Distribution::ketama, Distribution::modula}) {
    auto servers = servers_of({1, 3, 7});
    servers.push_back({"gone", 5, false});
    servers.push_back({"drained", 0, true});
    Placement with = make(d, servers);
    Placement without = make(d, servers_of({1, 3, 7}));
    CHECK(with.ring().size() == without.ring().size());
    for (int i = 0; i < 1000; ++i) CHECK(owner(with, key_at(i)) == owner(without, key_at(i)));
  }
}

TEST_CASE("one live server holds every key without hashing") {
  auto servers = servers_of({1, 1, 1});
  servers[0].live = servers[2].live = false;
  for (std::uint8_t d = 0; d < std::size(Choices<Distribution>::names); ++d) {
    Placement placement = make(static_cast<Distribution>(d), servers);
    CHECK(owner(placement, "any") == 1);
    auto why = placement.explain("any");
    CHECK(why.single);
    CHECK(why.server == 1);
    CHECK(why.hash == 0);
  }
}

TEST_CASE("without a live server the answer is kNoServer") {
  auto servers = servers_of({1, 1});
  servers[0].live = servers[1].live = false;
  for (std::uint8_t d = 0; d < std::size(Choices<Distribution>::names); ++d) {
    for (const auto& none : {servers, servers_of({}), servers_of({0, 0})}) {
      Placement placement = make(static_cast<Distribution>(d), none);
      CHECK(owner(placement, "any") == kNoServer);
      CHECK(placement.explain("any").server == kNoServer);
      CHECK_FALSE(placement.explain("any").single);
      CHECK(placement.ring().empty());
    }
  }
}

TEST_CASE("extreme weights neither overflow nor lose keys") {
  const std::uint32_t most = 0xffffffff;
  for (Distribution d : {Distribution::ketama, Distribution::jump, Distribution::rendezvous}) {
    auto counts = loads(make(d, servers_of({most, 1, most})), 3);
    CHECK(counts[0] > kKeys / 3);
    CHECK(counts[2] > kKeys / 3);
  }
  // 32 bits of hash reach only the first 2^32 slots of modula: the keys are held, if badly spread.
  auto counts = loads(make(Distribution::modula, servers_of({most, 1, most})), 3);
  CHECK(counts[0] == kKeys);
}

TEST_CASE("a server's name for hashing is twemproxy's") {
  const Address tcp{.host = "10.0.0.1", .port = 22121};
  const Address classic{.host = "cache-1", .port = 11211};
  const Address v6{.host = "::1", .port = 22121};
  const Address path{.kind = Address::Kind::unix_path, .path = "/run/mc.sock"};
  const Address abstract{.kind = Address::Kind::unix_abstract, .path = "mc"};
  CHECK(placement_name(tcp, "") == "10.0.0.1:22121");
  CHECK(placement_name(tcp, "alpha") == "alpha");
  CHECK(placement_name(classic, "") == "cache-1");
  CHECK(placement_name(classic, "alpha") == "alpha");
  CHECK(placement_name(v6, "") == "::1:22121");
  CHECK(placement_name(path, "") == "/run/mc.sock:");
  CHECK(placement_name(path, "alpha") == "alpha");
  CHECK(placement_name(abstract, "") == "@mc:");
}

TEST_CASE("the hash tag is what stands between the first opening and the next closing") {
  Placement placement = make(Distribution::ketama, servers_of({1, 1}), "{}");
  CHECK(placement.hashed_part("{user}:1") == "user");
  CHECK(placement.hashed_part("a{b}c{d}") == "b");
  CHECK(placement.hashed_part("a{{b}}") == "{b");
  CHECK(placement.hashed_part("}a{b}") == "b");
  CHECK(placement.hashed_part("a{b}") == "b");
}

TEST_CASE("a key with an empty or unbalanced tag is hashed whole") {
  Placement placement = make(Distribution::ketama, servers_of({1, 1}), "{}");
  for (std::string_view key : {"", "plain", "{", "}", "{}", "a{}b{c}", "a{b", "a}b", "}b{", "}{"}) {
    CAPTURE(key);
    CHECK(placement.hashed_part(key) == key);
  }
}

TEST_CASE("both characters of a hash tag may be the same") {
  Placement placement = make(Distribution::ketama, servers_of({1, 1}), "$$");
  CHECK(placement.hashed_part("a$b$c") == "b");
  CHECK(placement.hashed_part("a$$b$c") == "a$$b$c");
  CHECK(placement.hashed_part("a$b") == "a$b");
}

TEST_CASE("keys with one hash tag share a server; without the option braces mean nothing") {
  for (Distribution d :
       {Distribution::ketama, Distribution::modula, Distribution::jump, Distribution::rendezvous}) {
    Placement placement = make(d, servers_of(Counts(8, 1)), "{}");
    Placement plain = make(d, servers_of(Counts(8, 1)));
    bool spread = false;
    for (int i = 0; i < 50; ++i) {
      std::string key = key_at(i) + "{cart}";
      CHECK(owner(placement, key) == owner(placement, "cart"));
      spread = spread || owner(plain, key) != owner(plain, "cart");
      CHECK(plain.hashed_part(key) == key);
    }
    CHECK(spread);
  }
}

TEST_CASE("an explanation says what server_of does") {
  for (Distribution d :
       {Distribution::ketama, Distribution::modula, Distribution::jump, Distribution::rendezvous}) {
    Placement placement = make(d, servers_of({1, 2, 3}), "{}");
    for (int i = 0; i < 200; ++i) {
      std::string key = "{" + key_at(i) + "}:cart";
      auto why = placement.explain(key);
      CHECK(why.hashed == key_at(i));
      CHECK(why.hash == hash_key(KeyHash::murmur, key_at(i)));
      CHECK(why.server == owner(placement, key));
      CHECK_FALSE(why.single);
    }
  }
}

TEST_CASE("crc32 with ketama puts every key on one server, and is warned of") {
  Placement placement(Distribution::ketama, KeyHash::crc32, "", servers_of({1, 1, 1, 1}));
  auto counts = loads(placement, 4);
  CHECK(*std::max_element(counts.begin(), counts.end()) == kKeys);
  CHECK_FALSE(placement_trap(Distribution::ketama, KeyHash::crc32).empty());
  CHECK_FALSE(placement_trap(Distribution::ketama, KeyHash::fnv1a_64).empty());
  CHECK(placement_trap(Distribution::jump, KeyHash::crc32).empty());
  CHECK(placement_trap(Distribution::ketama, KeyHash::murmur).empty());
}
