// Adding up what several servers tell about themselves.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "roles/shard_proxy/memcache_stats.hpp"

using namespace consort::shard_proxy;

namespace {

/// Rows as one reply: {"STAT a 1"} is "STAT a 1\r\nEND\r\n".
std::string reply(const std::vector<std::string>& rows) {
  std::string text;
  for (const std::string& row : rows) text += row + "\r\n";
  return text + "END\r\n";
}

std::string merged(StatsQuery query, const std::vector<std::string>& replies) {
  return merge_stats(query, {replies.begin(), replies.end()});
}

/// What becomes of one name of plain `stats`.
std::string value_of(const std::string& name, const std::vector<std::string>& values) {
  std::vector<std::string> replies;
  for (const std::string& value : values) {
    std::string row = "STAT ";
    row.append(name).append(" ").append(value);
    replies.push_back(reply({row}));
  }
  std::string text = merged({StatsKind::other}, replies);
  std::string head = "STAT " + name + " ";
  REQUIRE(text.starts_with(head));
  return text.substr(head.size(), text.find("\r\n") - head.size());
}

}  // namespace

TEST_CASE("plain stats are added up by name, in the first server's order") {
  CHECK(merged({StatsKind::general}, {reply({"STAT pid 7", "STAT cmd_get 2", "STAT bytes 10"}),
                                      reply({"STAT pid 5", "STAT bytes 1", "STAT cmd_get 3"})}) ==
        reply({"STAT pid 5", "STAT cmd_get 5", "STAT bytes 11", "STAT proxy_servers 2"}));
}

TEST_CASE("a name that only some servers have is the sum of those, after the others") {
  CHECK(merged({StatsKind::other}, {reply({"STAT a 1"}), reply({"STAT new 4", "STAT a 2"}),
                                    reply({"STAT new 1"})}) == reply({"STAT a 3", "STAT new 5"}));
  CHECK(merged({StatsKind::other}, {reply({}), reply({})}) == reply({}));
}

TEST_CASE("names that are no counters follow their meaning") {
  CHECK(value_of("uptime", {"30", "9", "10"}) == "9");
  CHECK(value_of("time", {"30", "29"}) == "29");
  CHECK(value_of("version", {"1.6.18", "1.6.9", "1.6.21"}) == "1.6.9");
  CHECK(value_of("version", {"2", "1"}) == "1");
  CHECK(value_of("libevent", {"2.1.12-stable", "2.1.8-stable"}) == "2.1.12-stable");
  CHECK(value_of("pointer_size", {"64", "64"}) == "64");
  CHECK(value_of("rusage_user", {"0.900000", "1.200001"}) == "2.100001");
  CHECK(value_of("rusage_system", {"0.000000", "0.000009"}) == "0.000009");
  CHECK(value_of("max_connections", {"1024", "1024"}) == "2048");
  CHECK(value_of("accepting_conns", {"1", "0"}) == "0");
  CHECK(value_of("threads", {"4", "4"}) == "8");
  CHECK(value_of("limit_maxbytes", {"67108864", "67108864"}) == "134217728");
  CHECK(value_of("hash_power_level", {"16", "17"}) == "17");
  CHECK(value_of("hash_is_expanding", {"1", "0"}) == "1");
  CHECK(value_of("slab_reassign_running", {"0", "1", "1"}) == "1");
  CHECK(value_of("items:3:age", {"5", "70"}) == "70");
  CHECK(value_of("items:3:evicted_time", {"0", "70", "40", "0"}) == "40");
  CHECK(value_of("3:chunk_size", {"96", "96"}) == "96");
}

TEST_CASE("what is no number is the first server's, and a sum never wraps") {
  CHECK(value_of("x", {"yes", "no"}) == "yes");
  CHECK(value_of("x", {"1", "no", "2"}) == "1");
  CHECK(value_of("x", {"no", "1", "2"}) == "no");
  CHECK(value_of("x", {"-1", "2"}) == "-1");
  CHECK(value_of("x", {"0.80", "0.80"}) == "0.80");
  CHECK(value_of("x", {"a b", "c"}) == "a b");
  CHECK(value_of("x", {"", ""}).empty());
  CHECK(value_of("rusage_user", {"1.5", "1.5"}) == "1.5");
  CHECK(value_of("x", {"18446744073709551615", "1"}) == "18446744073709551615");
  CHECK(value_of("x", {"18446744073709551616", "1"}) == "18446744073709551616");
}

TEST_CASE("items are merged per class, and classes stand in their order") {
  CHECK(merged({StatsKind::items},
               {reply({"STAT items:2:number 1", "STAT items:2:age 9", "STAT items:12:number 4",
                       "STAT items:12:age 1"}),
                reply({"STAT items:5:number 7", "STAT items:5:age 2", "STAT items:12:number 6",
                       "STAT items:12:age 3", "STAT items:12:fresh 1"})}) ==
        reply({"STAT items:2:number 1", "STAT items:2:age 9", "STAT items:5:number 7",
               "STAT items:5:age 2", "STAT items:12:number 10", "STAT items:12:age 3",
               "STAT items:12:fresh 1"}));
}

TEST_CASE("slabs have their totals last, and a class of several servers counts once") {
  CHECK(merged({StatsKind::slabs}, {reply({"STAT 1:chunk_size 96", "STAT 1:used_chunks 2",
                                           "STAT active_slabs 1", "STAT total_malloced 100"}),
                                    reply({"STAT 1:chunk_size 96", "STAT 1:used_chunks 3",
                                           "STAT 4:chunk_size 192", "STAT 4:used_chunks 1",
                                           "STAT active_slabs 2", "STAT total_malloced 200"})}) ==
        reply({"STAT 1:chunk_size 96", "STAT 1:used_chunks 5", "STAT 4:chunk_size 192",
               "STAT 4:used_chunks 1", "STAT active_slabs 2", "STAT total_malloced 300"}));
  std::string empty = reply({"STAT active_slabs 0", "STAT total_malloced 0"});
  CHECK(merged({StatsKind::slabs}, {empty, empty}) == empty);
}

TEST_CASE("sizes are added up per size, in the order of sizes") {
  CHECK(merged({StatsKind::sizes}, {reply({"STAT 64 1", "STAT 1088 2"}), reply({}),
                                    reply({"STAT 96 5", "STAT 64 2"})}) ==
        reply({"STAT 64 3", "STAT 96 5", "STAT 1088 2"}));
  std::string disabled = reply({"STAT sizes_status disabled"});
  CHECK(merged({StatsKind::sizes}, {disabled, disabled}) == disabled);
}

TEST_CASE("a dump of prefixes is added up per prefix, the empty one too") {
  CHECK(merged({StatsKind::prefixes},
               {reply({"PREFIX foo get 1 hit 1 set 2 del 1", "PREFIX  get 1 hit 0 set 0 del 0"}),
                reply({"PREFIX bar get 9 hit 8 set 7 del 6", "PREFIX foo get 4 hit 3 set 2 del 1"}),
                reply({"PREFIX  get 2 hit 1 set 0 del 0"})}) ==
        reply({"PREFIX foo get 5 hit 4 set 4 del 2", "PREFIX  get 3 hit 1 set 0 del 0",
               "PREFIX bar get 9 hit 8 set 7 del 6"}));
}

TEST_CASE("lists stand one after another, at most as many lines as were asked for") {
  std::vector<std::string> replies = {reply({"ITEM a [1 b; 0 s]", "ITEM b [1 b; 0 s]"}),
                                      reply({"ITEM c [1 b; 0 s]"})};
  std::string all = reply({"ITEM a [1 b; 0 s]", "ITEM b [1 b; 0 s]", "ITEM c [1 b; 0 s]"});
  CHECK(merged(stats_query("cachedump", "1", "0"), replies) == all);
  CHECK(merged(stats_query("cachedump", "1", "3"), replies) == all);
  CHECK(merged(stats_query("cachedump", "1", "2"), replies) == replies[0]);
  CHECK(merged(stats_query("cachedump", "1", "1"), replies) == reply({"ITEM a [1 b; 0 s]"}));
  CHECK(merged(stats_query("conns", "", ""),
               {reply({"STAT 9:state x"}), reply({"STAT 9:state y"})}) ==
        reply({"STAT 9:state x", "STAT 9:state y"}));
}

TEST_CASE("every form of stats has its way of becoming one answer") {
  CHECK(stats_query("", "", "").kind == StatsKind::general);
  CHECK(stats_query("settings", "x", "").kind == StatsKind::settings);
  CHECK(stats_query("detail", "dump", "").kind == StatsKind::prefixes);
  for (const char* word : {"on", "off", "", "DUMP"}) {
    CHECK(stats_query("detail", word, "").kind == StatsKind::order);
  }
  CHECK(stats_query("reset", "", "").kind == StatsKind::order);
  CHECK(stats_query("sizes_enable", "", "").kind == StatsKind::endless);
  CHECK(stats_query("sizes_disable", "x", "").kind == StatsKind::endless);
  CHECK(stats_query("ITEMS", "", "").kind == StatsKind::other);
  CHECK(stats_query("proxy", "", "").kind == StatsKind::other);
}

TEST_CASE("rows that are no statistics are left out, and cut replies do no harm") {
  CHECK(merged({StatsKind::other}, {"STAT a 1\nFROB b 2\nSTAT\r\nEND\r\n", "STAT a 5\r\nEND\r\n"})
            .starts_with("STAT a 6\r\n"));
  for (const char* cut : {"", "\n", "END", "STAT a 1"}) {
    CHECK(merged({StatsKind::other}, {cut, cut}) == reply({}));
    CHECK(merged({StatsKind::prefixes}, {cut, cut}) == reply({}));
    CHECK(merged({StatsKind::listed}, {cut, cut}) == reply({}));
  }
}

TEST_CASE("the last line of a reply says how it ended") {
  CHECK(last_line("STAT a 1\r\nEND\r\n") == "END");
  CHECK(last_line("ERROR\r\n") == "ERROR");
  CHECK(last_line("STAT a 1\nSERVER_ERROR out of memory\n") == "SERVER_ERROR out of memory");
  CHECK(last_line("").empty());
}

TEST_CASE("versions are compared number by number") {
  CHECK(is_lower_version("1.6.9", "1.6.18"));
  CHECK(!is_lower_version("1.6.18", "1.6.9"));
  CHECK(!is_lower_version("1.6.18", "1.6.18"));
  CHECK(is_lower_version("1.6", "1.6.1"));
  CHECK(!is_lower_version("1.6.1", "1.6"));
  CHECK(is_lower_version("1.6.0-beta1", "1.6.0-beta2"));
  CHECK(is_lower_version("1.6.0", "1.6.0_4"));
  CHECK(is_lower_version("1.5.22", "1.6.0-beta1"));
  CHECK(is_lower_version("", "1"));
  CHECK(!is_lower_version("1", ""));
}
