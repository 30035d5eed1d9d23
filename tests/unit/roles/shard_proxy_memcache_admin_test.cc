// memcached commands that concern whole servers, before one and before several.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

const std::string kNotShared = "SERVER_ERROR not available through a shared connection\r\n";

/// Every server answers `stats...` with this list, "#" being its number from 1.
void tell(MemcacheWorld& proxy, std::size_t servers, const std::string& rows) {
  for (std::size_t i = 0; i < servers; ++i) {
    std::string mine = rows;
    for (char& c : mine) c = c == '#' ? static_cast<char>('1' + i) : c;
    proxy.server(i).special = [mine](const Words& words) -> std::optional<std::string> {
      if (words[0] != "stats") return std::nullopt;
      return mine + "END\r\n";
    };
  }
}

}  // namespace

TEST_CASE("statistics of one server pass as they are") {
  MemcacheWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  tell(proxy, 1, "STAT pid #\r\nSTAT x 0.80\r\n");
  CHECK(client.ask("stats\r\n") == "STAT pid 1\r\nSTAT x 0.80\r\nEND\r\n");
  CHECK(client.ask("stats  \r\nstats   items \r\n") ==
        "STAT pid 1\r\nSTAT x 0.80\r\nEND\r\nSTAT pid 1\r\nSTAT x 0.80\r\nEND\r\n");
  proxy.server(0).special = nullptr;
  CHECK(client.ask("stats nonsense\r\n") == "ERROR\r\n");
  CHECK(proxy.server(0).log == Lines{"stats", "stats", "stats items", "stats nonsense"});
}

TEST_CASE("statistics of several servers are added up, trailing blanks or not") {
  MemcacheWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  tell(proxy, 4, "STAT pid 1#\r\nSTAT cmd_get #\r\n");
  std::string sum = "STAT pid 11\r\nSTAT cmd_get 10\r\n";
  for (const char* line : {"stats\r\n", "stats \r\n", "  stats   \n"}) {
    CHECK(client.ask(line) == sum + "STAT proxy_servers 4\r\nEND\r\n");
  }
  CHECK(client.ask("stats  frob  1 \r\n") == sum + "END\r\n");
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(proxy.server(i).log == Lines{"stats", "stats", "stats", "stats frob 1"});
  }
}

TEST_CASE("settings are those of one server that is up") {
  MemcacheWorld proxy(2);
  proxy.server(0).at().refuse_next(100);
  proxy.start();
  TestClient& client = proxy.connect();
  tell(proxy, 2, "STAT maxconns #\r\n");
  CHECK(client.ask("stats settings\r\n") == "STAT maxconns 2\r\nEND\r\n");
}

TEST_CASE("a server that fails is never left out of a sum") {
  MemcacheWorld proxy(3);
  proxy.server(1).at().refuse_next(100);
  proxy.start();
  TestClient& client = proxy.connect();
  tell(proxy, 3, "STAT cmd_get #\r\n");
  std::string failure = "SERVER_ERROR b Connection refused\r\n";
  for (const char* line : {"stats\r\n", "stats items\r\n", "stats conns\r\n", "stats reset\r\n",
                           "stats detail dump\r\n", "stats frob\r\n"}) {
    CAPTURE(line);
    CHECK(client.ask(line) == failure);
  }
}

TEST_CASE("an answer of a server that is no statistics is the answer") {
  MemcacheWorld proxy(3);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("stats nonsense\r\n") == "ERROR\r\n");
  tell(proxy, 3, "STAT cmd_get #\r\n");
  proxy.server(2).special = [](const Words&) { return "STAT a 1\r\nSERVER_ERROR no memory\r\n"; };
  CHECK(client.ask("stats\r\n") == "SERVER_ERROR no memory\r\n");
}

TEST_CASE("an order to every server is answered once, with the first refusal if there is one") {
  MemcacheWorld proxy(3);
  proxy.start();
  TestClient& client = proxy.connect();
  struct Case {
    std::string line;
    std::string reply;
  };
  for (const Case& each :
       {Case{"stats reset", "RESET\r\n"}, Case{"stats detail on", "OK\r\n"},
        Case{"lru mode flat", "OK\r\n"}, Case{"slabs automove 1", "OK\r\n"},
        Case{"lru_crawler enable", "OK\r\n"}, Case{"cache_memlimit 64", "OK\r\n"},
        Case{"extstore item_size 9", "OK\r\n"}, Case{"refresh_certs", "OK\r\n"}}) {
    CAPTURE(each.line);
    for (std::size_t i = 0; i < 3; ++i) {
      proxy.server(i).special = [&each](const Words&) { return each.reply; };
    }
    CHECK(client.ask(each.line + "\r\n") == each.reply);
    proxy.server(1).special = [](const Words&) { return "BUSY not now\r\n"; };
    CHECK(client.ask(each.line + "\r\n") == "BUSY not now\r\n");
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(proxy.server(i).log == Lines{each.line, each.line});
      proxy.server(i).log.clear();
    }
  }
}

TEST_CASE("an order with noreply reaches every server and is never answered") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("lru mode flat noreply\r\nslabs automove 1 noreply noreply\r\nlru noreply\r\n"
                   "extstore x 1 noreply\r\nwatch noreply\r\nmn\r\n") == "MN\r\n");
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(proxy.server(i).log == Lines{"lru mode flat", "slabs automove 1", "extstore x 1"});
  }
}

TEST_CASE("what would hold up every client is refused, and malformed in the server's words") {
  for (std::uint32_t count : {1u, 2u}) {
    MemcacheWorld proxy(count);
    proxy.start();
    TestClient& client = proxy.connect();
    for (const char* line : {"watch\r\n", "watch fetchers\r\n", "lru_crawler metadump all\r\n",
                             "lru_crawler mgdump 1\r\n"}) {
      CHECK(client.ask(line) == kNotShared);
    }
    CHECK(client.ask("watch nonsense\r\nlru_crawler metadump\r\nlru_crawler nonsense all\r\n") ==
          "ERROR\r\nERROR\r\nERROR\r\n");
    CHECK(client.ask("shutdown\r\nshutdown graceful\r\n") ==
          "ERROR: shutdown not enabled\r\nERROR: shutdown not enabled\r\n");
    CHECK(proxy.server(0).log.empty());
  }
}

TEST_CASE("the version is the lowest of the servers that answer") {
  MemcacheWorld proxy(3);
  std::string versions[] = {"1.6.18", "1.6.9", "1.6.21"};
  for (std::size_t i = 0; i < 3; ++i) {
    proxy.server(i).special = [version = versions[i]](const Words&) {
      return "VERSION " + version + "\r\n";
    };
  }
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("version\r\nversion x \r\n") == "VERSION 1.6.9\r\nVERSION 1.6.9\r\n");
  proxy.server(1).peer().close();
  proxy.server(1).at().refuse_next(100);
  proxy.settle();
  CHECK(client.ask("version\r\n") == "VERSION 1.6.18\r\n");
}

TEST_CASE("a pipelined mixture keeps its order, whichever server is slow") {
  MemcacheWorld proxy(3);
  proxy.start();
  TestClient& client = proxy.connect();
  tell(proxy, 3, "STAT cmd_get #\r\n");
  std::string a = proxy.key_on(0);
  std::string sum = "STAT cmd_get 6\r\nSTAT proxy_servers 3\r\nEND\r\n";
  proxy.server(2).hold();
  client.send("set " + a + " 0 0 1\r\nx\r\nstats\r\nget " + a +
              "\r\nstats settings\r\nflush_all\r\nstats\r\nget " + a + "\r\nmn\r\n");
  CHECK(client.take() == "STORED\r\n");
  proxy.server(2).release();
  CHECK(client.take() == sum + "VALUE " + a + " 0 1\r\nx\r\nEND\r\n" +
                             "STAT cmd_get 1\r\nEND\r\nOK\r\n" + sum + "END\r\nMN\r\n");
}
