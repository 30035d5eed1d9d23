// The replies of several Redis servers as one: numbers, lists, logs, reports.
#include <doctest/doctest.h>

#include "base/random.hpp"
#include "roles/shard_proxy/redis_fanout.hpp"
#include "shard_proxy_merge_support.hpp"
#include "wire/resp.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

TEST_CASE("numbers are folded alone and element by element") {
  CHECK(merge("DBSIZE", {":3\r\n", ":0\r\n", ":39\r\n"}) == ":42\r\n");
  CHECK(merge("LASTSAVE", {":30\r\n", ":10\r\n", ":20\r\n"}) == ":10\r\n");
  CHECK(merge("WAIT 1 0", {":1\r\n", ":0\r\n"}) == ":0\r\n");
  CHECK(merge("PUBSUB NUMPAT", {":2\r\n", ":3\r\n"}) == ":3\r\n");
  CHECK(merge("ACL DELUSER a b", {":2\r\n", ":1\r\n"}) == ":2\r\n");
  CHECK(merge("SCRIPT EXISTS a b", {list({":1\r\n", ":1\r\n"}), list({":1\r\n", ":0\r\n"})}) ==
        list({":1\r\n", ":0\r\n"}));
  CHECK(merge_with(merge_logical_or, {":0\r\n", ":7\r\n"}) == ":1\r\n");
  CHECK(merge_with(merge_max, {list({":1\r\n", ":9\r\n"}), list({":5\r\n", ":2\r\n"})}) ==
        list({":5\r\n", ":9\r\n"}));
}

TEST_CASE("numbers that do not fit together are an error, not a wrong sum") {
  const std::string_view most = ":9223372036854775807\r\n";
  CHECK(merge("DBSIZE", {std::string(most), ":1\r\n"}) == kUnlikeReplies);
  CHECK(merge("DBSIZE", {":1\r\n", "+OK\r\n"}) == kUnlikeReplies);
  CHECK(merge("SCRIPT EXISTS a", {list({":1\r\n"}), list({})}) == kUnlikeReplies);
  CHECK(merge("SCRIPT EXISTS a", {list({":1\r\n"}), ":1\r\n"}) == kUnlikeReplies);
  CHECK(merge("DBSIZE", {}) == kUnlikeReplies);
}

TEST_CASE("the first error speaks for all, but a kill needs only one success") {
  CHECK(merge("FLUSHALL", {"+OK\r\n", "+OK\r\n"}) == "+OK\r\n");
  CHECK(merge("FLUSHALL", {"+OK\r\n", "-ERR a\r\n", "-ERR b\r\n"}) == "-ERR a\r\n");
  const std::string idle = "-NOTBUSY No scripts in execution right now.\r\n";
  CHECK(merge("SCRIPT KILL", {idle, "+OK\r\n", idle}) == "+OK\r\n");
  CHECK(merge("FUNCTION KILL", {idle, idle}) == idle);
  CHECK(merge("SCRIPT KILL", {idle, "-UNKILLABLE Sorry\r\n"}) == idle);
}

TEST_CASE("KEYS lists the keys of all servers") {
  CHECK(merge("KEYS *", {list({bulk("a")}), list({}), list({bulk("b"), bulk("c")})}) ==
        list({bulk("a"), bulk("b"), bulk("c")}));
  CHECK(merge("KEYS *", {list({}), list({})}) == "*0\r\n");
  CHECK(merge("KEYS *", {list({}), "*-1\r\n"}) == kUnlikeReplies);
  CHECK(merge_with(merge_concat, {"%1\r\n+a\r\n:1\r\n", "%1\r\n+b\r\n:2\r\n"}) ==
        "%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n");
}

TEST_CASE("RANDOMKEY is of a server that has keys") {
  CHECK(merge("RANDOMKEY", {"$-1\r\n", bulk("b"), "$-1\r\n"}, 7) == bulk("b"));
  CHECK(merge("RANDOMKEY", {bulk("a"), ":1\r\n"}) == kUnlikeReplies);
  CHECK(merge("RANDOMKEY", {bulk("a"), bulk("b")}, 2) == bulk("a"));
  CHECK(merge("RANDOMKEY", {bulk("a"), bulk("b")}, 3) == bulk("b"));
  CHECK(merge("RANDOMKEY", {"_\r\n", "_\r\n"}, 3) == "_\r\n");
}

TEST_CASE("channels are listed once, and their subscribers added") {
  CHECK(merge("PUBSUB CHANNELS", {list({bulk("a"), bulk("b")}), list({bulk("b"), bulk("c")})}) ==
        list({bulk("a"), bulk("b"), bulk("c")}));
  const std::string one = list({bulk("a"), ":1\r\n", bulk("b"), ":0\r\n"});
  const std::string two = list({bulk("a"), ":2\r\n", bulk("b"), ":5\r\n"});
  CHECK(merge("PUBSUB NUMSUB a b", {one, two}) == list({bulk("a"), ":3\r\n", bulk("b"), ":5\r\n"}));
  CHECK(merge("PUBSUB NUMSUB", {"*0\r\n", "*0\r\n"}) == "*0\r\n");
  const std::string other = list({bulk("b"), ":2\r\n", bulk("a"), ":5\r\n"});
  CHECK(merge("PUBSUB NUMSUB a b", {one, other}) == kUnlikeReplies);
}

TEST_CASE("the slow log is the newest of all servers, as many as were asked for") {
  auto entry = [](int id, int time) {
    return list({integer(id), integer(time), ":9\r\n", list({bulk("GET")})});
  };
  const std::string a = list({entry(2, 30), entry(1, 10)});
  const std::string b = list({entry(9, 40), entry(8, 30), entry(7, 5)});
  CHECK(merge("SLOWLOG GET", {a, b}) ==
        list({entry(9, 40), entry(2, 30), entry(8, 30), entry(1, 10), entry(7, 5)}));
  CHECK(merge("SLOWLOG GET 2", {a, b}) == list({entry(9, 40), entry(2, 30)}));
  CHECK(merge("SLOWLOG GET 0", {"*0\r\n", "*0\r\n"}) == "*0\r\n");
  std::vector<std::string> many;
  for (int i = 0; i < 12; ++i) many.push_back(entry(i, 12 - i));
  CHECK(merge("SLOWLOG GET", {list(many), a}).starts_with("*10\r\n"));
  CHECK(merge("SLOWLOG GET -1", {list(many), a}).starts_with("*14\r\n"));
  CHECK(merge("SLOWLOG GET", {a, list({bulk("x")})}) == kUnlikeReplies);
}

TEST_CASE("the ACL log is in the order of age, in both dialects") {
  auto entry = [](const std::string& user, const std::string& age) {
    return list({bulk("username"), bulk(user), bulk("age-seconds"), bulk(age)});
  };
  CHECK(merge("ACL LOG", {list({entry("a", "1.5"), entry("b", "20")}), list({entry("c", "7")})}) ==
        list({entry("a", "1.5"), entry("c", "7"), entry("b", "20")}));
  const std::string young = "%1\r\n$11\r\nage-seconds\r\n,1\r\n";
  const std::string old = "%1\r\n$11\r\nage-seconds\r\n,2.5\r\n";
  CHECK(merge("ACL LOG 1", {list({old}), list({young})}) == list({young}));
  CHECK(merge("ACL LOG RESET", {"+OK\r\n", "+OK\r\n"}) == "+OK\r\n");
  CHECK(merge("ACL LOG", {list({"*0\r\n"})}) == kUnlikeReplies);
}

TEST_CASE("latency events keep the newest sample and the highest of all") {
  auto event = [](const std::string& name, int time, int latest, int max) {
    return list({bulk(name), integer(time), integer(latest), integer(max)});
  };
  CHECK(merge("LATENCY LATEST", {list({event("command", 100, 5, 50)}),
                                 list({event("fork", 90, 1, 1), event("command", 120, 3, 7)})}) ==
        list({event("command", 120, 3, 50), event("fork", 90, 1, 1)}));
  auto sample = [](int time, int latency) { return list({integer(time), integer(latency)}); };
  CHECK(merge("LATENCY HISTORY command",
              {list({sample(10, 5), sample(30, 2)}), list({sample(20, 1), sample(30, 9)})}) ==
        list({sample(10, 5), sample(20, 1), sample(30, 9)}));
  CHECK(merge("LATENCY LATEST", {list({list({bulk("x")})})}) == kUnlikeReplies);
  CHECK(merge("LATENCY HISTORY x", {list({":1\r\n"})}) == kUnlikeReplies);
}

TEST_CASE("cumulative counts of latency add as step functions") {
  auto get = [](int calls, const std::vector<std::string>& buckets) {
    return list({bulk("get"),
                 list({bulk("calls"), integer(calls), bulk("histogram_usec"), list(buckets)})});
  };
  const std::string a = get(5, {":16\r\n", ":1\r\n", ":33\r\n", ":5\r\n"});
  const std::string b = get(3, {":8\r\n", ":2\r\n", ":33\r\n", ":3\r\n"});
  CHECK(merge("LATENCY HISTOGRAM", {a, b}) ==
        get(8, {":8\r\n", ":2\r\n", ":16\r\n", ":3\r\n", ":33\r\n", ":8\r\n"}));
  CHECK(merge("LATENCY HISTOGRAM", {a, "*0\r\n"}) == a);
  const std::string map = "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n";
  CHECK(
      merge("LATENCY HISTOGRAM", {map + "%1\r\n:4\r\n:1\r\n", map + "%1\r\n:4\r\n:1\r\n"}) ==
      "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n%1\r\n:4\r\n:2\r\n");
  CHECK(merge("LATENCY HISTOGRAM", {a, "%0\r\n"}) == kUnlikeReplies);
}

TEST_CASE("reports for people stand under the names of their servers") {
  CHECK(merge("MEMORY DOCTOR", {bulk("fine\n"), bulk("sick")}) ==
        bulk("# s0:6379\nfine\n\n# s1:6379\nsick\n"));
  CHECK(merge("LATENCY DOCTOR", {"=6\r\ntxt:ok\r\n"}) == "=17\r\ntxt:# s0:6379\nok\n\r\n");
  CHECK(merge("MEMORY DOCTOR", {bulk("fine"), ":1\r\n"}) == kUnlikeReplies);
}

TEST_CASE("MEMORY STATS adds sizes and averages ratios, database by database") {
  auto database = [](int bytes) { return list({bulk("overhead.hashtable.main"), integer(bytes)}); };
  const std::string a =
      list({bulk("peak.allocated"), ":150\r\n", bulk("total.allocated"), ":100\r\n",
            bulk("startup.allocated"), ":10\r\n", bulk("db.3"), database(3), bulk("keys.count"),
            ":4\r\n", bulk("keys.bytes-per-key"), ":22\r\n", bulk("fragmentation"), bulk("1.5")});
  const std::string b =
      list({bulk("peak.allocated"), ":200\r\n", bulk("total.allocated"), ":130\r\n",
            bulk("startup.allocated"), ":20\r\n", bulk("db.0"), database(5), bulk("db.3"),
            database(1), bulk("keys.count"), ":6\r\n", bulk("keys.bytes-per-key"), ":18\r\n",
            bulk("fragmentation"), bulk("2")});
  CHECK(merge("MEMORY STATS", {a, b}) ==
        list({bulk("peak.allocated"), ":230\r\n", bulk("total.allocated"), ":230\r\n",
              bulk("startup.allocated"), ":30\r\n", bulk("db.0"), database(5), bulk("db.3"),
              database(4), bulk("keys.count"), ":10\r\n", bulk("keys.bytes-per-key"), ":20\r\n",
              bulk("fragmentation"), bulk("1.75")}));
  CHECK(merge("MEMORY STATS", {"%1\r\n+x\r\n,1\r\n", "%1\r\n+x\r\n,2\r\n"}) ==
        "%1\r\n$1\r\nx\r\n,1.5\r\n");
  CHECK(merge("MEMORY STATS", {a, list({bulk("db.3"), ":1\r\n"})}) == kUnlikeReplies);
  CHECK(merge("MEMORY STATS", {list({bulk("db.0"), list({bulk("x"), list({bulk("y")})})})}) ==
        kUnlikeReplies);
}

TEST_CASE("attributes before a reply are not taken for it") {
  const std::string attribute = "|1\r\n+ttl\r\n*1\r\n:5\r\n";
  CHECK(merge("DBSIZE", {attribute + ":1\r\n", ":2\r\n"}) == ":3\r\n");
  CHECK(merge("KEYS *", {attribute + list({bulk("a")}), list({bulk("b")})}) ==
        list({bulk("a"), bulk("b")}));
  CHECK(merge("FLUSHALL", {"+OK\r\n", attribute + "-ERR no\r\n"}) == attribute + "-ERR no\r\n");
}

// What servers send is theirs to choose: every merge must answer anything with one whole reply.
TEST_CASE("any well-formed replies give one well-formed reply") {
  const std::vector<std::string> pieces = {
      "*2\r\n",
      "*1\r\n",
      "%1\r\n",
      "~2\r\n",
      "*0\r\n",
      "%2\r\n",
      "|1\r\n",
      ">1\r\n",
      ":1\r\n",
      ":-9223372036854775808\r\n",
      ",1.5\r\n",
      ",inf\r\n",
      "+x\r\n",
      "$-1\r\n",
      "*-1\r\n",
      "_\r\n",
      "#t\r\n",
      "(12\r\n",
      "$0\r\n\r\n",
      "=3\r\nabc\r\n",
      "!3\r\nERR\r\n",
      "-ERR\r\n",
      bulk("db.0"),
      bulk("calls"),
      bulk("histogram_usec"),
      bulk("age-seconds"),
      bulk("# A\r\ndb0:keys=1\r\nslave0:x\r\n:\r\nused_memory:nan\r\nmodule\r\n")};
  Random random(7);
  std::size_t merged = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::vector<std::string> replies(1 + random.below(3));
    for (std::string& reply : replies) {
      resp::ReplyScanner scanner;
      resp::ReplyScanner::Step step{resp::Progress::more, 0};
      while (step.progress == resp::Progress::more) {
        const std::string& piece = pieces[random.below(pieces.size())];
        reply += piece;
        step = scanner.scan(piece);
        if (reply.size() > 4000) {
          reply = "*0\r\n";
          break;
        }
      }
    }
    for (MergeFunction function : kAllMerges) {
      const std::string out = merge_with(function, replies);
      resp::ReplyScanner scanner;
      const resp::ReplyScanner::Step step = scanner.scan(out);
      const bool is_whole = step.progress == resp::Progress::done && step.used == out.size();
      if (!is_whole) FAIL_CHECK("not one reply: " << out);
      merged += out == kUnlikeReplies ? 0 : 1;
    }
  }
  CHECK(merged > 8'000);
}
