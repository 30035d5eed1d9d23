// Which shards a request goes to.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "roles/gather/shard_select.hpp"
#include "roles/gather/topology_file.hpp"
#include "wire/http1.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

constexpr std::string_view kFile =
    "shards:\n"
    "- {id: s0, range: {ts: [null, 99], name: [a, m]}, tags: {zone: a, tier: hot}, "
    "replicas: [http://a]}\n"
    "- {id: s1, range: {ts: [100, 199], name: [n, z]}, tags: {zone: b}, replicas: [http://b]}\n"
    "- {id: s2, range: {ts: [150, null]}, tags: {zone: a}, replicas: [http://c]}\n";

std::shared_ptr<const Topology> topology_from(std::string_view text) {
  return std::make_shared<const Topology>(*read_topology_file(text, "t"));
}

std::shared_ptr<const Topology> wide(std::size_t shards) {
  Topology topology;
  for (std::size_t i = 0; i < shards; ++i) {
    topology.shards.emplace_back().id = default_shard_id(i);
  }
  return std::make_shared<const Topology>(std::move(topology));
}

struct Asked {
  std::string path = "/";
  std::string query;
  http1::Headers headers;
  std::string body;
};

/// "s0 s2 ", or the error.
std::string chosen(const ShardSelector& selector, const Asked& asked) {
  SelectInput input;
  input.path = asked.path;
  input.query = asked.query;
  input.headers = &asked.headers;
  input.body = asked.body;
  auto indexes = selector.select(input);
  if (!indexes) {
    CHECK(indexes.error().code() == Errc::invalid);
    return indexes.error().message();
  }
  std::string text;
  for (const std::uint32_t index : *indexes) text += selector.topology().shards[index].id + " ";
  return text;
}

std::string chosen(std::string_view spec, const Asked& asked) {
  return chosen(ShardSelector(topology_from(kFile), *SelectSpec::parse(spec)), asked);
}

std::string refusal(std::string_view text) {
  auto spec = SelectSpec::parse(text);
  return spec ? "accepted as " + spec->to_string() : spec.error().message();
}

}  // namespace

TEST_CASE("a selection is printed as it was read") {
  for (const char* text :
       {"all", "key:header:x-user", "key:query:user id", "key:path:2", "key:body:/a/b",
        "range:ts:query:ts", "range:ts:header:x-time", "tags:zone=a,tier=hot",
        "tags:zone=", "tags:header:x-tags", "range:ts:path:1"}) {
    CAPTURE(text);
    auto spec = SelectSpec::parse(text);
    REQUIRE(spec);
    CHECK(spec->to_string() == text);
    CHECK(SelectSpec::parse(spec->to_string())->to_string() == text);
    CHECK(spec->check());
  }
  CHECK(SelectSpec::parse("range:ts")->to_string() == "range:ts:query:ts");
  CHECK(SelectSpec::parse("key:header:X-User")->from->name == "x-user");
  CHECK(SelectSpec::parse("key:body:user")->to_string() == "key:body:/user");
}

TEST_CASE("what is no selection is refused in one sentence") {
  const std::string forms =
      " (write all, key:SOURCE, range:FIELD[:SOURCE], tags:NAME=VALUE or tags:SOURCE, where SOURCE "
      "is header:NAME, query:NAME, path:N or body:POINTER)";
  auto why = [&](const std::string& text, const std::string& reason) {
    CHECK(refusal(text) == "\"" + text + "\" is not a selection of shards: " + reason + forms);
  };
  why("", "it begins with none of all, key, range and tags");
  why("rnage:ts", "did you mean \"range\"?");
  why("all:x", "nothing follows all");
  why("key:", "\"\" is not header:NAME, query:NAME, path:N or body:POINTER");
  why("key:header:", "\"header:\" is not header:NAME, query:NAME, path:N or body:POINTER");
  why("key:header:a b", "\"a b\" is no name of a header");
  why("key:path:0", "\"0\" is no segment of a path: they count from 1");
  why("key:path:x", "\"x\" is no segment of a path: they count from 1");
  why("key:path:1001", "\"1001\" is no segment of a path: they count from 1");
  why("key:cookie:x", "\"cookie\" is not header, query, path or body");
  why("range:", "the field is missing");
  why("tags:", "no tags: write NAME=VALUE");
  why("tags:zone", "\"zone\" is not NAME=VALUE");
  why("tags:=a", "\"=a\" is not NAME=VALUE");
}

TEST_CASE("what the options beside a selection get wrong is found before it is used") {
  SelectSpec spec = *SelectSpec::parse("key:query:user");
  CHECK(spec.check());
  spec.hash_tag = "{";
  CHECK(spec.check().error().message() == "hash_tag: \"{\" must be two characters, as {}");
  spec.hash_tag = "{}";
  spec.distribution = Distribution::random;
  CHECK(spec.check().error().message() ==
        "distribution: a key has one place, random has none (take jump)");
  spec.distribution = Distribution::ketama;
  spec.named_header = "a b";
  CHECK(spec.check().error().message() == "\"a b\" is no name of a header");
}

TEST_CASE("all is every shard") {
  CHECK(chosen("all", {}) == "s0 s1 s2 ");
  CHECK(ShardSelector(wide(4096), SelectSpec()).select({})->size() == 4096);
}

TEST_CASE("a key has one shard, the same from wherever it comes") {
  auto spec = [](std::string_view text) {
    return ShardSelector(wide(50), *SelectSpec::parse(text));
  };
  std::map<std::string, int> shards;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "user " + std::to_string(i);
    const std::string encoded = "user%20" + std::to_string(i);
    const std::string home = chosen(spec("key:header:X-User"), {.headers = {{"x-user", key}}});
    CHECK(std::count(home.begin(), home.end(), ' ') == 1);
    CHECK(chosen(spec("key:query:user"), {.query = "a=b&user=" + encoded}) == home);
    CHECK(chosen(spec("key:query:user"), {.query = "user=user+" + std::to_string(i) + "&user=x"}) ==
          home);
    CHECK(chosen(spec("key:path:2"), {.path = "/u/" + encoded + "/x"}) == home);
    CHECK(chosen(spec("key:body:/u/0/id"), {.body = R"({"u":[{"id":")" + key + "\"}]}"}) == home);
    ++shards[home];
  }
  CHECK(shards.size() == 50);
}

TEST_CASE("a key lies where shard-proxy's placement puts it, whatever the shards weigh") {
  std::vector<PlacementServer> servers;
  Topology topology;
  for (std::size_t i = 0; i < 20; ++i) {
    ShardSpec& shard = topology.shards.emplace_back();
    shard.id = default_shard_id(i);
    shard.weight = 1 + i * 1000;
    servers.push_back({.name = shard.id});
  }
  const auto shared = std::make_shared<const Topology>(std::move(topology));
  Random random(1);
  for (const Distribution distribution :
       {Distribution::ketama, Distribution::modula, Distribution::jump, Distribution::rendezvous}) {
    SelectSpec spec = *SelectSpec::parse("key:query:k");
    spec.distribution = distribution;
    spec.hash = KeyHash::fnv1a_64;
    spec.hash_tag = "{}";
    const ShardSelector selector(shared, spec);
    const Placement placement(distribution, spec.hash, "{}", servers);
    for (int i = 0; i < 200; ++i) {
      const std::string key = "{k" + std::to_string(i) + "}x";
      const auto expected = placement.server_of(key, random);
      CHECK(chosen(selector, {.query = "k=" + key}) == default_shard_id(expected) + " ");
    }
  }
}

TEST_CASE("strings, numbers and booleans of a body are keys, nothing else is") {
  auto home = [](const std::string& body) {
    return chosen(ShardSelector(wide(1000), *SelectSpec::parse("key:body:/id")), {.body = body});
  };
  const std::string seven = home(R"({"id":7})");
  CHECK(seven == home(" {\"x\":1, \"id\" : \"7\"} "));
  CHECK(seven == home(R"({"id":"\u0037"})"));
  CHECK(seven != home(R"({"id":true})"));
  const std::string missing =
      "a string, number, true or false at \"/id\" of a JSON body is missing or empty: it says "
      "which "
      "shards are asked";
  for (const char* body : {"", "{}", R"({"id":null})", R"({"id":""})", R"({"id":[1]})",
                           R"({"id":{}})", R"({"id":7} x)", "[7]", R"({"id":7)", "\xff"}) {
    CAPTURE(body);
    CHECK(home(body) == missing);
  }
}

TEST_CASE("a request without its key is refused, or goes to every shard") {
  const std::string tail = " is missing or empty: it says which shards are asked";
  CHECK(chosen("key:header:X-User", {}) == "the header \"x-user\"" + tail);
  CHECK(chosen("key:query:user", {.query = "user=&users=a"}) ==
        "the query parameter \"user\"" + tail);
  CHECK(chosen("key:path:2", {.path = "/a"}) == "segment 2 of the path" + tail);
  CHECK(chosen("key:path:2", {.path = "/a//b"}) == "segment 2 of the path" + tail);
  CHECK(chosen("key:path:1", {.path = ""}) == "segment 1 of the path" + tail);
  CHECK(chosen("range:ts", {}) == "the query parameter \"ts\"" + tail);
  SelectSpec spec = *SelectSpec::parse("key:header:X-User");
  spec.on_missing = OnMissing::all;
  const ShardSelector lenient(topology_from(kFile), spec);
  CHECK(chosen(lenient, {}) == "s0 s1 s2 ");
  CHECK(chosen(lenient, {.headers = {{"x-user", "a"}}}).size() == 3);
  CHECK(ShardSelector(topology_from(kFile), spec).select({})->size() == 3);  // no headers at all
}

TEST_CASE("a segment is split before it is decoded") {
  auto home = [](const std::string& path) {
    return chosen(ShardSelector(wide(1000), *SelectSpec::parse("key:path:2")), {.path = path});
  };
  CHECK(home("/u/a%2Fb/c") ==
        chosen(ShardSelector(wide(1000), *SelectSpec::parse("key:query:k")), {.query = "k=a/b"}));
  CHECK(home("/u/a+b") != home("/u/a%20b"));
  CHECK(home("/u/a%zz") == home("/x/a%zz/"));  // malformed: taken as it is
}

TEST_CASE("a range meets the shards that hold a value of it") {
  auto of = [](const std::string& value) { return chosen("range:ts", {.query = "ts=" + value}); };
  CHECK(of("5") == "s0 ");
  CHECK(of("99") == "s0 ");
  CHECK(of("99.5").empty());
  CHECK(of("100") == "s1 ");
  CHECK(of("150") == "s1 s2 ");
  CHECK(of("1e9") == "s2 ");
  CHECK(of("-7") == "s0 ");
  CHECK(of("0-99") == "s0 ");
  CHECK(of("0-100") == "s0 s1 ");
  CHECK(of("-20--10") == "s0 ");
  CHECK(of("1e2-1.2e2") == "s1 ");
  CHECK(of("1e-3-2") == "s0 ");
  CHECK(of("120..130") == "s1 ");
  CHECK(of("199..") == "s1 s2 ");
  CHECK(of("..99") == "s0 ");
  CHECK(of("..") == "s0 s1 s2 ");
  // Text lies in no range of numbers, and that is an answer, not an error.
  CHECK(of("tuesday").empty());
  CHECK(of("5x").empty());
  CHECK(of("a..b").empty());
  CHECK(of("9-0") == "ts: \"9-0\" runs backwards");
  CHECK(of("b..a") == "ts: \"b..a\" runs backwards");
  CHECK(chosen("range:ts:header:X-Time", {.headers = {{"x-time", "5"}}}) == "s0 ");
}

TEST_CASE("ranges of text compare by bytes, and a shard without the field is asked too") {
  auto of = [](const std::string& value) {
    return chosen("range:name", {.query = "name=" + value});
  };
  CHECK(of("bob") == "s0 s2 ");
  CHECK(of("zed") == "s2 ");
  CHECK(of("n") == "s1 s2 ");
  CHECK(of("l..o") == "s0 s1 s2 ");
  CHECK(of("5") == "s2 ");
  CHECK(chosen("range:other", {.query = "other=1"}) == "s0 s1 s2 ");
}

TEST_CASE("tags must all fit, and none fitting is an empty list") {
  CHECK(chosen("tags:zone=a", {}) == "s0 s2 ");
  CHECK(chosen("tags:zone=a,tier=hot", {}) == "s0 ");
  CHECK(chosen("tags:zone=b,tier=hot", {}).empty());
  CHECK(chosen("tags:zone=", {}).empty());
  CHECK(chosen("tags:header:X-Tags", {.headers = {{"x-tags", "zone=a, tier=hot"}}}) == "s0 ");
  CHECK(chosen("tags:query:t", {.query = "t=zone%3Db"}) == "s1 ");
  CHECK(chosen("tags:query:t", {.query = "t=zone"}) == "query:t: \"zone\" is not NAME=VALUE");
  CHECK(chosen("tags:query:t", {}).starts_with("the query parameter \"t\" is missing"));
}

TEST_CASE("a request that names its shards gets those, whatever the rule") {
  for (const char* spec : {"all", "key:query:user", "range:ts", "tags:zone=a"}) {
    CAPTURE(spec);
    CHECK(chosen(spec, {.query = "shards=s2,s0,s2"}) == "s0 s2 ");
    CHECK(chosen(spec, {.query = "x=1&shards=s1%2C%20s2,"}) == "s1 s2 ");
    CHECK(chosen(spec, {.headers = {{"consort-shards-wanted", "s1"}}}) == "s1 ");
    CHECK(chosen(spec, {.query = "shards=s0", .headers = {{"consort-shards-wanted", "s1"}}}) ==
          "s1 ");
    CHECK(chosen(spec, {.query = "shards=s0,s9"}) == "there is no shard \"s9\"");
    CHECK(chosen(spec, {.query = "shards=S0"}) == "there is no shard \"S0\"");
  }
  CHECK(chosen("all", {.query = "shards="}) == "s0 s1 s2 ");
  CHECK(chosen("all", {.query = "shards=,"}).empty());
  SelectSpec spec;
  spec.named_query = "";
  spec.named_header = "";
  CHECK(chosen(ShardSelector(topology_from(kFile), spec),
               {.query = "shards=s0", .headers = {{"consort-shards-wanted", "s1"}}}) ==
        "s0 s1 s2 ");
}

TEST_CASE("a selector keeps its topology, whoever drops it") {
  auto topology = wide(3);
  const ShardSelector selector(topology, SelectSpec());
  topology.reset();
  CHECK(selector.select({})->size() == 3);
}
