// memcached clients: multi-gets over servers, noreply and quiet commands, and bytes that would
// shift replies to somebody else.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

std::string value(const std::string& key, const std::string& text, const std::string& cas = "") {
  return "VALUE " + key + " 0 " + std::to_string(text.size()) + cas + "\r\n" + text + "\r\n";
}

// Every odd one of these keys is stored.
std::vector<std::string> spread_keys(MemcacheWorld& proxy) {
  std::vector<std::string> keys;
  for (std::uint32_t i = 0; i < 12; ++i) {
    keys.push_back(proxy.key_on(i * 3 % 4, i / 4));
    if (i % 2 == 1) proxy.server(i * 3 % 4).data[keys.back()] = "<" + keys.back() + ">";
  }
  return keys;
}

}  // namespace

TEST_CASE("storage and retrieval of one key go to the server that owns it") {
  MemcacheWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::uint32_t i = 0; i < 4; ++i) {
    std::string key = proxy.key_on(i);
    CHECK(client.ask("set " + key + " 0 0 5\r\nhello\r\n") == "STORED\r\n");
    CHECK(proxy.server(i).log == Lines{"set " + key + " 0 0 5"});
    CHECK(client.ask("get " + key + "\r\n") == value(key, "hello") + "END\r\n");
    CHECK(client.ask("delete " + key + "\r\n") == "DELETED\r\n");
    CHECK(client.ask("delete " + key + "\r\n") == "NOT_FOUND\r\n");
  }
}

TEST_CASE("a multi-get over four servers answers in the order of its keys") {
  for (const char* command : {"get", "gets", "gat 100", "gats 100"}) {
    CAPTURE(command);
    MemcacheWorld proxy(4);
    proxy.start();
    TestClient& client = proxy.connect();
    std::vector<std::string> keys = spread_keys(proxy);
    keys.push_back(keys[1]);
    keys.push_back(keys[5]);
    keys.push_back(keys[1]);
    keys.push_back(keys[0]);
    std::string request = command;
    std::string expected;
    bool with_cas = std::string_view(command).starts_with("gats") ||
                    std::string_view(command).starts_with("gets");
    for (const std::string& key : keys) {
      request += " " + key;
      auto& data = proxy.server(proxy.owner_of(key)).data;
      if (data.contains(key)) expected += value(key, data[key], with_cas ? " 77" : "");
    }
    CHECK(client.ask(request + "\r\n") == expected + "END\r\n");
    for (std::size_t i = 0; i < 4; ++i) CHECK(proxy.server(i).log.size() == 1);
  }
}

TEST_CASE("a value may look like any line of the protocol") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  std::string tricky = "END\r\nVALUE " + b + " 0 1\r\nx\r\nERROR\r\n";
  proxy.server(0).data[a] = tricky;
  proxy.server(1).data[b] = "";
  CHECK(client.ask("get " + b + " " + a + " " + b + "\r\n") ==
        value(b, "") + value(a, tricky) + value(b, "") + "END\r\n");
}

TEST_CASE("keys of a failed server are misses, or an error line takes END's place") {
  for (PartialMultiget policy : {PartialMultiget::miss, PartialMultiget::error}) {
    MemcacheWorld proxy(2);
    proxy.config.partial_multiget = policy;
    proxy.server(1).at().refuse_next(100);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string a = proxy.key_on(0);
    std::string b = proxy.key_on(1);
    proxy.server(0).data[a] = "1";
    std::string failure = "SERVER_ERROR b Connection refused\r\n";
    CHECK(client.ask("get " + b + " " + a + "\r\n") ==
          value(a, "1") + (policy == PartialMultiget::miss ? "END\r\n" : failure));
    CHECK(client.ask("get " + b + "\r\n") == failure);
    CHECK(client.ask("set " + b + " 0 0 1\r\nx\r\n") == failure);
    CHECK_FALSE(client.ended());
  }
}

TEST_CASE("an error line of one server ends a multi-get with the hits of all") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  proxy.server(0).data[a] = "1";
  proxy.server(1).special = [](const Words&) { return "SERVER_ERROR out of memory\r\n"; };
  CHECK(client.ask("get " + b + " " + a + "\r\n") ==
        value(a, "1") + "SERVER_ERROR out of memory\r\n");
}

TEST_CASE("noreply is not forwarded, and no answer to it passes, errors neither") {
  MemcacheWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("set a 0 0 1 noreply\r\nx\r\n").empty());
  CHECK(client.ask("add a 0 0 1 noreply\r\ny\r\n").empty());
  CHECK(client.ask("delete missing noreply\r\n").empty());
  CHECK(proxy.server(0).log == Lines{"set a 0 0 1", "add a 0 0 1", "delete missing"});
  CHECK(client.ask("get a\r\n") == value("a", "x") + "END\r\n");
  proxy.server(0).special = [](const Words&) { return "SERVER_ERROR out of memory\r\n"; };
  CHECK(client.ask("set a 0 0 1 noreply\r\nx\r\nget a\r\n") == "SERVER_ERROR out of memory\r\n");
}

TEST_CASE("a failure of ours is silent for noreply, for no line is expected") {
  MemcacheWorld proxy(2);
  proxy.server(0).at().refuse_next(100);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string lost = proxy.key_on(0);
  CHECK(client.ask("set " + lost + " 0 0 1 noreply\r\nx\r\n").empty());
  CHECK(client.ask("flush_all noreply\r\n").empty());
  CHECK(client.ask("flush_all\r\n") == "SERVER_ERROR a Connection refused\r\n");
  CHECK(client.ask("touch " + lost + " 1 noreply\r\nmn\r\n") == "MN\r\n");
}

TEST_CASE("a malformed noreply line is as silent as the server would be") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("delete k 5 noreply\r\nmn\r\n") == "MN\r\n");
  CHECK(client.ask("incr k abc noreply\r\nmn\r\n") == "MN\r\n");
  CHECK(client.ask("incr k abc\r\n") == "CLIENT_ERROR invalid numeric delta argument\r\n");
}

TEST_CASE("quiet meta commands say only what the client wants to hear") {
  MemcacheWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(proxy.owner_of("hit")).data["hit"] = "v";
  CHECK(client.ask("mg hit v q O1\r\n") == "VA 1 O1\r\nv\r\n");
  CHECK(client.ask("mg hit q\r\n") == "HD\r\n");
  CHECK(client.ask("mg miss v q O1\r\n").empty());
  CHECK(client.ask("mg miss v O1\r\n") == "EN\r\n");
  CHECK(client.ask("ms new 1 q\r\nx\r\n").empty());
  CHECK(client.ask("md new q\r\n").empty());
  CHECK(client.ask("md new q\r\n") == "NF\r\n");
  CHECK(proxy.server(proxy.owner_of("hit")).log[0] == "mg hit v O1");
  proxy.server(proxy.owner_of("hit")).special = [](const Words&) {
    return "SERVER_ERROR out of memory\r\n";
  };
  CHECK(client.ask("mg hit v q\r\n") == "SERVER_ERROR out of memory\r\n");
  CHECK(client.ask("ms hit 1 q\r\nx\r\n") == "SERVER_ERROR out of memory\r\n");
}

TEST_CASE("mn is answered after everything before it, however slow") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  proxy.server(0).data[a] = "1";
  proxy.server(0).hold();
  CHECK(client.ask("mg " + b + " v q O7\r\nmg " + a + " v q k O8\r\nmn\r\n").empty());
  proxy.server(0).release();
  CHECK(client.take() == "VA 1 k" + a + " O8\r\n1\r\nMN\r\n");
}

TEST_CASE("a base64 key lies where the plain key lies") {
  MemcacheWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("set foo 0 0 3\r\nbar\r\n") == "STORED\r\n");
  CHECK(client.ask("mg Zm9v b v k\r\n") == "VA 3 b kZm9v\r\nbar\r\n");
  CHECK(client.ask("ms Zm9v 1 b\r\nx\r\n") == "HD b\r\n");
  CHECK(client.ask("get foo\r\n") == value("foo", "x") + "END\r\n");
  CHECK(client.ask("mg Zm9 b v\r\n") == "CLIENT_ERROR error decoding key\r\n");
}

TEST_CASE("a bare line feed in a key is the end of a request, never a second reply for another") {
  MemcacheWorld proxy(1);
  proxy.start();
  TestClient& attacker = proxy.connect();
  TestClient& victim = proxy.connect();
  proxy.server(0).data = {{"evil1", "1"}, {"evil2", "2"}, {"mykey", "mine"}};
  proxy.server(0).hold();
  attacker.send("get evil1\nget evil2\r\n");
  proxy.settle();
  victim.send("get mykey\r\n");
  proxy.settle();
  proxy.server(0).release();
  CHECK(attacker.take() == value("evil1", "1") + "END\r\n" + value("evil2", "2") + "END\r\n");
  CHECK(victim.take() == value("mykey", "mine") + "END\r\n");
  CHECK(attacker.ask("get a\rb\r\n") == "CLIENT_ERROR bad command line format\r\n");
  CHECK(attacker.ask(std::string("get a\0b\r\n", 9)).find("VALUE") == std::string::npos);
  CHECK(victim.ask("get mykey\r\n") == value("mykey", "mine") + "END\r\n");
}

TEST_CASE("ill-formed and unknown requests get the server's text, and nothing is closed") {
  MemcacheWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  struct Case {
    std::string request;
    std::string reply;
  };
  const std::string bad = "CLIENT_ERROR bad command line format\r\n";
  const Case cases[] = {
      {"nosuch\r\n", "ERROR\r\n"},
      {"\r\n", "ERROR\r\n"},
      {"get\r\n", "ERROR\r\n"},
      {"GET a\r\n", "ERROR\r\n"},
      {"get " + std::string(251, 'k') + "\r\n", bad},
      {"get " + std::string(250, 'k') + "\r\n", "END\r\n"},
      {"set a 0 0 -1\r\n", bad},
      {"set a b c d\r\n", bad},
      {"incr a x\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n"},
      {"gat 10\r\n", "END\r\n"},
      {"touch a x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
      {"verbosity\r\n", "ERROR\r\n"},
      {"version\r\n", "VERSION 1.6.18\r\n"},
      {"watch\r\n", "SERVER_ERROR not available through a shared connection\r\n"},
      {"  get   a  \r\n", "END\r\n"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.request);
    CHECK(client.ask(each.request) == each.reply);
  }
  CHECK_FALSE(client.ended());
  CHECK(client.ask("set a 0 0 3\r\nabcd\r\n") == "CLIENT_ERROR bad data chunk\r\nERROR\r\n");
  CHECK(client.ask("set a 0 0 3\r\nabc\r\n") == "STORED\r\n");
}

TEST_CASE("quit and the binary protocol end the connection after what is owed") {
  MemcacheWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.send("get a\r\nquit\r\nget b\r\n");
  CHECK(client.take().empty());
  proxy.server(0).release();
  CHECK(client.take() == "END\r\n");
  CHECK(client.ended());
  TestClient& binary = proxy.connect();
  CHECK(binary.ask("\x80\x0a").empty());
  CHECK(binary.ended());
}

TEST_CASE("a value that the server finds too large is refused while its body is still coming") {
  MemcacheWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  proxy.server(0).data["k"] = "v";
  // The server answers when it has seen the line; the window is smaller than the body.
  sim::SimPeer& server = proxy.server(0).peer();
  proxy.server(0).at().on_data = nullptr;
  client.send("set a 0 0 2000000\r\n" + std::string(2'000'000, 'x') + "\r\n");
  proxy.run_turn();
  proxy.run_turn();
  other.send("get k\r\n");
  proxy.settle();
  CHECK(server.received().starts_with("set a 0 0 2000000\r\n"));
  server.send("SERVER_ERROR object too large for cache\r\n");
  CHECK(client.take() == "SERVER_ERROR object too large for cache\r\n");
  CHECK(server.received().ends_with("xx\r\nget k\r\n"));
  server.send("VALUE k 0 1\r\nv\r\nEND\r\n");
  CHECK(other.take() == value("k", "v") + "END\r\n");
}

TEST_CASE("a body beyond every limit is thrown away and the next request is read in step") {
  MemcacheWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  const std::size_t size = (128u << 20) + 1;
  client.send("set a 0 0 " + std::to_string(size) + "\r\n");
  std::string piece(8 << 20, 'x');
  for (std::size_t left = size + 2; left > 0; left -= std::min(left, piece.size())) {
    client.send(std::string_view(piece).substr(0, std::min(left, piece.size())));
    proxy.settle();
  }
  CHECK(client.take() == "SERVER_ERROR object too large for cache\r\n");
  CHECK(client.ask("get k\r\n") == "END\r\n");
  CHECK(proxy.server(0).log == Lines{"get k"});
}

TEST_CASE("flush_all and verbosity reach every server and are OK when all of them are") {
  MemcacheWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  spread_keys(proxy);
  CHECK(client.ask("flush_all 0\r\nverbosity 1\r\n") == "OK\r\nOK\r\n");
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(proxy.server(i).data.empty());
    CHECK(proxy.server(i).log == Lines{"flush_all 0", "verbosity 1"});
  }
  CHECK(client.ask("flush_all noreply\r\n").empty());
  CHECK(proxy.server(3).log.back() == "flush_all");
  proxy.server(2).special = [](const Words&) { return "SERVER_ERROR not now\r\n"; };
  CHECK(client.ask("flush_all\r\n") == "SERVER_ERROR not now\r\n");
  CHECK(client.ask("flush_all noreply\r\n").empty());
}

TEST_CASE("a memcached client above client_connections is told so in the server's words") {
  MemcacheWorld proxy(1);
  proxy.config.client_connections = 1;
  proxy.start();
  proxy.connect();
  TestClient& second = proxy.connect();
  CHECK(second.take() == "ERROR Too many open connections\r\n");
  CHECK(second.ended());
}

TEST_CASE("a timed out memcached request fails alone, and so does a multi-get's part") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  proxy.server(1).data[b] = "2";
  proxy.server(0).hold();
  client.send("get " + a + "\r\nget " + a + " " + b + "\r\ndelete " + a + " noreply\r\nmn\r\n");
  proxy.run_for(1000);
  CHECK(client.take() == "SERVER_ERROR a timed out\r\n" + value(b, "2") + "END\r\nMN\r\n");
  other.send("get " + a + "\r\n");
  proxy.settle();
  proxy.server(0).release();
  CHECK(other.take() == "END\r\n");
}

TEST_CASE("stats whose reply has no end are kept off the shared connection") {
  for (std::uint32_t count : {1u, 2u}) {
    MemcacheWorld proxy(count);
    proxy.start();
    TestClient& client = proxy.connect();
    for (const char* line : {"stats sizes_enable\r\n", "stats  sizes_disable x\r\n"}) {
      CHECK(client.ask(line) == "SERVER_ERROR not available through a shared connection\r\n");
    }
    CHECK(proxy.server(0).log.empty());
  }
}

TEST_CASE("a quiet ma hides its answer when the key was there, the value too") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  MemcacheServer& server = proxy.server(proxy.owner_of("n"));
  for (const char* answer : {"HD O1\r\n", "VA 1 O1\r\n5\r\n"}) {
    server.special = [answer](const Words&) { return answer; };
    CHECK(client.ask("ma n v O1 q\r\n").empty());
  }
  for (const char* answer : {"NF\r\n", "EX\r\n", "NS\r\n", "CLIENT_ERROR invalid flag\r\n"}) {
    server.special = [answer](const Words&) { return answer; };
    CHECK(client.ask("ma n v q\r\n") == answer);
  }
  CHECK(server.log.back() == "ma n v");
}

TEST_CASE("a quiet ma that may create its key asks first whether the key is there") {
  MemcacheWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  MemcacheServer& server = proxy.server(proxy.owner_of("foo"));
  std::string before = "EN\r\n";
  std::string own = "VA 1\r\n5\r\n";
  server.special = [&](const Words& words) { return words[0] == "me" ? before : own; };
  CHECK(client.ask("ma foo N0 J5 v q\r\nmn\r\n") == own + "MN\r\n");
  before = "ME foo exp=-1 la=0 cas=1 fetch=no cls=1 size=61\r\n";
  CHECK(client.ask("ma foo N0 J5 v q\r\nmn\r\n") == "MN\r\n");
  CHECK(client.ask("ma Zm9v N0 b q\r\nmn\r\n") == "MN\r\n");
  own = "EX\r\n";
  CHECK(client.ask("ma foo q N0 C7\r\nmn\r\n") == "EX\r\nMN\r\n");
  CHECK(server.log == Lines{"me foo", "ma foo N0 J5 v", "me foo", "ma foo N0 J5 v", "me Zm9v b",
                            "ma Zm9v N0 b", "me foo", "ma foo N0 C7"});
  own = "HD\r\n";
  CHECK(client.ask("ma foo N0\r\n") == "HD\r\n");
  CHECK(server.log.back() == "ma foo N0");
  server.hold();
  client.send("ma foo N0 q\r\nmn\r\n");
  proxy.run_for(1000);
  CHECK(client.take().starts_with("SERVER_ERROR "));
}
