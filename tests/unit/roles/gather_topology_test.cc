// The topology as values and as a file.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "roles/gather/topology.hpp"
#include "roles/gather/topology_file.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

Topology good(std::string_view text) {
  auto topology = read_topology_file(text, "t.yaml");
  INFO((topology ? std::string() : topology.error().message()));
  REQUIRE(topology);
  return std::move(*topology);
}

std::vector<std::string> problems_of(std::string_view text) {
  Problems problems("t");
  (void)read_topology(text, problems);
  return problems.errors();
}

std::string lines(const std::vector<std::string>& errors) {
  std::string text;
  for (const std::string& error : errors) text += error + "\n";
  return text;
}

/// Of a file with one problem.
std::string problem_of(std::string_view text) {
  const auto errors = problems_of(text);
  REQUIRE(errors.size() == 1);
  return errors.front();
}

int compare(std::string_view a, std::string_view b) {
  const int there = compare_values(RangeValue::parse(a), RangeValue::parse(b));
  CHECK(there == -compare_values(RangeValue::parse(b), RangeValue::parse(a)));
  return there;
}

std::string urls(const ShardSpec& shard) {
  std::string text;
  for (const ReplicaSpec& replica : shard.replicas) text += replica.url.to_string() + " ";
  return text;
}

}  // namespace

TEST_CASE("a topology file says all that a root needs, in JSON and in YAML") {
  const Topology json = good(
      R"({"epoch":7,"shards":[{"id":"s0","weight":1000,"range":{"ts":[0,999]},"tags":{"zone":"a"},)"
      R"("replicas":["http://10.0.0.1:80",{"url":"unix:/run/leaf.sock","weight":2,"zone":"a"}]}]})");
  const Topology yaml = good(
      "epoch: 7\n"
      "shards:\n"
      "- id: s0\n"
      "  weight: 1000\n"
      "  range: {ts: [0, 999]}\n"
      "  tags: {zone: a}\n"
      "  replicas:\n"
      "  - http://10.0.0.1:80\n"
      "  - url: unix:/run/leaf.sock\n"
      "    weight: 2\n"
      "    zone: a\n");
  CHECK(json == yaml);
  CHECK(json.epoch == 7);
  REQUIRE(json.shards.size() == 1);
  const ShardSpec& shard = json.shards[0];
  CHECK(shard.id == "s0");
  CHECK(shard.weight == 1000);
  REQUIRE(shard.range("ts") != nullptr);
  CHECK(shard.range("ts")->lo->integer == 0);
  CHECK(shard.range("ts")->hi->integer == 999);
  CHECK(shard.range("id") == nullptr);
  CHECK(shard.has_tag("zone", "a"));
  CHECK_FALSE(shard.has_tag("zone", "b"));
  CHECK(urls(shard) == "http://10.0.0.1 unix:/run/leaf.sock ");
  CHECK(shard.replicas[0].weight == 1);
  CHECK(shard.replicas[1].weight == 2);
  CHECK(shard.replicas[1].zone == "a");
}

TEST_CASE("what a file leaves out has a default") {
  const Topology topology = good("shards: [{replicas: [http://a]}, {replicas: [http://b]}]");
  CHECK(topology.epoch == 0);
  CHECK(topology.shards[1].id == "s1");
  CHECK(topology.shards[1].weight == 1);
  CHECK(topology.shards[1].ranges.empty());
  CHECK(topology.shards[1].replicas[0].priority == 0);
}

TEST_CASE("replicas stand in the order of their priority") {
  const Topology topology = good(
      "shards: [{replicas: [{url: http://c, priority: 2}, http://a, {url: http://d, priority: 2}, "
      "{url: http://b, priority: 1}]}]");
  CHECK(urls(topology.shards[0]) == "http://a http://b http://c http://d ");
}

TEST_CASE("ends of ranges are numbers, quoted or other text, or open") {
  const Topology topology = good(
      "shards: [{replicas: [http://a], range: {n: [-5, 1.5e3], t: [\"0\", \"9\"], o: [null, 3], "
      "d: [2024-01-01, 2024-12-31], all: [null, null]}}]");
  const ShardSpec& shard = topology.shards[0];
  CHECK(shard.range("n")->is_numeric());
  CHECK(shard.range("n")->hi->real == 1500);
  CHECK_FALSE(shard.range("t")->is_numeric());
  CHECK(shard.range("o")->is_numeric());
  CHECK_FALSE(shard.range("o")->lo);
  CHECK_FALSE(shard.range("d")->is_numeric());
  CHECK_FALSE(shard.range("all")->is_numeric());
}

TEST_CASE("partitions are built from tags N/M, in any order") {
  const Topology topology = good(
      "replicas:\n"
      "- {url: http://b1, tag: 1/2}\n"
      "- {url: http://a1, tag: 0/2, weight: 3}\n"
      "- {url: http://b2, tag: \"1/2\", zone: z}\n");
  REQUIRE(topology.shards.size() == 2);
  CHECK(topology.shards[0].id == "s0");
  CHECK(urls(topology.shards[0]) == "http://a1 ");
  CHECK(topology.shards[0].replicas[0].weight == 3);
  CHECK(urls(topology.shards[1]) == "http://b1 http://b2 ");
}

TEST_CASE("every problem of a file is told at once, with its place") {
  CHECK(lines(problems_of("epoc: 7\n"
                          "shards:\n"
                          "- id: a/b\n"
                          "  wieght: 3\n"
                          "  weight: 0\n"
                          "  replicas: [ftp:/x, {weight: 99999}]\n"
                          "- id: x\n"
                          "- id: x\n"
                          "  replicas: [http://a, http://a:80]\n"
                          "- 7\n")) ==
        "t:1:1: unknown key \"epoc\" (did you mean \"epoch\"?)\n"
        "t:4:3: unknown key \"wieght\" (did you mean \"weight\"?)\n"
        "t:3:7: id: \"a/b\" is not 1 to 64 letters, digits, _ - .\n"
        "t:5:11: weight: \"0\" is not a number from 1 to 1000000000000000\n"
        "t:6:14: " +
            http::Url::parse("ftp:/x").error().message() +
            "\n"
            "t:6:31: weight: \"99999\" is not a number from 1 to 10000\n"
            "t:6:22: replica: url is missing\n"
            "t:7:3: shard \"x\" has no replicas\n"
            "t:9:24: shard \"x\": \"http://a\" is there twice\n"
            "t:10:3: shard: expected a map with `replicas`, found a single value\n"
            "t:8:3: the shard in line 7 is called \"x\" already\n");
}

TEST_CASE("what is no topology is refused with a reason") {
  CHECK(problem_of("") == "t:1:1: there are no shards: write `shards: [{replicas: [URL]}]`");
  CHECK(problem_of("[]") == "t:1:1: topology: expected `shards: [...]`, found a list");
  CHECK(problem_of("shards: []") == "t:1:9: shards: the list is empty");
  CHECK(problem_of("shards: 7") == "t:1:9: shards: expected a list, found a single value");
  CHECK(problem_of("shards: [{replicas: []}]") == "t:1:21: shard \"s0\" has no replicas");
  CHECK(problem_of("shards: [{replicas: [[]]}]") ==
        "t:1:22: replica: expected a URL or a map with `url`, found a list");
  CHECK(problem_of("epoch: -1\nshards: [{replicas: [http://a]}]") ==
        "t:1:8: epoch: \"-1\" is not a number from 0 to 1000000000000000000");
  CHECK(problem_of("shards: [{id: s1, replicas: [http://a]}, {replicas: [http://a]}]") ==
        "t:1:42: the shard in line 1 is called \"s1\" already");
  CHECK(problem_of("shards: [{replicas: [http://a]}]\nreplicas: []") ==
        "t:2:11: replicas: either these or shards, not both");
  CHECK(problem_of("shards: [{replicas: [http://a], tags: {a: []}}]") ==
        "t:1:43: tags.a: expected a text of up to 256 bytes");
  CHECK(problem_of("shards: [{replicas: [{url: http://a, tag: 0/1}]}]") ==
        "t:1:38: unknown key \"tag\"");
  CHECK(problem_of("shards: [").starts_with("t:"));
}

TEST_CASE("a bad range is refused with a reason") {
  auto why = [](const std::string& range) {
    const std::string error =
        problem_of("shards: [{replicas: [http://a], range: {ts: " + range + "}}]");
    CHECK(error.starts_with("t:1:"));
    return error.substr(error.find(": ") + 2);
  };
  CHECK(why("5") == "range.ts: expected [LOWEST, HIGHEST]");
  CHECK(why("[1]") == "range.ts: expected [LOWEST, HIGHEST]");
  CHECK(why("[1, 2, 3]") == "range.ts: expected [LOWEST, HIGHEST]");
  CHECK(why("[9, 1]") == "range.ts: \"9\" is above \"1\"");
  CHECK(why("[10, 9]") == "range.ts: \"10\" is above \"9\"");
  CHECK(why("[b, a]") == "range.ts: \"b\" is above \"a\"");
  CHECK(why("[1, x]") == "range.ts: one end is a number and the other is text");
  CHECK(why("[[], 1]") == "range: an end is a number, a text of up to 256 bytes, or null");
}

TEST_CASE("bad partitions are refused with a reason") {
  CHECK(problem_of("replicas: []") == "t:1:11: replicas: the list is empty");
  CHECK(problem_of("replicas: [{url: http://a}]") ==
        "t:1:12: replica: a tag as 0/3 is missing, which says the partition it holds");
  CHECK(problem_of("replicas: [http://a]") ==
        "t:1:12: replica: a tag as 0/3 is missing, which says the partition it holds");
  CHECK(problems_of("replicas: [{url: http://a, tag: 1/3}]") ==
        std::vector<std::string>{"t:1:11: replicas: none has the tag 0/3",
                                 "t:1:11: replicas: none has the tag 2/3"});
  CHECK(problem_of("replicas:\n- {url: http://a, tag: 0/2}\n- {url: http://b, tag: 1/3}") ==
        "t:3:3: tag: of 3 partitions, but in line 2 of 2");
  for (const std::string tag : {"2/2", "0/0", "x", "/", "1/", "-1/2", "0/4097", "0/2/3", "0x/2"}) {
    CHECK(problem_of("replicas: [{url: http://a, tag: " + tag + "}]") ==
          "t:1:33: tag: \"" + tag + "\" is not N/M with N from 0 to M-1 and M up to 4096");
  }
}

TEST_CASE("lists that are too long are refused") {
  std::string shards = "shards:\n";
  for (int i = 0; i < 4097; ++i) shards += "- {replicas: [http://a]}\n";
  CHECK(problem_of(shards) == "t:4098:3: shards: more than 4096");
  std::string replicas = "shards: [{replicas: [";
  for (int i = 0; i < 70; ++i) replicas += "http://a" + std::to_string(i) + ", ";
  CHECK(problem_of(replicas + "]}]").ends_with("a shard has at most 64 replicas"));
}

TEST_CASE("as one error a file shows its first problems and how many more there are") {
  std::string text = "shards: [{replicas: [http://a]}]\n";
  for (const char* key : {"a", "b", "c", "d", "e"}) text += key + std::string(": 1\n");
  auto five = read_topology_file(text, "/etc/t");
  REQUIRE_FALSE(five);
  CHECK(five.error().message() ==
        "/etc/t:2:1: unknown key \"a\"; /etc/t:3:1: unknown key \"b\"; /etc/t:4:1: unknown key "
        "\"c\"; /etc/t:5:1: unknown key \"d\"; /etc/t:6:1: unknown key \"e\"");
  auto seven = read_topology_file(text + "f: 1\ng: 1\n", "/etc/t");
  REQUIRE_FALSE(seven);
  CHECK(seven.error().message() == five.error().message() + "; and 2 more");
}

TEST_CASE("values compare as numbers when both are, exactly, and else as text") {
  CHECK(compare("5", "10") < 0);
  CHECK(compare("+05", "5") == 0);
  CHECK(compare("-1", "1") < 0);
  CHECK(compare("9007199254740993", "9007199254740992") > 0);
  CHECK(compare("9007199254740993", "9007199254740992.0") > 0);
  CHECK(compare("1e3", "1000") == 0);
  CHECK(compare("1.5", "1") > 0);
  CHECK(compare("-1.5", "-1") < 0);
  CHECK(compare("9223372036854775807", "9223372036854775808") < 0);
  CHECK(compare("-9223372036854775808", "-9223372036854775809") >= 0);  // the nearest double
  CHECK(compare("1e300", "1e301") < 0);
  CHECK(compare("b", "a") > 0);
  CHECK(compare("5x", "10x") > 0);
  CHECK(compare("2024-01-02", "2024-01-10") < 0);
}

TEST_CASE("what looks like a number but is none is text") {
  for (const char* text : {"", "-", "+", "+-1", "--1", "inf", "nan", "0x10", "1e", "1.", ".5",
                           "1e999", " 1", "1 ", "1_000", "١"}) {
    CAPTURE(text);
    CHECK_FALSE(RangeValue::parse(text).is_number());
  }
}

TEST_CASE("ids are words that fit a header and a path") {
  for (const char* id : {"s0", "a", "shard-1.eu_west", "...", "0"}) CHECK(is_shard_id(id));
  for (const char* id : {"", ".", "..", "a/b", "a b", "a,b", "ä", "a\n"})
    CHECK_FALSE(is_shard_id(id));
  CHECK(is_shard_id(std::string(64, 'a')));
  CHECK_FALSE(is_shard_id(std::string(65, 'a')));
}
