// --leaf: what braces, bars and ids make of one text.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "roles/gather/leaf_spec.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

std::string text_of(const std::vector<ShardSpec>& shards) {
  std::string text;
  for (const ShardSpec& shard : shards) {
    text += shard.id + "[";
    for (const ReplicaSpec& replica : shard.replicas) {
      text += (&replica == &shard.replicas.front() ? "" : " ") + replica.url.to_string();
    }
    text += "]";
  }
  return text;
}

std::string parsed(std::string_view text) {
  auto leaf = LeafSpec::parse(text);
  return leaf ? text_of(leaf->shards) : leaf.error().message();
}

std::string topology(const std::vector<std::string>& texts) {
  std::vector<LeafSpec> leaves;
  for (const std::string& text : texts) leaves.push_back(*LeafSpec::parse(text));
  auto made = topology_of(leaves);
  return made ? text_of(made->shards) : made.error().message();
}

}  // namespace

TEST_CASE("a bar separates replicas of one shard") {
  CHECK(parsed("http://a") == "[http://a]");
  CHECK(parsed("http://a:80|http://b:81/x") == "[http://a http://b:81/x]");
  CHECK(parsed(" http://a | unix:/run/b.sock ") == "[http://a unix:/run/b.sock]");
  CHECK(parsed("unix:@leaf|https://[::1]:8443") == "[unix:@leaf https://[::1]:8443]");
}

TEST_CASE("a range of numbers makes a shard of each, up, down and with zeros") {
  CHECK(parsed("http://c-{0..2}") == "[http://c-0][http://c-1][http://c-2]");
  CHECK(parsed("http://c-{10..8}") == "[http://c-10][http://c-9][http://c-8]");
  CHECK(parsed("http://c-{08..10}") == "[http://c-08][http://c-09][http://c-10]");
  CHECK(parsed("http://c-{8..010}") == "[http://c-008][http://c-009][http://c-010]");
  CHECK(parsed("http://c-{0..0}") == "[http://c-0]");
  CHECK(parsed("unix:/run/l{1..2}.sock") == "[unix:/run/l1.sock][unix:/run/l2.sock]");
  CHECK(LeafSpec::parse("http://c-{0..4095}")->shards.size() == 4096);
}

TEST_CASE("lists and several braces multiply, the last one fastest") {
  CHECK(parsed("http://{a,b}") == "[http://a][http://b]");
  CHECK(parsed("http://{a,b}-{0..1}:{80,81}") ==
        "[http://a-0][http://a-0:81][http://a-1][http://a-1:81]"
        "[http://b-0][http://b-0:81][http://b-1][http://b-1:81]");
}

TEST_CASE("alternatives are paired by place, and one without braces serves every shard") {
  CHECK(parsed("http://a{0..1}|http://b{0..1}") == "[http://a0 http://b0][http://a1 http://b1]");
  CHECK(parsed("http://a{0..1}|http://spare") ==
        "[http://a0 http://spare][http://a1 http://spare]");
  CHECK(parsed("http://a{0..1}|http://b{0..2}") ==
        "\"http://a{0..1}|http://b{0..2}\" is not a leaf: one replica stands for 2 shards and "
        "another for 3");
}

TEST_CASE("ids stand before an equals sign, and expand with their shards") {
  CHECK(parsed("s7=http://a") == "s7[http://a]");
  CHECK(parsed("e-{0..1}=http://a{5..6}") == "e-0[http://a5]e-1[http://a6]");
  CHECK(parsed("{x,y}=http://a") == "x[http://a]y[http://a]");
  // An address may hold an equals sign of its own.
  CHECK(parsed("http://a/b=c") == "[http://a/b=c]");
  CHECK(parsed("unix:/run/b=c") == "[unix:/run/b=c]");
}

TEST_CASE("shards without an id are called by their place") {
  CHECK(topology({"http://a", "x=http://b", "http://c{0..1}"}) ==
        "s0[http://a]x[http://b]s2[http://c0]s3[http://c1]");
  CHECK(topology({"http://a", "s0=http://b"}) == "two shards are called \"s0\"");
  CHECK(topology({}) == "there is no shard: add a --leaf");
  CHECK(topology({"http://c-{0..4095}", "http://d"}) == "more than 4096 shards");
}

TEST_CASE("what is no leaf is refused in one sentence") {
  auto why = [](const std::string& text, const std::string& reason) {
    CHECK(parsed(text) == "\"" + text + "\" is not a leaf: " + reason);
  };
  why("", "an address is missing");
  why("http://a|", "an address is missing");
  why("http://a||http://b", "an address is missing");
  why("s1=", "an address is missing");
  why("http://{0..9", "\"{\" has no \"}\" behind it");
  why("http://0..9}", "\"}\" has no \"{\" before it");
  why("http://{a,{0..1}}", "braces do not go inside braces");
  why("http://{a,}", "an item between its braces is empty");
  why("http://{0..4096}", "it makes more than 4096 shards");
  why("http://{0..999999999}", "it makes more than 4096 shards");
  why("http://{0..99}-{0..99}", "it makes more than 4096 shards");
  why("http://a|http://a", "\"http://a\" is there twice");
  why("a{0..1}=http://{0..2}", "2 id for 3 shards: write as many, as s{0..9}=");
  why("a=http://{0..2}", "1 id for 3 shards: write as many, as s{0..9}=");
  why("=http://a", "\"\" is no id: 1 to 64 letters, digits, _ - .");
  why("a b=http://a", "\"a b\" is no id: 1 to 64 letters, digits, _ - .");
  why("..=http://a", "\"..\" is no id: 1 to 64 letters, digits, _ - .");
  for (const char* braces : {"{}", "{a}", "{a..z}", "{0..}", "{..9}", "{0..9..2}", "{-1..3}",
                             "{0..9999999999}", "{shard}"}) {
    why(std::string("http://") + braces,
        std::string("\"") + braces + "\" is neither a range as {0..9} nor a list as {a,b}");
  }
  std::string many = "http://a0";
  for (int i = 1; i <= 64; ++i) many += "|http://a" + std::to_string(i);
  CHECK(parsed(many).ends_with("more than 64 replicas"));
  CHECK(parsed("http://" + std::string(2048, 'a')).ends_with("it is longer than 2048 bytes"));
}

TEST_CASE("an address that is none keeps the words of addresses") {
  auto leaf = LeafSpec::parse("http://u:p@a-{0..3}");
  REQUIRE_FALSE(leaf);
  CHECK(leaf.error().message() == http::Url::parse("http://u:p@a-0").error().message());
  CHECK_FALSE(LeafSpec::parse("a:80"));
}

TEST_CASE("a leaf is printed as it was typed") {
  CHECK(Text<LeafSpec>::print(*Text<LeafSpec>::parse("x{0..1}=http://a")) == "x{0..1}=http://a");
}
