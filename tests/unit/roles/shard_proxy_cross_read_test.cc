// SUNION, SINTER, SDIFF, SINTERCARD and PFCOUNT over keys of several servers.
#include <doctest/doctest.h>

#include "roles/shard_proxy/redis_merge_sets.hpp"
#include "shard_proxy_merge_support.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

const std::string kWrongType =
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// The server of a key is its first letter: a0 is on server 0, b1 on 1.
std::optional<CrossRead> plan(std::string_view request) {
  const std::vector<std::string_view> words = split_words(request);
  const redis::Command* command = redis::find_command(words[0]);
  REQUIRE(command != nullptr);
  std::vector<std::uint32_t> positions;
  REQUIRE(redis::find_keys(*command, redis::Arguments(words), positions));
  std::vector<std::uint32_t> servers;
  for (std::uint32_t position : positions) {
    servers.push_back(static_cast<std::uint32_t>(words[position][0] - 'a'));
  }
  return CrossRead::plan({command->name, words, positions, servers});
}

std::vector<std::string> parts_of(std::string_view request) {
  std::optional<CrossRead> read = plan(request);
  REQUIRE(read);
  std::vector<std::string> parts;
  for (const CrossRead::Part& part : read->parts()) {
    parts.push_back(std::to_string(part.server) + ":");
    for (std::string_view word : part.words) parts.back().append(" ").append(word);
  }
  return parts;
}

std::string finish(std::string_view request, const std::vector<std::string>& replies) {
  std::optional<CrossRead> read = plan(request);
  REQUIRE(read);
  const std::vector<std::string_view> views(replies.begin(), replies.end());
  return read->finish(views);
}

std::string set(const std::vector<std::string>& members) {
  std::string out = list(members);
  out[0] = '~';
  return out;
}

using Parts = std::vector<std::string>;

}  // namespace

TEST_CASE("each server computes what it can of its own keys") {
  CHECK(parts_of("SUNION a1 b1 a2") == Parts{"0: SUNION a1 a2", "1: SUNION b1"});
  CHECK(parts_of("SINTER b1 a1 b2") == Parts{"1: SINTER b1 b2", "0: SINTER a1"});
  CHECK(parts_of("SDIFF b1 a1 b2 c1 a2") ==
        Parts{"1: SDIFF b1 b2", "0: SUNION a1 a2", "2: SUNION c1"});
  CHECK(parts_of("SINTERCARD 3 a1 b1 a2 LIMIT 2") == Parts{"0: SINTER a1 a2", "1: SINTER b1"});
  CHECK(parts_of("PFCOUNT a1 b1 a2") == Parts{"0: GET a1", "1: GET b1", "0: GET a2"});
}

TEST_CASE("a request that a server would refuse is not planned") {
  CHECK_FALSE(plan("SINTERCARD 2 a1 b1 LIMIT"));
  CHECK_FALSE(plan("SINTERCARD 2 a1 b1 LIMIT -1"));
  CHECK_FALSE(plan("SINTERCARD 2 a1 b1 LIMIT x"));
  CHECK_FALSE(plan("SINTERCARD 2 a1 b1 c1"));
  CHECK_FALSE(plan("MGET a1 b1"));
  CHECK(plan("SINTERCARD 2 a1 b1 limit 0"));
}

TEST_CASE("sets of several servers are united, intersected and subtracted") {
  const std::string x = bulk("x");
  const std::string y = bulk("y");
  const std::string z = bulk("z");
  CHECK(finish("SUNION a1 b1", {list({x, y}), list({y, z})}) == list({x, y, z}));
  CHECK(finish("SINTER a1 b1 c1", {list({x, y, z}), list({z, y}), list({y})}) == list({y}));
  CHECK(finish("SDIFF a1 b1 c1", {list({x, y, z}), list({y}), list({y, z})}) == list({x}));
  CHECK(finish("SINTERCARD 2 a1 b1", {list({x, y, z}), list({z, y})}) == ":2\r\n");
  CHECK(finish("SINTERCARD 2 a1 b1 LIMIT 1", {list({x, y, z}), list({z, y})}) == ":1\r\n");
  CHECK(finish("SINTERCARD 2 a1 b1 LIMIT 0", {list({x, y, z}), list({z, y})}) == ":2\r\n");
}

TEST_CASE("sets keep the dialect of the servers, and empty ones are empty") {
  const std::string x = bulk("x");
  CHECK(finish("SUNION a1 b1", {set({x}), set({x})}) == set({x}));
  CHECK(finish("SINTER a1 b1", {set({}), set({x})}) == "~0\r\n");
  CHECK(finish("SDIFF a1 b1", {list({}), list({x})}) == "*0\r\n");
  CHECK(finish("SDIFF a1 b1", {set({x}), set({})}) == set({x}));
  CHECK(finish("SINTER a1 b1", {set({x}), list({x})}) == kUnlikeReplies);
  CHECK(finish("SUNION a1 b1", {list({x}), "$-1\r\n"}) == kUnlikeReplies);
  CHECK(finish("SINTER a1 b1", {":1\r\n", ":1\r\n"}) == kUnlikeReplies);
}

TEST_CASE("a key of the wrong type is the answer, also beside an empty set") {
  CHECK(finish("SINTER a1 b1", {list({}), kWrongType}) == kWrongType);
  CHECK(finish("SDIFF a1 b1", {kWrongType, list({})}) == kWrongType);
  CHECK(finish("SINTERCARD 2 a1 b1", {list({}), kWrongType}) == kWrongType);
  CHECK(finish("PFCOUNT a1 b1", {"$-1\r\n", kWrongType}) == kWrongType);
}

TEST_CASE("PFCOUNT of several servers counts the union and tells bad values apart") {
  // PFADD of "a" in redis 7.0.15.
  const std::string one("HYLL\1\0\0\0\0\0\0\0\0\0\0\x80\x71\xa6\x84\x4e\x57", 21);
  CHECK(finish("PFCOUNT a1 b1", {bulk(one), "$-1\r\n"}) == ":1\r\n");
  CHECK(finish("PFCOUNT a1 b1", {"_\r\n", "_\r\n"}) == ":0\r\n");
  CHECK(finish("PFCOUNT a1 b1", {bulk(one), bulk(one)}) == ":1\r\n");
  CHECK(finish("PFCOUNT a1 b1", {bulk(one), bulk("hello")}) ==
        "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n");
  CHECK(finish("PFCOUNT a1 b1", {bulk(one), bulk(one.substr(0, 20))}) ==
        "-INVALIDOBJ Corrupted HLL object detected\r\n");
  CHECK(finish("PFCOUNT a1 b1", {bulk(one), list({})}) == kUnlikeReplies);
}

TEST_CASE("the words may go before the replies come") {
  std::optional<CrossRead> read = plan("SUNION a1 b1");
  REQUIRE(read);
  read->release_words();
  const std::vector<std::string_view> replies = {"*0\r\n", "*0\r\n"};
  CHECK(read->finish(replies) == "*0\r\n");
}
