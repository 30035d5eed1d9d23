// GET /servers and GET /explain of a pool in each of its states.
#include <doctest/doctest.h>

#include "base/json.hpp"
#include "roles/shard_proxy/admin_pages.hpp"
#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

AdminAnswer ask(MemcacheWorld& proxy, const std::string& path, const std::string& query = "") {
  AdminQuestion question;
  question.method = "GET";
  question.path = path;
  question.query = query;
  const ShownPool shown[] = {{proxy.pool(), nullptr}};
  return answer_page(question, shown, proxy.now_ms());
}

bool has(const AdminAnswer& answer, std::string_view part) {
  return answer.body.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("/servers tells state, load and latency of each server") {
  MemcacheWorld proxy(2);
  proxy.config.servers[1].weight = 3;
  proxy.start();
  proxy.run_for(1500);
  TestClient& client = proxy.connect();
  CHECK(client.ask("get " + proxy.key_on(0) + "\r\n") == "END\r\n");
  proxy.server(1).hold();
  client.send("get " + proxy.key_on(1) + "\r\n");
  proxy.settle();
  AdminAnswer answer = ask(proxy, "/servers");
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "application/json");
  CHECK(answer.body.starts_with(
      "{\"pools\":[{\"name\":\"pool\",\"protocol\":\"memcached\",\"distribution\":\"jump\","
      "\"hash\":\"murmur\",\"clients\":1,\"servers\":[{\"name\":\"a\",\"address\":\"10.0.0.1:"
      "6379\","
      "\"weight\":1,\"state\":\"up\",\"reason\":\"\","));
  CHECK(has(answer,
            "\"next_probe_s\":null,\"version\":\"1.6.18\",\"connections\":1,\"in_flight\":0,"));
  CHECK(has(answer, "\"requests\":1,\"responses\":1,\"timeouts\":0,\"failures\":0}"));
  CHECK(has(answer, "\"name\":\"b\",\"address\":\"10.0.0.2:6379\",\"weight\":3,\"state\":\"up\""));
  CHECK(has(answer, "\"in_flight\":1,"));
  proxy.run_for(1001);
  CHECK(has(ask(proxy, "/servers"), "\"timeouts\":1,\"failures\":1}"));
}

TEST_CASE("/servers tells why a server is down, since when, and when it is tried again") {
  MemcacheWorld proxy(2);
  proxy.start();
  proxy.run_for(1000);
  proxy.server(0).at().last().reset();
  proxy.server(0).at().refuse_next(100);
  proxy.settle();
  proxy.run_for(100);
  AdminAnswer answer = ask(proxy, "/servers");
  CHECK(
      has(answer, "\"name\":\"a\",\"address\":\"10.0.0.1:6379\",\"weight\":1,\"state\":\"down\""));
  CHECK_FALSE(has(answer, "\"state\":\"down\",\"reason\":\"\""));
  CHECK(has(answer, "\"since_s\":0.1,\"next_probe_s\":"));
  CHECK_FALSE(has(answer, "\"since_s\":0.1,\"next_probe_s\":null"));
  CHECK(has(answer, "\"name\":\"b\",\"address\":\"10.0.0.2:6379\",\"weight\":1,\"state\":\"up\""));
}

TEST_CASE("a server whose keys are with others is ejected, and /explain follows them") {
  MemcacheWorld proxy(2);
  proxy.config.on_server_down = OnServerDown::rehash;
  proxy.start();
  const std::string key = proxy.key_on(0);
  CHECK(
      has(ask(proxy, "/explain", "key=" + key), "\"server\":\"a\",\"address\":\"10.0.0.1:6379\""));
  proxy.server(0).at().last().reset();
  proxy.server(0).at().refuse_next(100);
  proxy.settle();
  CHECK(has(ask(proxy, "/servers"), "\"state\":\"ejected\""));
  CHECK(has(ask(proxy, "/explain", "key=" + key),
            "\"server\":\"b\",\"address\":\"10.0.0.2:6379\",\"state\":\"up\"}"));
}

TEST_CASE("/explain tells part, hash and point of a key") {
  MemcacheWorld proxy(2);
  proxy.config.hash = KeyHash::md5;
  proxy.config.hash_tag = "{}";
  proxy.config.distribution = Distribution::ketama;
  proxy.start();
  AdminAnswer answer = ask(proxy, "/explain", "key=x%7Bapple%7Dy");
  CHECK(answer.body.starts_with(
      "{\"key\":\"x{apple}y\",\"pools\":[{\"pool\":\"pool\",\"key\":\"x{apple}y\","
      "\"hashed\":\"apple\",\"hash\":3195025439,\"point\":"));
  CHECK(has(ask(proxy, "/explain", "key=k&pool=pool"), "\"pool\":\"pool\""));
  CHECK(ask(proxy, "/explain", "key=k&pool=other").status == 404);
  CHECK(has(ask(proxy, "/explain", "key=k&pool=other"), "no such pool: \\\"other\\\""));
  CHECK(ask(proxy, "/explain").status == 400);
  CHECK(ask(proxy, "/explain", "key=").status == 200);
}

TEST_CASE("/explain says when there is nothing to explain") {
  MemcacheWorld one(1);
  one.start();
  CHECK(has(ask(one, "/explain", "key=k"), "\"note\":\"one server holds all keys"));
  CHECK(has(ask(one, "/explain", "key=k"), "\"server\":\"a\""));
  MemcacheWorld any(2);
  any.config.distribution = Distribution::random;
  any.start();
  CHECK(has(ask(any, "/explain", "key=k"), "\"note\":\"distribution random: any server\"}"));
  MemcacheWorld none(0);
  none.start();
  CHECK(has(ask(none, "/explain", "key=k"), "\"note\":\"no server has keys\"}"));
  CHECK(has(ask(none, "/servers"), "\"servers\":[]"));
}
