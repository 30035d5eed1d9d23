#include "wire/redis_commands.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace consort::redis;
using Positions = std::vector<std::uint32_t>;

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end) == "\"\"" ? std::string_view() : text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

const Command* find(const std::vector<std::string_view>& words) {
  const Command* command = find_command(words[0]);
  if (command == nullptr || !command->is_container()) return command;
  return words.size() > 1 ? find_subcommand(*command, words[1]) : command;
}

/// The key positions of a request in words; {0} when they cannot be found.
Positions keys_of(std::string_view text) {
  const std::vector<std::string_view> words = split(text);
  const Command* command = find(words);
  REQUIRE(command != nullptr);
  Positions positions{99};
  if (find_keys(*command, Arguments(words), positions)) return positions;
  CHECK(positions.empty());
  return {0};
}

bool blocks(std::string_view text) {
  const std::vector<std::string_view> words = split(text);
  return may_block(*find(words), Arguments(words));
}

bool has_pattern(std::string_view text) {
  const std::vector<std::string_view> words = split(text);
  return reads_by_pattern(*find(words), Arguments(words));
}

std::string unknown(const std::vector<std::string_view>& words) {
  return unknown_command_error(Arguments(words));
}

}  // namespace

TEST_CASE("every command is found by its name in any case, and nothing else is") {
  CHECK(all_commands().size() > 200);
  for (const Command& command : all_commands()) {
    CHECK(find_command(command.name) == &command);
    std::string shouted(command.name);
    for (char& c : shouted) c = static_cast<char>(std::toupper(c));
    CHECK(find_command(shouted) == &command);
    CHECK(find_command(shouted + "~") == nullptr);
    CHECK(find_command(std::string_view(shouted).substr(1)) != &command);
  }
  CHECK(find_command("") == nullptr);
  CHECK(find_command(std::string(100'000, 'g')) == nullptr);
  CHECK(find_command("bitfield\x1fro") == nullptr);  // folds to the same hash as the underscore
}

TEST_CASE("the table says what a proxy must know") {
  const Command& get = *find_command("get");
  CHECK(get.arity == 2);
  CHECK(get.first_key == 1);
  CHECK(get.is(kReadonly));
  CHECK(!get.is(kWrite));
  CHECK(get.accepts(2));
  CHECK(!get.accepts(3));
  CHECK(find_command("mget")->request_policy == RequestPolicy::multi_shard);
  CHECK(find_command("del")->response_policy == ResponsePolicy::agg_sum);
  CHECK(find_command("mset")->key_step == 2);
  CHECK(find_command("dbsize")->request_policy == RequestPolicy::all_shards);
  CHECK(find_command("msetnx")->response_policy == ResponsePolicy::agg_min);
  CHECK(find_command("scan")->request_policy == RequestPolicy::special);
  CHECK(find_command("blpop")->is(kBlocking));
  CHECK(find_command("eval")->is(kMovableKeys));
  CHECK(find_command("ping")->is(kNoKeys));
  CHECK(!find_command("object")->is(kNoKeys));
  for (const char* name :
       {"multi", "exec", "watch", "subscribe", "psubscribe", "sunsubscribe", "monitor", "select",
        "auth", "hello", "quit", "reset", "client", "wait"}) {
    CHECK(find_command(name)->is(kStateful));
  }
}

TEST_CASE("the table says what is refused in transactions and scripts, and allowed before them") {
  const CommandTable& table = CommandTable::built_in();
  CHECK(table.find("watch")->is(kNoMulti) == false);  // refused by its own code, not by a flag
  CHECK(table.find("subscribe")->is(kNoScript));
  CHECK(table.find("shutdown")->is(kNoMulti));
  CHECK(table.find("auth")->is(kNoAuth));
  CHECK_FALSE(table.find("get")->is(kNoAuth));
  CHECK(table.find("ping")->flags == (kFast | kNoKeys));
  CHECK(table.find("info")->is(kLoading));
  CHECK(table.find("info")->is(kStale));
  CHECK(table.find("multi")->is(kAllowBusy));
  for (std::size_t i = 0; i < table.size(); ++i) CHECK_FALSE(table.at(i).is(kUnknownKeys));
}

TEST_CASE("every command and subcommand has its number and its full name") {
  const CommandTable& table = CommandTable::built_in();
  for (std::size_t i = 0; i < table.size(); ++i) CHECK(table.index_of(table.at(i)) == i);
  CHECK(table.all().size() < table.size());
  CHECK(table.full_name(*table.find("GET")) == "get");
  const Command& config = *table.find("config");
  CHECK(table.full_name(*table.find_subcommand(config, "SET")) == "config|set");
  CHECK(table.subcommands(config).size() == 5);
  CHECK(table.subcommands(*table.find("get")).empty());
}

TEST_CASE("subcommands have their own entries") {
  const Command& script = *find_command("script");
  CHECK(script.is_container());
  CHECK(find_subcommand(script, "EXISTS")->response_policy == ResponsePolicy::agg_logical_and);
  CHECK(find_subcommand(script, "debug")->is(kStateful));
  CHECK(!find_subcommand(script, "load")->is(kStateful));
  CHECK(find_subcommand(script, "nothing") == nullptr);
  CHECK(find_subcommand(*find_command("get"), "exists") == nullptr);
  CHECK(find_subcommand(*find_command("client"), "id")->is(kStateful));
  CHECK(find_subcommand(*find_command("config"), "set")->request_policy ==
        RequestPolicy::all_nodes);
}

// The expected positions are those of the server's COMMAND GETKEYS.
TEST_CASE("keys at fixed places are found") {
  CHECK(keys_of("GET a") == Positions{1});
  CHECK(keys_of("MGET a b c") == Positions{1, 2, 3});
  CHECK(keys_of("MSET a 1 b 2") == Positions{1, 3});
  CHECK(keys_of("BITOP AND d a b") == Positions{2, 3, 4});
  CHECK(keys_of("BLPOP a b 0") == Positions{1, 2});
  CHECK(keys_of("PFMERGE d a b") == Positions{1, 2, 3});
  CHECK(keys_of("LCS a b") == Positions{1, 2});
  CHECK(keys_of("OBJECT ENCODING a") == Positions{2});
  CHECK(keys_of("XGROUP CREATE a g $") == Positions{2});
  CHECK(keys_of("MEMORY USAGE a") == Positions{2});
  CHECK(keys_of("PING").empty());
  CHECK(keys_of("SCAN 0").empty());
  CHECK(keys_of("OBJECT HELP").empty());
}

TEST_CASE("keys that are counted are found") {
  CHECK(keys_of("EVAL s 2 a b c") == Positions{3, 4});
  CHECK(keys_of("EVAL s 0 x").empty());
  CHECK(keys_of("FCALL f 1 a b") == Positions{3});
  CHECK(keys_of("ZUNIONSTORE d 2 a b WEIGHTS 1 2") == Positions{1, 3, 4});
  CHECK(keys_of("SINTERCARD 2 a b LIMIT 1") == Positions{2, 3});
  CHECK(keys_of("BZMPOP 1 1 a MAX") == Positions{3});
}

TEST_CASE("keys behind words are found") {
  CHECK(keys_of("XREAD COUNT 2 STREAMS a b 0 0") == Positions{4, 5});
  CHECK(keys_of("xread block 5 streams a 0") == Positions{4});
  CHECK(keys_of("XREADGROUP GROUP streams c STREAMS a >") == Positions{5});
  CHECK(keys_of("XREADGROUP COUNT 2 GROUP streams c STREAMS a >") == Positions{7});
  CHECK(keys_of("XREADGROUP NOACK GROUP g streams STREAMS a b > >") == Positions{6, 7});
  CHECK(keys_of("GEORADIUS a 1 1 1 m STORE d STOREDIST e COUNT 1") == Positions{1, 9});
  CHECK(keys_of("SORT a BY store GET q") == Positions{1});
  CHECK(keys_of("SORT a LIMIT 0 1 STORE d STORE e") == Positions{1, 8});
  CHECK(keys_of("GEORADIUS a 1 1 1 m STORE d") == Positions{1, 7});
  CHECK(keys_of("GEORADIUSBYMEMBER a m 1 m STOREDIST d") == Positions{1, 6});
  CHECK(keys_of("MIGRATE h 1 a 0 100") == Positions{3});
  CHECK(keys_of("MIGRATE h 1 \"\" 0 100 COPY AUTH keys KEYS a b") == Positions{10, 11});
}

TEST_CASE("keys that a request may leave out are not missing") {
  CHECK(keys_of("PFMERGE d") == Positions{1});  // makes an empty one: it belongs on d's server
  CHECK(keys_of("SUNSUBSCRIBE").empty());
}

TEST_CASE("keys of malformed requests are not found") {
  for (const char* text :
       {"GET", "MSET a 1 b", "EVAL s 3 a b", "EVAL s -1 a", "EVAL s x a", "EVAL s",
        "ZUNIONSTORE d 2 a", "XREAD STREAMS a b 0", "XREAD COUNT 2 BLOCK 0", "XREAD STREAMS",
        "BLPOP 0", "MIGRATE h 1 \"\" 0 100", "MIGRATE h 1 \"\" 0 100 KEYS", "MIGRATE h 1", "SORT",
        "EVAL s 99999999999999999999 a", "EVAL s 18446744073709551615 a", "EVAL s \"\" a"}) {
    CAPTURE(text);
    CHECK(keys_of(text) == Positions{0});
  }
}

TEST_CASE("a stream is read without blocking unless the word BLOCK stands as an option") {
  CHECK(blocks("BLPOP a 0"));
  CHECK(blocks("XREAD BLOCK 0 STREAMS a $"));
  CHECK(blocks("XREADGROUP GROUP streams c BLOCK 0 STREAMS a >"));
  CHECK(blocks("xreadgroup group g streams block 0 streams a >"));
  CHECK_FALSE(blocks("XREAD COUNT 1 STREAMS block 0"));
  CHECK_FALSE(blocks("XREADGROUP GROUP block c STREAMS a >"));
  CHECK_FALSE(blocks("LPOP a"));
}

TEST_CASE("a SORT with a pattern reads more keys than it names") {
  CHECK(has_pattern("SORT a BY w_*"));
  CHECK(has_pattern("sort_ro a limit 0 1 get # get d_*->f"));
  CHECK_FALSE(has_pattern("SORT a BY nosort GET # STORE d*"));
  CHECK_FALSE(has_pattern("SORT a*"));
  CHECK_FALSE(has_pattern("GET a*"));
}

TEST_CASE("arguments are read straight from a parsed request") {
  const std::string bytes = "*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n";
  consort::resp::RequestParser parser;
  REQUIRE(parser.parse(bytes) == consort::resp::Progress::done);
  const Arguments arguments(parser, bytes);
  Positions positions;
  CHECK(find_keys(*find_command(arguments[0]), arguments, positions));
  CHECK(positions == Positions{1, 2});
}

// Each expected text was compared with redis 7.0.15's reply.
TEST_CASE("errors have the server's words") {
  CHECK(unknown({"FOO"}) == "ERR unknown command 'FOO', with args beginning with: ");
  CHECK(unknown({"foo", "a", ""}) ==
        "ERR unknown command 'foo', with args beginning with: 'a' '' ");
  CHECK(unknown({"fo\ro", "a\nb"}) ==
        "ERR unknown command 'fo o', with args beginning with: 'a b' ");
  const std::string_view with_nul("fo\0o", 4);
  CHECK(unknown({with_nul, with_nul, "c"}) ==
        "ERR unknown command 'fo', with args beginning with: 'fo' 'c' ");
  const std::string y(200, 'y');
  CHECK(unknown({y}) ==
        "ERR unknown command '" + y.substr(0, 128) + "', with args beginning with: ");
  CHECK(unknown({"foo", y, "z"}) ==
        "ERR unknown command 'foo', with args beginning with: '" + y.substr(0, 128) + "' ");
  CHECK(unknown({"foo", y.substr(0, 124), "zzz"}) ==
        "ERR unknown command 'foo', with args beginning with: '" + y.substr(0, 124) + "' 'z' ");
  const std::vector<std::string_view> words{"xinfo", "Foo", "x"};
  CHECK(unknown_subcommand_error(Arguments(words)) ==
        "ERR unknown subcommand 'Foo'. Try XINFO HELP.");
  CHECK(wrong_arity_error("get") == "ERR wrong number of arguments for 'get' command");
}
