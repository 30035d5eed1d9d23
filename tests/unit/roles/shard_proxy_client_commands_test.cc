// CLIENT, SELECT and RESET: what belongs to one client's connection or tells of those of others.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

const std::string kOk = "+OK\r\n";
const std::string kSyntax = "-ERR syntax error\r\n";

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) - 2;
}

}  // namespace

TEST_CASE("each database has connections of its own, and SELECT keeps the order") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"SET", "a", "1"});
  client.post({"SELECT", "5"});
  client.post({"INCR", "a"});
  CHECK(client.take().empty());
  CHECK(proxy.server(0).log == Lines{"SET a 1"});
  proxy.server(0).release();
  CHECK(client.take() == kOk + kOk + ":2\r\n");
  CHECK(proxy.server(0).session(0).log == Lines{"SET a 1"});
  CHECK(proxy.server(0).session(1).log == Lines{"INCR a"});
  CHECK(proxy.server(0).session(1).database == "5");
  TestClient& other = proxy.connect();
  CHECK(other.command({"GET", "a"}) == bulk("2"));
  CHECK(proxy.server(0).session(0).log.back() == "GET a");
  CHECK(client.command({"SELECT", "16"}) == "-ERR DB index is out of range\r\n");
  CHECK(client.command({"SELECT", "-1"}) == "-ERR DB index is out of range\r\n");
  CHECK(client.command({"SELECT", "x"}) == "-ERR value is not an integer or out of range\r\n");
  CHECK(client.command({"SELECT", "0"}) == kOk);
  client.command({"GET", "a"});
  CHECK(proxy.server(0).at().connections() == 2);
}

TEST_CASE("CLIENT LIST and INFO tell of this pool's clients") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& first = proxy.connect();
  TestClient& second = proxy.connect();
  TestClient& third = proxy.connect();
  first.command({"CLIENT", "SETNAME", "web"});
  proxy.run_for(5000);
  second.command({"SUBSCRIBE", "c", "d"});
  third.post({"BLPOP", proxy.key_on(0), "0"});
  proxy.settle();
  std::string list = first.command({"CLIENT", "LIST"});
  CHECK(lines_in(list) == 3);
  CHECK(list.find("\nid=1 addr=127.0.0.1:50000 laddr=127.0.0.1:1000 fd=0 name=web age=5 idle=") !=
        std::string::npos);
  CHECK(list.find(" flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 ") != std::string::npos);
  CHECK(list.find("\nid=2 ") < list.find("\nid=3 "));
  CHECK(list.find("flags=P db=0 sub=2") != std::string::npos);
  CHECK(list.find("flags=b db=0") != std::string::npos);
  CHECK(list.find("cmd=blpop user=default redir=-1 resp=2\n") != std::string::npos);
  CHECK(lines_in(first.command({"CLIENT", "LIST", "TYPE", "pubsub"})) == 1);
  CHECK(lines_in(first.command({"CLIENT", "LIST", "TYPE", "NORMAL"})) == 2);
  CHECK(first.command({"CLIENT", "LIST", "TYPE", "master"}) == bulk(""));
  CHECK(lines_in(first.command({"CLIENT", "LIST", "ID", "3", "1", "77"})) == 2);
  CHECK(first.command({"CLIENT", "LIST", "ID", "77"}) == bulk(""));
  CHECK(first.command({"CLIENT", "LIST", "ID", "x"}) == "-ERR Invalid client ID\r\n");
  CHECK(first.command({"CLIENT", "LIST", "TYPE", "X"}) == "-ERR Unknown client type 'X'\r\n");
  CHECK(first.command({"CLIENT", "LIST", "X"}) == kSyntax);
  first.command({"MULTI"});
  first.command({"PING"});
  TestClient& fourth = proxy.connect();
  CHECK(fourth.command({"CLIENT", "LIST", "ID", "1"}).find(" flags=x ") != std::string::npos);
  CHECK(fourth.command({"CLIENT", "LIST", "ID", "1"}).find(" multi=1 ") != std::string::npos);
  CHECK(fourth.command({"CLIENT", "INFO"}).find("id=4 ") != std::string::npos);
  fourth.command({"HELLO", "3"});
  CHECK(fourth.command({"CLIENT", "INFO"}).starts_with("="));
  CHECK(proxy.server(0).log == Lines{"BLPOP " + proxy.key_on(0) + " 0"});
}

TEST_CASE("CLIENT KILL ends those that are meant and no others") {
  RedisWorld proxy(1);
  proxy.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&proxy.connect());
  TestClient& me = *clients[0];
  CHECK(me.command({"CLIENT", "KILL", "ID", "2"}) == ":1\r\n");
  CHECK(clients[1]->ended());
  CHECK(me.command({"CLIENT", "KILL", "ID", "2"}) == ":0\r\n");
  CHECK(me.command({"CLIENT", "KILL", "ID", "0"}) == "-ERR client-id should be greater than 0\r\n");
  CHECK(me.command({"CLIENT", "KILL", "1.2.3.4:5"}) == "-ERR No such client\r\n");
  CHECK(me.command({"CLIENT", "KILL", "ADDR", "1.2.3.4:5"}) == ":0\r\n");
  CHECK(me.command({"CLIENT", "KILL", "LADDR", "1.2.3.4:5"}) == ":0\r\n");
  CHECK(me.command({"CLIENT", "KILL", "USER", "bob"}) == "-ERR No such user 'bob'\r\n");
  CHECK(me.command({"CLIENT", "KILL", "TYPE", "X"}) == "-ERR Unknown client type 'X'\r\n");
  CHECK(me.command({"CLIENT", "KILL", "SKIPME", "x"}) == kSyntax);
  CHECK(me.command({"CLIENT", "KILL", "a", "b", "c"}) == kSyntax);
  CHECK(me.command({"CLIENT", "KILL", "X", "y"}) == kSyntax);
  clients[2]->command({"SUBSCRIBE", "c"});
  CHECK(me.command({"CLIENT", "KILL", "TYPE", "pubsub"}) == ":1\r\n");
  CHECK(clients[2]->ended());
  CHECK(proxy.pool().private_links().open() == 0);
  CHECK_FALSE(clients[3]->ended());
  CHECK(me.command({"CLIENT", "KILL", "TYPE", "normal"}) == ":1\r\n");
  CHECK(clients[3]->ended());
  CHECK(proxy.clients() == 1);
  // What it sent behind is not done.
  CHECK(me.ask(redis_request({"CLIENT", "KILL", "ID", "1", "SKIPME", "no"}) +
               redis_request({"SET", "after", "x"})) == ":1\r\n");
  CHECK(me.ended());
  CHECK_FALSE(proxy.server(0).store.data.contains("after"));
}

TEST_CASE("CLIENT KILL ends a client with requests under way, and nobody else notices") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& me = proxy.connect();
  TestClient& victim = proxy.connect();
  proxy.server(0).store.data["a"] = "1";
  proxy.server(0).hold();
  victim.post({"GET", "a"});
  me.post({"GET", "a"});
  proxy.settle();
  CHECK(me.command({"CLIENT", "KILL", "ID", "2"}).empty());
  CHECK(victim.ended());
  proxy.server(0).release();
  CHECK(me.take() == bulk("1") + ":1\r\n");
  CHECK(proxy.clients() == 1);
}

TEST_CASE("CLIENT UNBLOCK reaches the connection that waits") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& me = proxy.connect();
  TestClient& waiting = proxy.connect();
  std::string list = proxy.key_on(1);
  CHECK(me.command({"CLIENT", "UNBLOCK", "2"}) == ":0\r\n");
  waiting.post({"BLPOP", list, "0"});
  CHECK(waiting.take().empty());
  CHECK(me.command({"CLIENT", "UNBLOCK", "2"}) == ":1\r\n");
  CHECK(waiting.take() == "*-1\r\n");
  waiting.post({"BLPOP", list, "0"});
  CHECK(waiting.take().empty());
  CHECK(me.command({"CLIENT", "UNBLOCK", "2", "ERROR"}) == ":1\r\n");
  CHECK(waiting.take() == "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  CHECK(me.command({"CLIENT", "UNBLOCK", "2", "X"}) ==
        "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
  CHECK(me.command({"CLIENT", "UNBLOCK", "x"}) ==
        "-ERR value is not an integer or out of range\r\n");
  CHECK(me.command({"CLIENT", "UNBLOCK", "77"}) == ":0\r\n");
}

TEST_CASE("with CLIENT REPLY OFF nothing is told, of split commands and failures neither") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  CHECK(client.command({"CLIENT", "REPLY", "OFF"}).empty());
  CHECK(client.command({"MSET", a, "1", b, "2"}).empty());
  CHECK(client.command({"MGET", a, b}).empty());
  CHECK(client.command({"PING"}).empty());
  CHECK(client.command({"NOSUCH"}).empty());
  CHECK(client.command({"RENAME", a, b}).empty());
  CHECK(client.command({"DBSIZE"}).empty());
  CHECK(client.command({"SCAN", "0"}).empty());
  CHECK(client.command({"SUNION", a, b}).empty());
  CHECK(client.command({"CLIENT", "LIST"}).empty());
  CHECK(client.command({"MULTI"}).empty());
  CHECK(client.command({"INCR", a}).empty());
  CHECK(client.command({"EXEC"}).empty());
  proxy.server(0).at().refuse_next(1000);
  proxy.server(0).at().peer(0).reset();
  proxy.settle();
  CHECK(client.command({"GET", a}).empty());
  CHECK(client.command({"GET", b}).empty());
  CHECK(client.command({"CLIENT", "REPLY", "SKIP"}).empty());
  CHECK(client.command({"PING"}).empty());
  CHECK(client.command({"PING"}).empty());
  CHECK(client.command({"CLIENT", "REPLY", "ON"}) == kOk);
  CHECK(client.command({"GET", b}) == bulk("2"));
  CHECK(proxy.server(0).store.data[a] == "2");
}

TEST_CASE("CLIENT REPLY SKIP hides the reply of the next command only") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  auto skip = [&client] { return client.command({"CLIENT", "REPLY", "SKIP"}); };
  std::string a = proxy.key_on(0);
  CHECK(skip().empty());
  CHECK(client.command({"SET", a, "1"}).empty());
  CHECK(client.command({"GET", a}) == bulk("1"));
  CHECK(skip().empty());
  CHECK(skip().empty());
  CHECK(client.command({"ECHO", "1"}).empty());
  CHECK(client.command({"ECHO", "2"}) == bulk("2"));
  // A command that had to wait is one command.
  proxy.server(0).hold();
  client.post({"GET", a});
  client.post({"CLIENT", "REPLY", "SKIP"});
  client.post({"SELECT", "1"});
  client.post({"ECHO", "x"});
  CHECK(client.take().empty());
  proxy.server(0).release();
  CHECK(client.take() == bulk("1") + bulk("x"));
  CHECK(client.command({"CLIENT", "REPLY", "X"}) == kSyntax);
  CHECK(client.command({"CLIENT", "REPLY"}) ==
        "-ERR wrong number of arguments for 'client|reply' command\r\n");
}

TEST_CASE("with one server an unknown command is sent, though its reply is not told") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"CLIENT", "REPLY", "OFF"});
  CHECK(client.command({"JSON.SET", "k", "v"}).empty());
  CHECK(proxy.server(0).log == Lines{"JSON.SET k v"});
}

TEST_CASE("what a shared connection cannot give is refused, what means nothing here is granted") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"CLIENT", "NO-EVICT", "on"}) == kOk);
  CHECK(client.command({"CLIENT", "NO-EVICT", "x"}) == kSyntax);
  CHECK(client.command({"CLIENT", "TRACKING", "off"}) == kOk);
  CHECK(client.command({"CLIENT", "TRACKING", "on"})
            .starts_with("-ERR CLIENT TRACKING is not available through this proxy"));
  CHECK(client.command({"CLIENT", "TRACKING", "x"}) == kSyntax);
  CHECK(client.command({"CLIENT", "GETREDIR"}) == ":-1\r\n");
  CHECK(client.command({"CLIENT", "CACHING", "YES"}).starts_with("-ERR CLIENT CACHING can be"));
  CHECK(client.command({"CLIENT", "TRACKINGINFO"}) == "*6\r\n" + bulk("flags") + "*1\r\n" +
                                                          bulk("off") + bulk("redirect") +
                                                          ":-1\r\n" + bulk("prefixes") + "*0\r\n");
  CHECK(client.command({"CLIENT", "SETINFO", "lib-name", "x"}) ==
        "-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n");
  CHECK(client.command({"CLIENT", "NOPE"}) ==
        "-ERR unknown subcommand 'NOPE'. Try CLIENT HELP.\r\n");
  for (std::size_t i = 0; i < 2; ++i) CHECK(proxy.server(i).log.empty());
  proxy.server(0).special = [](const Words&) { return "+OK\r\n"; };
  proxy.server(1).special = proxy.server(0).special;
  CHECK(client.command({"CLIENT", "PAUSE", "10"}) == kOk);
  CHECK(client.command({"CLIENT", "UNPAUSE"}) == kOk);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(proxy.server(i).log == Lines{"CLIENT PAUSE 10", "CLIENT UNPAUSE"});
  }
  CHECK(client.command({"READONLY"}).starts_with("-ERR This instance has cluster support"));
  CHECK(client.command({"MONITOR"}).starts_with("-ERR 'MONITOR' is not available"));
}

TEST_CASE("RESET makes a connection as new, in its turn") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"HELLO", "3", "SETNAME", "app"});
  client.command({"SELECT", "2"});
  client.command({"SUBSCRIBE", "c"});
  client.command({"WATCH", "a"});
  client.command({"CLIENT", "REPLY", "OFF"});
  proxy.server(proxy.owner_of("k")).hold();
  client.post({"GET", "k"});
  client.post({"RESET"});
  CHECK(client.take().empty());
  proxy.server(proxy.owner_of("k")).release();
  CHECK(client.take() == "+RESET\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
  CHECK(client.command({"CLIENT", "GETNAME"}) == "$-1\r\n");
  CHECK(client.command({"CLIENT", "INFO"}).find(" db=0 sub=0 ") != std::string::npos);
  CHECK(client.command({"EXEC"}) == "-ERR EXEC without MULTI\r\n");
}

TEST_CASE("a subscriber that kills itself is told so") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"HELLO", "3"});
  client.command({"SUBSCRIBE", "c"});
  CHECK(client.command({"CLIENT", "KILL", "ID", "1", "SKIPME", "no"}) == ":1\r\n");
  CHECK(client.ended());
}

TEST_CASE("replies that are not told are not kept") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"CLIENT", "REPLY", "OFF"});
  proxy.server(0).special = [](const Words&) { return "$3000000\r\n"; };
  client.post({"GET", "a"});
  for (int i = 0; i < 29; ++i) {
    proxy.server(0).peer().send(std::string(100'000, 'x'));
    proxy.settle();
  }
  std::size_t kept = 0;
  proxy.pool().for_each_client([&kept](const Client& each) { kept += each.unsent_bytes(); });
  CHECK(kept == 0);
}

TEST_CASE("a request that had to wait is counted once") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.send(redis_request({"GET", "a"}) + redis_request({"SELECT", "1"}));
  proxy.settle();
  proxy.server(0).release();
  proxy.settle();
  CHECK(proxy.command_counter("select").value() == 1);
}
