#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "wire/redis_command_reply.hpp"
#include "wire/redis_commands.hpp"

namespace {

using namespace consort;
using namespace consort::redis;
using Positions = std::vector<std::uint32_t>;
using Table = std::shared_ptr<const CommandTable>;

// The whole reply of redis 7.0.15, RESP2.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"
constexpr unsigned char kRealReply[] = {
#embed "../../fuzz/corpus/redis_command_reply/redis_7_0_15"
};
#pragma clang diagnostic pop

std::string_view real_reply() {
  return {reinterpret_cast<const char*>(kRealReply), sizeof kRealReply};
}

std::string word(std::string_view text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}
std::string number(int value) {
  return ":" + std::to_string(value) + "\r\n";
}
std::string list(const std::vector<std::string>& values) {
  std::string out;
  resp::append_array_header(out, values.size());
  for (const std::string& value : values) out += value;
  return out;
}
std::string words(const std::vector<std::string_view>& texts) {
  std::vector<std::string> values;
  for (const std::string_view text : texts) values.push_back(word(text));
  return list(values);
}

/// A made-up entry of the reply.
struct Said {
  std::string_view name;
  int arity = -2;
  std::vector<std::string_view> flags = {};
  std::vector<int> keys = {0, 0, 0};
  std::vector<std::string_view> tips = {};
  std::vector<std::string> specs = {};
  std::vector<std::string> subcommands = {};

  std::vector<std::string> old() const {
    return {word(name),      number(arity),   words(flags),
            number(keys[0]), number(keys[1]), number(keys[2])};
  }
  std::string six() const { return list(old()); }
  std::string seven() const {
    std::vector<std::string> elements = old();
    elements.push_back(words({"@all"}));
    return list(elements);
  }
  std::string ten() const {
    std::vector<std::string> elements = old();
    elements.insert(elements.end(), {words({"@all"}), words(tips), list(specs), list(subcommands)});
    return list(elements);
  }
};

std::string search(std::string_view type, const std::vector<std::string>& fields) {
  return list({word("type"), word(type), word("spec"), list(fields)});
}
std::string index(int at) {
  return search("index", {word("index"), number(at)});
}
std::string keyword(std::string_view text, int from) {
  return search("keyword", {word("keyword"), word(text), word("startfrom"), number(from)});
}
std::string range(int last, int step, int limit) {
  return search("range", {word("lastkey"), number(last), word("keystep"), number(step),
                          word("limit"), number(limit)});
}
std::string keynum(int count_at, int first, int step) {
  return search("keynum", {word("keynumidx"), number(count_at), word("firstkey"), number(first),
                           word("keystep"), number(step)});
}
std::string spec(const std::string& begin, const std::string& find,
                 std::string_view flag = "access") {
  return list({word("notes"), word("none"), word("flags"), words({"RW", flag}),
               word("begin_search"), begin, word("find_keys"), find});
}

Table learn(const std::vector<std::string>& entries) {
  Result<Table> table = CommandTable::learn(list(entries));
  REQUIRE_MESSAGE(table.has_value(), table.error().text());
  return *table;
}

std::string error_of(std::string_view reply) {
  const Result<Table> table = CommandTable::learn(reply);
  return table ? "" : table.error().text();
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    result.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

/// The key positions of a request in words; {0} when they cannot be found.
Positions keys_of(const Table& table, std::string_view text) {
  const std::vector<std::string_view> request = split(text);
  const Command* command = table->find(request[0]);
  REQUIRE(command != nullptr);
  if (command->is_container()) command = table->find_subcommand(*command, request[1]);
  REQUIRE(command != nullptr);
  Positions positions{99};
  if (table->find_keys(*command, Arguments(request), positions)) return positions;
  CHECK(positions.empty());
  return {0};
}

void check_same(const CommandTable& a, const Command& left, const CommandTable& b,
                const Command& right) {
  CAPTURE(left.name);
  CHECK(left.name == right.name);
  CHECK(left.arity == right.arity);
  CHECK(left.first_key == right.first_key);
  CHECK(left.last_key == right.last_key);
  CHECK(left.key_step == right.key_step);
  CHECK(left.flags == right.flags);
  CHECK(a.key_rule(left) == b.key_rule(right));
  CHECK(left.request_policy == right.request_policy);
  CHECK(left.response_policy == right.response_policy);
  CHECK(left.first_subcommand == right.first_subcommand);
  CHECK(left.subcommand_count == right.subcommand_count);
}

void check_equals_built_in(const CommandTable& table) {
  const CommandTable& built_in = CommandTable::built_in();
  REQUIRE(table.size() == built_in.size());
  REQUIRE(table.all().size() == built_in.all().size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    check_same(table, table.at(i), built_in, built_in.at(i));
  }
}

}  // namespace

TEST_CASE("the table learned from redis 7.0.15 is the built-in one") {
  const Result<Table> table = CommandTable::learn(real_reply());
  REQUIRE(table.has_value());
  check_equals_built_in(**table);
  for (const Command& command : (*table)->all()) {
    CHECK((*table)->find(command.name) == &command);
  }
  CHECK(keys_of(*table, "SORT a LIMIT 0 1 STORE d STORE e") == Positions{1, 8});
  CHECK((*table)->find("nothing") == nullptr);
}

TEST_CASE("the same is learned from what an older server would say of these commands") {
  std::vector<std::string> entries;
  std::vector<CommandReply> said = *read_command_reply(real_reply());
  for (const CommandReply& entry : said) {
    Said old{.name = entry.name, .arity = entry.arity};
    old.keys = {entry.first_key, entry.last_key, entry.key_step};
    for (const auto& [name, flag] : {std::pair<std::string_view, Flag>{"write", kWrite},
                                     {"readonly", kReadonly},
                                     {"pubsub", kPubSub},
                                     {"admin", kAdmin},
                                     {"movablekeys", kMovableKeys},
                                     {"fast", kFast},
                                     {"denyoom", kDenyOom},
                                     {"noscript", kNoScript},
                                     {"loading", kLoading},
                                     {"stale", kStale}}) {
      if ((entry.flags & flag) != 0) old.flags.push_back(name);
    }
    entries.push_back(entries.size() % 2 == 0 ? old.six() : old.seven());
  }
  check_equals_built_in(*learn(entries));
}

TEST_CASE("a module's keys are found by its specifications") {
  const Table table = learn({
      Said{.name = "X.Copy",
           .flags = {"write", "movablekeys"},
           .specs = {spec(keyword("KEYS", 1), range(-1, 1, 2)),
                     spec(keyword("TO", -2), range(0, 1, 0))}}
          .ten(),
      Said{.name = "x.count", .specs = {spec(keyword("n", 2), keynum(1, 2, 2))}}.ten(),
      Said{.name = "x.third", .specs = {spec(index(1), range(-1, 1, 3))}}.ten(),
      Said{.name = "x.twice",
           .specs = {spec(index(2), range(0, 1, 0)), spec(index(1), range(-1, 1, 0))}}
          .ten(),
  });
  CHECK(keys_of(table, "x.copy KEYS a b 1 2") == Positions{2, 3});
  CHECK(keys_of(table, "X.COPY opt keys a b 1 2") == Positions{3, 4});
  // Backwards from the last but one, so that the key named TO is not taken for the word.
  CHECK(keys_of(table, "x.copy x TO TO k") == Positions{4});
  CHECK(keys_of(table, "x.copy x to k v") == Positions{3});
  CHECK(keys_of(table, "x.copy x y").empty());
  CHECK(keys_of(table, "x.copy x KEYS").empty());  // the server does not look at the last one
  CHECK(keys_of(table, "x.count o N any 2 a 1 b") == Positions{5, 7});
  CHECK(keys_of(table, "x.count o N any 0 a 1 b").empty());
  CHECK(keys_of(table, "x.count o a n").empty());
  CHECK(keys_of(table, "x.count o N any 3 a 1 b") == Positions{0});
  CHECK(keys_of(table, "x.count o N any x a") == Positions{0});
  CHECK(keys_of(table, "x.count o N any") == Positions{0});
  CHECK(keys_of(table, "x.third a b c d e f") == Positions{1, 2});
  CHECK(keys_of(table, "x.twice a b c") == Positions{1, 2, 3});
  CHECK_FALSE(table->find("x.copy")->is(kNoKeys));
  CHECK_FALSE(table->find("x.copy")->is(kUnknownKeys));
  CHECK(table->find("x.copy")->name == "x.copy");
}

TEST_CASE("a module's subcommands, tips and flags are learned") {
  const Table table = learn({
      Said{.name = "y.box",
           .subcommands =
               {Said{.name = "y.box|open", .arity = 3, .specs = {spec(index(2), range(0, 1, 0))}}
                    .ten(),
                Said{.name = "y.box|Close", .arity = 2}.ten()}}
          .ten(),
      Said{.name = "y.all",
           .flags = {"blocking", "no_multi", "of_the_future"},
           .tips = {"request_policy:all_shards", "response_policy:agg_max", "other"}}
          .ten(),
      Said{.name = "waitaof"}.ten(),
      Said{.name = "client", .subcommands = {Said{.name = "client|no-touch"}.ten()}}.ten(),
  });
  CHECK(table->size() == 7);
  CHECK(keys_of(table, "Y.BOX Open k") == Positions{2});
  CHECK(keys_of(table, "Y.BOX CLOSE").empty());
  CHECK_FALSE(table->find("y.box")->is(kNoKeys));
  const Command& close = *table->find_subcommand(*table->find("y.box"), "close");
  CHECK(close.is(kNoKeys));
  CHECK(table->full_name(close) == "y.box|close");
  const Command& all = *table->find("y.all");
  CHECK(all.flags == (kBlocking | kNoMulti | kNoKeys));
  CHECK(all.request_policy == RequestPolicy::all_shards);
  CHECK(all.response_policy == ResponsePolicy::special);
  CHECK(table->may_block(all, Arguments({})));
  CHECK(table->find("waitaof")->is(kStateful));
  CHECK(table->find_subcommand(*table->find("client"), "no-touch")->is(kStateful));
  CHECK(table->find("get") == nullptr);
}

TEST_CASE("keys that only the server can tell are marked as such") {
  const std::string unknown = search("unknown", {});
  const std::string one = range(0, 1, 0);
  const std::string plain = spec(index(1), one);
  const auto specs = [](std::string_view name, std::vector<std::string> key_specs) {
    return Said{.name = name, .keys = {1, 1, 1}, .specs = std::move(key_specs)}.ten();
  };
  const Table table = learn({
      specs("z.unknown", {plain, spec(unknown, unknown)}),
      specs("z.incomplete", {spec(index(1), one, "incomplete")}),
      specs("z.index", {spec(index(0), one)}),
      specs("z.far", {spec(index(40'000), one)}),
      specs("z.startfrom", {spec(keyword("k", 0), one)}),
      specs("z.noword", {spec(keyword("", 1), one)}),
      specs("z.step", {spec(index(1), range(-1, 0, 0))}),
      specs("z.limit", {spec(index(1), range(-1, 1, -2))}),
      specs("z.keynum", {spec(index(1), keynum(-1, 1, 1))}),
      specs("z.firstkey", {spec(index(1), keynum(0, -1, 1))}),
      specs("z.many", {plain, plain, plain, plain, plain}),
      specs("z.empty", {list({})}),
      Said{.name = "z.moves", .flags = {"movablekeys"}}.ten(),
      Said{.name = "z.oldmoves", .flags = {"movablekeys"}, .keys = {1, 1, 1}}.six(),
      Said{.name = "z.oldstep", .keys = {1, 1, 0}}.six(),
      Said{.name = "z.oldlast", .keys = {2, 1, 1}}.six(),
      // Its own function finds the keys; the server makes a specification of first, last and step.
      Said{.name = "z.own", .flags = {"movablekeys"}, .keys = {1, 1, 1}, .specs = {plain}}.ten(),
  });
  for (const Command& command : table->all()) {
    CAPTURE(command.name);
    CHECK(command.is(kUnknownKeys));
    CHECK_FALSE(command.is(kNoKeys));
    CHECK(command.first_key == 0);
    CHECK(keys_of(table, std::string(command.name) + " a b c") == Positions{0});
  }
}

TEST_CASE("an older server's unknown commands have the keys of its range") {
  const Table table = learn({
      Said{.name = "ts.madd", .keys = {1, -1, 3}}.six(),
      Said{.name = "ts.two", .keys = {2, 3, 1}}.seven(),
      Said{.name = "ts.none"}.six(),
      Said{.name = "object", .keys = {2, 2, 1}}.six(),
      Said{.name = "xread", .flags = {"readonly", "movablekeys"}, .keys = {1, 1, 1}}.six(),
      Said{.name = "eval", .flags = {"noscript", "movablekeys"}}.six(),
      // Ten elements, but a server that gives no specifications.
      Said{.name = "mget", .keys = {1, -1, 1}}.ten(),
      Said{.name = "evalsha", .flags = {"movablekeys"}}.ten(),
  });
  CHECK(keys_of(table, "ts.madd a 1 1 b 2 2") == Positions{1, 4});
  CHECK(keys_of(table, "ts.two o a b c") == Positions{2, 3});
  CHECK(table->find("ts.none")->is(kNoKeys));
  CHECK(keys_of(table, "object encoding a") == Positions{2});
  CHECK(keys_of(table, "eval s 1 a b") == Positions{3});
  CHECK(keys_of(table, "xread streams a 0") == Positions{2});
  CHECK(table->find("xread")->first_key == 0);
  CHECK(table->find("xread")->is(kBlocking));
  CHECK(keys_of(table, "mget a b") == Positions{1, 2});
  CHECK(keys_of(table, "evalsha s 2 a b") == Positions{3, 4});
}

TEST_CASE("the server wins over the built-in table") {
  const Table table = learn({
      Said{.name = "get",
           .arity = -3,
           .flags = {"write"},
           .keys = {2, 2, 1},
           .tips = {"request_policy:special"},
           .specs = {spec(index(2), range(0, 1, 0))}}
          .ten(),
      Said{.name = "GET", .arity = 9}.ten(),  // the same word again is passed over
  });
  CHECK(table->size() == 1);
  const Command& get = *table->find("get");
  CHECK(get.arity == -3);
  CHECK(get.flags == kWrite);
  CHECK(get.first_key == 2);
  CHECK(get.request_policy == RequestPolicy::special);
  CHECK(keys_of(table, "get a b") == Positions{2});
}

TEST_CASE("RESP3's maps, sets, nulls and attributes are read as well") {
  const std::string reply =
      "|1\r\n+note\r\n*1\r\n:1\r\n*1\r\n*11\r\n+w.get\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n"
      ":1\r\n:1\r\n:1\r\n~0\r\n~1\r\n$23\r\nrequest_policy:all_nodes\r\n";
  const std::string fixed =
      "|1\r\n+note\r\n*1\r\n:1\r\n*1\r\n*11\r\n+w.get\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n"
      ":1\r\n:1\r\n:1\r\n~0\r\n~1\r\n$24\r\nrequest_policy:all_nodes\r\n"
      "~1\r\n%3\r\n+flags\r\n~1\r\n+RO\r\n+begin_search\r\n%2\r\n+type\r\n+index\r\n+spec\r\n"
      "%1\r\n+index\r\n:1\r\n+find_keys\r\n%2\r\n+type\r\n+range\r\n+spec\r\n%3\r\n"
      "+lastkey\r\n:0\r\n+keystep\r\n:1\r\n+limit\r\n:0\r\n_\r\n%1\r\n+more\r\n#t\r\n";
  CHECK(error_of(reply).find("should have a word") != std::string::npos);
  const Result<Table> table = CommandTable::learn(fixed);
  REQUIRE_MESSAGE(table.has_value(), table.error().text());
  CHECK(keys_of(*table, "W.GET k") == Positions{1});
  CHECK((*table)->find("w.get")->flags == (kReadonly | kFast));
}

TEST_CASE("a reply cut at any byte is an error with a sentence") {
  const std::string reply = list({
      Said{.name = "x.a", .specs = {spec(keyword("k", -1), keynum(0, 1, 1))}}.ten(),
      Said{.name = "x.b", .subcommands = {Said{.name = "x.b|c"}.ten()}}.ten(),
      Said{.name = "x.d"}.six(),
  });
  CHECK(error_of(reply).empty());
  for (std::size_t i = 0; i < reply.size(); ++i) {
    CAPTURE(i);
    CHECK(error_of(reply.substr(0, i)) == "the server's reply to COMMAND breaks off");
  }
  CHECK(error_of(reply + "+").find("goes on after its end") != std::string::npos);
  for (std::size_t i = 0; i < real_reply().size(); i += 997) {
    CHECK_FALSE(error_of(real_reply().substr(0, i)).empty());
  }
}

TEST_CASE("what is no list of commands is refused, and says where") {
  const std::string start = "the server's reply to COMMAND should have ";
  CHECK(error_of("+OK\r\n") == start + "a list at byte 0");
  CHECK(error_of("*1\r\n:1\r\n") == start + "a list at byte 4");
  CHECK(error_of("*x\r\n") == start + "a list at byte 0");
  CHECK(error_of("*-2\r\n") == start + "a list at byte 0");
  CHECK(error_of("*1\r\n*1\r\n+get\r\n") == start + "a command of at least 6 elements at byte 4");
  CHECK(error_of("*0\r\n") == "the server's reply to COMMAND names no command");
  CHECK(error_of("*-1\r\n") == "the server's reply to COMMAND names no command");
  CHECK(error_of(list({Said{.name = "a\r\nb"}.six()})) == start + "a command's name at byte 8");
  CHECK(error_of(list({Said{.name = ""}.six()})) == start + "a command's name at byte 8");
  CHECK(error_of(list({Said{.name = "a", .arity = 40'000}.six()})) ==
        start + "a number in range at byte 15");
  const Result<Table> refused = CommandTable::learn("-NOPERM no 'command' for you\r\n");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == Errc::denied);
  CHECK(refused.error().text() == "the server refuses COMMAND: NOPERM no 'command' for you");
}

TEST_CASE("too much of anything is refused") {
  const auto code_of = [](std::string_view reply) {
    const Result<Table> table = CommandTable::learn(reply);
    return table ? Errc::internal : table.error().code();
  };
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < kMaxCommands; ++i) {
    const std::string name = "c" + std::to_string(i);
    entries.push_back(Said{.name = name}.six());
  }
  CHECK(learn(entries)->size() == kMaxCommands);
  entries.push_back(Said{.name = "c"}.six());
  CHECK(code_of(list(entries)) == Errc::limit);
  CHECK(code_of(list({Said{.name = std::string(128, 'n')}.six()})) == Errc::internal);
  const std::string long_name(129, 'n');
  CHECK(code_of(list({Said{.name = long_name}.six()})) == Errc::limit);
  CHECK(code_of(std::string(kMaxCommandReply + 1, '*')) == Errc::limit);
  // Deep nesting where it is passed over, and where it is read.
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "*1\r\n";
  CHECK(code_of(deep) == Errc::protocol);
  CHECK(code_of("*1\r\n*7\r\n+a\r\n:1\r\n*0\r\n:0\r\n:0\r\n:0\r\n" + deep) == Errc::protocol);
}
