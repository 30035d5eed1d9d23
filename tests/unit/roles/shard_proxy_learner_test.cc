// What a pool learns from its servers: their commands, and how many databases they have.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

// The whole reply of redis 7.0.15, RESP2.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"
constexpr unsigned char kRealReply[] = {
#embed "../../fuzz/corpus/redis_command_reply/redis_7_0_15"
};
#pragma clang diagnostic pop

/// The same with one command more, which has its key behind a word.
std::string reply_with_module() {
  std::string real(reinterpret_cast<const char*>(kRealReply), sizeof kRealReply);
  std::size_t line = real.find("\r\n");
  int count = std::stoi(real.substr(1, line - 1));
  std::string module =
      "*7\r\n" + bulk("json.get") + ":-3\r\n*1\r\n+readonly\r\n:2\r\n:2\r\n:1\r\n*0\r\n";
  return "*" + std::to_string(count + 1) + real.substr(line) + module;
}

std::size_t asked(RedisWorld& proxy, std::size_t server) {
  const Lines& log = proxy.server(server).log;
  return static_cast<std::size_t>(std::count(log.begin(), log.end(), "COMMAND"));
}

void teach(RedisServer& server, std::string reply, std::string databases = "4") {
  server.special = [reply = std::move(reply),
                    databases](const Words& words) -> std::optional<std::string> {
    if (words[0] == "COMMAND") return reply;
    if (words[0] == "CONFIG") return redis_request({"databases", databases});
    if (words[0] == "JSON.GET") return "+json\r\n";
    return std::nullopt;
  };
}

}  // namespace

TEST_CASE("a module's command is learned and goes to the server of its key") {
  RedisWorld proxy(4);
  proxy.config.learn_commands = true;
  for (std::size_t i = 0; i < 4; ++i) teach(proxy.server(i), reply_with_module());
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(asked(proxy, 0) == 1);
  for (std::size_t i = 1; i < 4; ++i) CHECK(asked(proxy, i) == 0);
  CHECK(proxy.logged("commands.learned") == 1);
  for (std::uint32_t i = 0; i < 4; ++i) {
    std::string key = proxy.key_on(i);
    CHECK(client.command({"JSON.GET", "x", key}) == "+json\r\n");
    CHECK(proxy.server(i).log.back() == "JSON.GET x " + key);
  }
  CHECK(client.command({"JSON.GET", "x"}) ==
        "-ERR wrong number of arguments for 'json.get' command\r\n");
  CHECK(client.command({"SELECT", "3"}) == "+OK\r\n");
  CHECK(client.command({"SELECT", "4"}) == "-ERR DB index is out of range\r\n");
}

TEST_CASE("a version is asked for its commands once, another version again") {
  RedisWorld proxy(2);
  proxy.config.learn_commands = true;
  std::string version = "7.0.15";
  for (std::size_t i = 0; i < 2; ++i) {
    proxy.server(i).special = [&version](const Words& words) -> std::optional<std::string> {
      if (words[0] == "COMMAND") return reply_with_module();
      if (words[0] == "HELLO") return "*2\r\n" + bulk("version") + bulk(version);
      return std::nullopt;
    };
  }
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"JSON.GET", "x", "k"});
  CHECK(asked(proxy, 0) + asked(proxy, 1) == 1);
  auto restart = [&proxy] {
    proxy.server(0).at().refuse_next(1);
    proxy.server(0).peer().reset();
    proxy.run_for(20'000);
  };
  restart();
  CHECK(asked(proxy, 0) + asked(proxy, 1) == 1);
  version = "7.2.0";
  restart();
  CHECK(asked(proxy, 0) + asked(proxy, 1) == 2);
  CHECK(proxy.logged("commands.learned") == 2);
  // The table before is gone; what a client did last was named by it.
  CHECK(client.command({"CLIENT", "LIST"}).find("cmd=client|list ") != std::string::npos);
  TestClient& idle = proxy.connect();
  idle.command({"JSON.GET", "x", "k"});
  version = "7.2.1";
  restart();
  // The other server's version was asked for before, and is known.
  CHECK(proxy.logged("commands.learned") == 3);
  CHECK(client.command({"CLIENT", "LIST", "ID", "2"}).find("cmd=json.get ") != std::string::npos);
}

TEST_CASE("a server that restarts while nobody asks is asked for its new version's commands") {
  RedisWorld proxy(1);
  proxy.config.learn_commands = true;
  std::string version = "7.0.15";
  proxy.server(0).special = [&version](const Words& words) -> std::optional<std::string> {
    if (words[0] == "COMMAND") return reply_with_module();
    if (words[0] == "HELLO") return "*2\r\n" + bulk("version") + bulk(version);
    return std::nullopt;
  };
  proxy.start();
  proxy.run_for(5'000);
  CHECK(asked(proxy, 0) == 1);
  version = "7.2.0";
  proxy.server(0).peer().close();
  proxy.run_for(5'000);
  CHECK(asked(proxy, 0) == 2);
  CHECK(proxy.logged("server.down") == 0);
}

TEST_CASE("a server that refuses COMMAND is served by the built-in table") {
  RedisWorld proxy(2);
  proxy.config.learn_commands = true;
  for (std::size_t i = 0; i < 2; ++i) {
    proxy.server(i).special = [](const Words& words) -> std::optional<std::string> {
      if (words[0] == "COMMAND") return "-NOPERM this user has no permissions\r\n";
      if (words[0] == "CONFIG") return "-NOPERM this user has no permissions\r\n";
      return std::nullopt;
    };
  }
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(proxy.logged("commands.not_learned") == 1);
  CHECK(client.command({"SET", "a", "1"}) == "+OK\r\n");
  CHECK(client.command({"SELECT", "15"}) == "+OK\r\n");
  CHECK(client.command({"SELECT", "16"}) == "-ERR DB index is out of range\r\n");
  CHECK(client.command({"JSON.GET", "x", "k"}).starts_with("-ERR unknown command"));
}

TEST_CASE("a broken reply to COMMAND is not learned and harms nobody") {
  for (const char* reply : {"*1\r\n+what\r\n", "+OK\r\n", "*0\r\n"}) {
    RedisWorld proxy(1);
    proxy.config.learn_commands = true;
    teach(proxy.server(0), reply, "x");
    proxy.start();
    TestClient& client = proxy.connect();
    CHECK(client.command({"GET", "a"}) == "$-1\r\n");
    CHECK(client.command({"SELECT", "15"}) == "+OK\r\n");
  }
}

TEST_CASE("a server that is lost while it is asked is asked again when one comes up") {
  RedisWorld proxy(1);
  proxy.config.learn_commands = true;
  teach(proxy.server(0), reply_with_module());
  proxy.server(0).hold();
  proxy.start();
  CHECK(asked(proxy, 0) == 1);
  proxy.server(0).peer().reset();
  proxy.settle();
  proxy.server(0).release();
  proxy.run_for(20'000);
  CHECK(asked(proxy, 0) == 2);
  CHECK(proxy.logged("commands.learned") == 1);
  CHECK(proxy.connect().command({"JSON.GET", "x", "k"}) == "+json\r\n");
}

TEST_CASE("a pool that need not learn asks nothing") {
  RedisWorld proxy(1);
  proxy.start();
  CHECK(proxy.server(0).log.empty());
}
