// Which servers of a pool a command without keys goes to, and where a SCAN of all of them stands.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "roles/shard_proxy/redis_merge_scan.hpp"
#include "shard_proxy_merge_support.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

Target target_of(std::string_view request) {
  const FanoutRule* rule = rule_of(request);
  REQUIRE(rule != nullptr);
  return rule->target;
}

// Answered by the proxy itself, or with a way of their own: SCAN's cursors, PUBLISH's channel.
bool is_handled_elsewhere(const redis::Command& command) {
  static const std::set<std::string_view> names = {
      "auth",   "client", "echo",    "hello", "ping",  "quit",    "reset",
      "select", "scan",   "publish", "sync",  "psync", "monitor", "replconf"};
  return names.contains(command.name) || command.is(redis::kStateful);
}

std::string scan_reply(std::string_view cursor, const std::vector<std::string>& keys) {
  return list({bulk(cursor), list(keys)});
}

}  // namespace

TEST_CASE("commands go where they have a meaning") {
  CHECK(target_of("TIME") == Target::any_server);
  CHECK(target_of("COMMAND DOCS get") == Target::any_server);
  CHECK(target_of("COMMAND") == Target::any_server);
  CHECK(target_of("ACL HELP") == Target::any_server);
  CHECK(target_of("XINFO HELP") == Target::any_server);
  CHECK(target_of("CONFIG GET x") == Target::first_server);
  CHECK(target_of("CLUSTER INFO") == Target::first_server);
  CHECK(target_of("ACL WHOAMI") == Target::first_server);
  CHECK(target_of("FUNCTION LIST") == Target::first_server);
  CHECK(target_of("EVAL s 0") == Target::first_server);
  CHECK(target_of("CONFIG SET a b") == Target::every_server);
  CHECK(target_of("ACL SETUSER a") == Target::every_server);
  CHECK(target_of("FUNCTION LOAD x") == Target::every_server);
  CHECK(target_of("SHUTDOWN") == Target::refused);
  CHECK(target_of("DEBUG SLEEP 1") == Target::refused);
  CHECK(rule_of("GET a") == nullptr);
  CHECK(rule_of("OBJECT ENCODING a") == nullptr);
  CHECK(rule_of("INFO all")->partial_ok);
  CHECK_FALSE(rule_of("DBSIZE")->partial_ok);
}

TEST_CASE("HELP is a subcommand only of commands that have some") {
  CHECK(find_fanout("keys", "help")->target == Target::every_server);
  CHECK(find_fanout("nosuch", "help") == nullptr);
}

TEST_CASE("every command without keys that the server knows has its rule") {
  for (const redis::Command& command : redis::all_commands()) {
    if (!command.is(redis::kNoKeys) || is_handled_elsewhere(command)) continue;
    if (command.is_container()) continue;
    CAPTURE(command.name);
    CHECK(find_fanout(command.name, "") != nullptr);
  }
  for (std::string_view request :
       {"ACL CAT", "CONFIG RESETSTAT", "FUNCTION DUMP", "LATENCY RESET", "MEMORY PURGE",
        "MODULE LIST", "PUBSUB SHARDNUMSUB", "SCRIPT LOAD", "SLOWLOG LEN"}) {
    CAPTURE(request);
    CHECK(rule_of(request) != nullptr);
  }
}

TEST_CASE("the table agrees with the server's own tips where it has them") {
  for (const redis::Command& command : redis::all_commands()) {
    const bool has_sum = command.response_policy == redis::ResponsePolicy::agg_sum;
    if (!command.is(redis::kNoKeys) || !has_sum) continue;
    CAPTURE(command.name);
    CHECK((find_fanout(command.name, "")->merge == merge_sum));
  }
}

TEST_CASE("commands of modules follow their tips") {
  using Request = redis::RequestPolicy;
  using Response = redis::ResponsePolicy;
  CHECK(find_fanout_by_tips(Request::none, Response::none)->target == Target::first_server);
  CHECK((find_fanout_by_tips(Request::all_shards, Response::agg_sum)->merge == merge_sum));
  CHECK((find_fanout_by_tips(Request::all_nodes, Response::none)->merge == merge_concat));
  CHECK(find_fanout_by_tips(Request::all_nodes, Response::one_succeeded)->sees_errors);
  CHECK(find_fanout_by_tips(Request::all_shards, Response::special) == nullptr);
  CHECK(find_fanout_by_tips(Request::special, Response::none) == nullptr);
  CHECK(find_fanout_by_tips(Request::multi_shard, Response::agg_sum) == nullptr);
}

TEST_CASE("a cursor says which server is walked and how far") {
  CHECK(decode_cursor("0", 4)->server == 0);
  CHECK(decode_cursor("70", 4)->server == 2);
  CHECK(decode_cursor("70", 4)->cursor == 17);
  CHECK(decode_cursor("18446744073709551615", 1)->cursor == 18446744073709551615U);
  CHECK_FALSE(decode_cursor("18446744073709551616", 4));
  CHECK_FALSE(decode_cursor("", 4));
  CHECK_FALSE(decode_cursor("7x", 4));
  CHECK_FALSE(decode_cursor("-1", 4));
  CHECK(encode_cursor(scan_reply("17", {bulk("k")}), 2, 4) == scan_reply("70", {bulk("k")}));
  CHECK(encode_cursor(scan_reply("0", {}), 2, 4) == scan_reply("3", {}));
  CHECK(encode_cursor(scan_reply("0", {bulk("k")}), 3, 4) == scan_reply("0", {bulk("k")}));
  CHECK(encode_cursor(scan_reply("17", {}), 0, 1) == scan_reply("17", {}));
}

TEST_CASE("a cursor without room for its server is an error, not another place") {
  CHECK(encode_cursor(scan_reply("4611686018427387903", {}), 3, 4) ==
        scan_reply("18446744073709551615", {}));
  CHECK(encode_cursor(scan_reply("4611686018427387904", {}), 0, 4).starts_with("-ERR the cursor"));
  CHECK(encode_cursor(scan_reply("3689348814741910323", {}), 1, 5).starts_with("-ERR the cursor"));
}

TEST_CASE("a reply to SCAN that is none is not rewritten") {
  CHECK(encode_cursor("-ERR invalid cursor\r\n", 0, 4) == "-ERR invalid cursor\r\n");
  CHECK(encode_cursor("+OK\r\n", 0, 4) == kUnlikeReplies);
  CHECK(encode_cursor(list({bulk("0")}), 0, 4) == kUnlikeReplies);
  CHECK(encode_cursor(scan_reply("x", {}), 0, 4) == kUnlikeReplies);
  CHECK(encode_cursor(list({"$-1\r\n", list({})}), 0, 4) == kUnlikeReplies);
}

TEST_CASE("a walk over all servers visits each from its beginning to its end") {
  // Cursors as a table of eight places gives them: reversed bits, 0 at both ends.
  const std::map<std::string, std::string> next = {{"0", "4"}, {"4", "2"}, {"2", "6"}, {"6", "0"}};
  std::vector<std::string> visited;
  std::string cursor = "0";
  do {
    const std::optional<ScanPlace> place = decode_cursor(cursor, 3);
    REQUIRE(place);
    const std::string at = std::to_string(place->cursor);
    visited.push_back(std::to_string(place->server) + "/" + at);
    const std::string reply = encode_cursor(scan_reply(next.at(at), {}), place->server, 3);
    const std::size_t begin = reply.find("\r\n", 4) + 2;
    cursor = reply.substr(begin, reply.find("\r\n", begin) - begin);
  } while (cursor != "0" && visited.size() < 100);
  CHECK(visited == std::vector<std::string>{"0/0", "0/4", "0/2", "0/6", "1/0", "1/4", "1/2", "1/6",
                                            "2/0", "2/4", "2/2", "2/6"});
}
