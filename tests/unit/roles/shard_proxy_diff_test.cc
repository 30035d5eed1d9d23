// How many keys a change of the configuration moves: the numbers, and what is said about them.
#include <doctest/doctest.h>

#include <cmath>

#include "roles/shard_proxy/placement_diff.hpp"

using namespace consort;
using namespace consort::shard_proxy;

namespace {

PoolConfig pool_of(const std::vector<std::string>& servers,
                   Distribution distribution = Distribution::jump) {
  PoolConfig pool;
  pool.name = "p";
  pool.hash = KeyHash::murmur;
  pool.distribution = distribution;
  for (const std::string& text : servers) pool.servers.push_back(*ServerSpec::parse(text));
  return pool;
}

PlacementDiff diff(const PoolConfig& before, const PoolConfig& after) {
  return diff_placement({before, before.servers}, {after, after.servers}, kReportKeys);
}

bool is_about(double value, double expected) {
  return std::abs(value - expected) < 0.01;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a fourth server takes its quarter of the keys and no more") {
  const PoolConfig three = pool_of({"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"});
  const PoolConfig four = pool_of({"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"});
  PlacementDiff there = diff(three, four);
  CHECK(is_about(there.moved, 0.25));
  CHECK(is_about(there.least, there.moved));
  REQUIRE(there.servers.size() == 4);
  CHECK(is_about(there.servers[0].before, 0.333));
  CHECK(is_about(there.servers[0].after, 0.25));
  CHECK(there.servers[3].address == "10.0.0.4:1");
  CHECK(there.servers[3].before == 0);
  CHECK_FALSE(there.servers[3].is_before);
  CHECK(there.servers[3].is_after);
  // The same keys go back the way they came.
  CHECK(diff(four, three).moved == there.moved);
  CHECK(diff(three, three).moved == 0);
}

TEST_CASE("a server under another name has the same data, one at another address has not") {
  const PoolConfig before = pool_of({"10.0.0.1:1:1 a", "10.0.0.2:1:1 b"});
  CHECK(diff(before, pool_of({"10.0.0.1:1:1 x", "10.0.0.2:1:1 y"})).moved == 0);
  PlacementDiff replaced = diff(before, pool_of({"10.0.0.1:1:1 a", "10.0.0.9:1:1 b"}));
  CHECK(is_about(replaced.moved, 0.5));
  CHECK(replaced.servers.size() == 3);
}

TEST_CASE("weights change shares") {
  PlacementDiff change = diff(pool_of({"10.0.0.1:1:1", "10.0.0.2:1:1"}, Distribution::rendezvous),
                              pool_of({"10.0.0.1:1:3", "10.0.0.2:1:1"}, Distribution::rendezvous));
  CHECK(is_about(change.servers[0].after, 0.75));
  CHECK(is_about(change.moved, 0.25));
}

TEST_CASE("the share that moves at a reload is counted only where keys have places") {
  const PoolConfig one = pool_of({"10.0.0.1:1"});
  const PoolConfig two = pool_of({"10.0.0.1:1", "10.0.0.2:1"});
  const PoolConfig any = pool_of({"10.0.0.1:1", "10.0.0.2:1"}, Distribution::random);
  const PoolConfig none = pool_of({});
  CHECK(std::abs(moved_share({one, one.servers}, {two, two.servers}) - 0.5) < 0.03);
  CHECK(moved_share({two, two.servers}, {two, two.servers}) == 0);
  CHECK(moved_share({any, any.servers}, {two, two.servers}) == 0);
  CHECK(moved_share({none, none.servers}, {two, two.servers}) == 0);
  CHECK(percent(0.25349) == 25.3);
}

TEST_CASE("the report goes through all pools, server by server") {
  PoolConfig stays = pool_of({"10.0.0.1:1:1 a", "10.0.0.2:1"});
  PoolConfig grown = pool_of({"10.0.0.1:1:1 a", "10.0.0.2:1", "10.0.0.3:1"});
  PoolConfig goes = pool_of({"10.0.0.1:1"});
  goes.name = "old";
  PoolConfig comes = pool_of({});
  comes.name = "new";
  comes.servers_from = *ServerSource::parse("dns://c:1");
  const std::string report =
      diff_report(std::vector<PoolConfig>{stays, goes}, std::vector<PoolConfig>{grown, comes});
  CHECK(report.find("pool p: about 33.") == 0);
  CHECK(has(report, " % of the keys move to another server\n  a at 10.0.0.1:1: "));
  CHECK(has(report, " % -> 33."));
  CHECK(has(report, "\n  10.0.0.3:1: comes, 33."));
  CHECK(has(report, "pool old: goes, with 1 server\n"));
  CHECK(has(report, "pool new: comes, with servers from dns://c:1\n"));
  CHECK_FALSE(has(report, "warning"));
}

TEST_CASE("the report says when more keys move than would have to, and why") {
  const std::vector<std::string> two = {"10.0.0.1:1", "10.0.0.2:1"};
  const std::vector<std::string> three = {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"};
  struct Case {
    PoolConfig before;
    PoolConfig after;
    std::string why;
  };
  PoolConfig other_hash = pool_of(two);
  other_hash.hash = KeyHash::md5;
  const Case cases[] = {
      {pool_of(two, Distribution::modula), pool_of(three, Distribution::modula), "modula counts"},
      {pool_of(three), pool_of({"10.0.0.3:1", "10.0.0.1:1", "10.0.0.2:1"}), "jump goes by the"},
      {pool_of(two), pool_of(two, Distribution::rendezvous), "the distribution changes"},
      {pool_of(two), other_hash, "the hash changes"},
      {pool_of({"10.0.0.1:1:1 a", "10.0.0.2:1:1 b"}, Distribution::rendezvous),
       pool_of({"10.0.0.1:1:1 b", "10.0.0.2:1:1 a"}, Distribution::rendezvous), "names and"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.why);
    const std::string report = diff_report(std::span(&each.before, 1), std::span(&each.after, 1));
    CAPTURE(report);
    CHECK(has(report, "  warning: "));
    CHECK(has(report, each.why));
  }
  PoolConfig tagged = pool_of(two);
  tagged.hash_tag = "{}";
  const PoolConfig plain = pool_of(two);
  const std::string tags = diff_report(std::span(&plain, 1), std::span(&tagged, 1));
  CHECK(has(tags, "pool p: no key moves\n"));
  CHECK(has(tags, "warning: hash_tag changes"));
}

TEST_CASE("where keys have no place the report says why instead of a number") {
  PoolConfig any = pool_of({"10.0.0.1:1", "10.0.0.2:1"}, Distribution::random);
  PoolConfig found = pool_of({});
  found.servers_from = *ServerSource::parse("file:/s.txt");
  const PoolConfig two = pool_of({"10.0.0.1:1", "10.0.0.2:1"});
  CHECK(diff_report(std::span(&two, 1), std::span(&any, 1)) ==
        "pool p: distribution random: keys have no place\n");
  CHECK(has(diff_report(std::span(&found, 1), std::span(&two, 1)),
            "pool p: only a running proxy knows the servers from file:/s.txt"));
}
