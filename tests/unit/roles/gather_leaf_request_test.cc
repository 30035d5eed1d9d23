// What each leaf is sent: targets, templates, headers that go on and headers that do not; and how a
// root recognises what it has sent itself.
#include <doctest/doctest.h>

#include "gather_world.hpp"
#include "roles/gather/leaf_request.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

/// One request as the first attempt at shard "s7" (index 7 of 10) gets it.
struct Sent {
  explicit Sent(std::string target_ = "/x") : target(std::move(target_)) {}

  Message message() {
    http1::Message parsed;
    parsed.method = method;
    parsed.target = target;
    parsed.headers = headers;
    parsed.body = body;
    auto request = http::make_request(std::move(parsed), io::Peer{});
    REQUIRE(request.has_value());
    auto templates = ScatterTemplates::make(route);
    REQUIRE(templates.has_value());
    auto leaf_url = http::Url::parse(url);
    REQUIRE(leaf_url.has_value());
    Random random(5);
    const TraceContext trace = TraceContext::from(request->headers, random);
    LeafRequest::Facts facts;
    facts.id = "id-1";
    facts.via = "consort-test-r";
    facts.depth = 3;
    facts.shards = 10;
    facts.trace = &trace;
    const LeafRequest leaf(*request, *templates, facts);
    is_idempotent = leaf.is_idempotent();
    is_read = leaf.is_read();
    std::string deadline_lines;
    append_deadline(deadline_lines, std::chrono::microseconds(380'999));
    const LeafRequest::Attempt attempt{
        .url = *leaf_url, .shard = "s7", .index = 7, .number = 2, .deadline_lines = deadline_lines};
    std::string out = "kept ";
    leaf.append_head(out, attempt, random);
    REQUIRE(out.starts_with("kept "));
    out.erase(0, 5);
    auto whole = Message::take(out, false);
    REQUIRE(whole.has_value());
    CHECK(out.empty());
    return *whole;
  }
  std::string first() { return message().first; }
  std::string header(const std::string& name) { return message().header(name); }

  std::string method = "GET";
  std::string target;
  HeaderList headers;
  std::string body;
  std::string url = "http://10.0.0.1:8080";
  RouteConfig route;
  bool is_idempotent = false;
  bool is_read = false;
};

std::string target_of(const std::string& target, const std::string& url = "http://h",
                      const std::string& path = {}) {
  Sent sent(target);
  sent.url = url;
  sent.route.path = path;
  const std::string first = sent.first();
  REQUIRE(first.starts_with("GET "));
  REQUIRE(first.ends_with(" HTTP/1.1"));
  return first.substr(4, first.size() - 13);
}

std::string refusal(const std::string& path, const std::vector<std::string>& headers = {}) {
  RouteConfig route;
  route.path = path;
  route.headers = headers;
  auto made = ScatterTemplates::make(route);
  return made ? "none" : made.error().text();
}

}  // namespace

TEST_CASE("a leaf gets the client's target, behind its own prefix") {
  CHECK(target_of("/search?q=a%20b&x") == "/search?q=a%20b&x");
  CHECK(target_of("/") == "/");
  CHECK(target_of("/a//b/../c") == "/a//b/../c");
  CHECK(target_of("/x", "http://h/api") == "/api/x");
  CHECK(target_of("/x?q", "http://h/api/") == "/api/x?q");
  CHECK(target_of("/", "http://h/api/") == "/api/");
  CHECK(target_of("/x", "http://h/") == "/x");
  CHECK(target_of("/x", "unix:/run/leaf.sock") == "/x");
  CHECK(target_of("/x?") == "/x?");
}

TEST_CASE("a target in absolute form is sent as its path") {
  CHECK(target_of("http://root:8080/search?q=1") == "/search?q=1");
  CHECK(target_of("HTTP://root/a") == "/a");
  CHECK(target_of("http://root") == "/");
  CHECK(target_of("http://root?q=1") == "/?q=1");
  CHECK(target_of("http://root?to=/a/b") == "/?to=/a/b");
  CHECK(target_of("http://root/a?to=http://b/c", "http://h/api") == "/api/a?to=http://b/c");
}

TEST_CASE("a path template is filled in, and the client's query follows") {
  CHECK(target_of("/search?q=1", "http://h", "/shard/{shard}/search") == "/shard/s7/search?q=1");
  CHECK(target_of("/a/b", "http://h", "/{index}/{shards}{path}") == "/7/10/a/b");
  CHECK(target_of("/a", "http://h/api", "{path}/x") == "/api/a/x");
  CHECK(target_of("/a%2Fb?x", "http://h/api/", "{path}") == "/api/a%2Fb?x");
  CHECK(target_of("/a?q=1", "http://h", "/find?shard={shard}") == "/find?shard=s7&q=1");
  CHECK(target_of("/a", "http://h", "/find?shard={shard}") == "/find?shard=s7");
  CHECK(target_of("/a?", "http://h", "/find?shard={shard}") == "/find?shard=s7");
  CHECK(target_of("http://root/a?q=1", "http://h", "/s{path}") == "/s/a?q=1");
}

TEST_CASE("a template that cannot be filled in, or makes no target or header, is refused") {
  CHECK(refusal("/{shard}") == "none");
  CHECK(refusal("/{nobody}/x") ==
        "path: \"{nobody}\" is not one of {shard}, {index}, {shards}, {path}");
  CHECK(refusal("/{shard").find("is not one of") != std::string::npos);
  for (const char* path : {"x", "{shard}", "http://h/x", "/a b", "/a#b", "/a\r\nX: y"}) {
    CAPTURE(path);
    CHECK(refusal(path).find("must begin with \"/\" or {path}") != std::string::npos);
  }
  CHECK(refusal("", {"X-Shard: {shard}", "X-Empty:"}) == "none");
  CHECK(refusal("", {"X: {who}"}) ==
        "header: X: \"{who}\" is not one of {shard}, {index}, {shards}, {path}");
  for (const char* header : {"nothing", ": x", "X Y: z", "X: a\r\nY: b", "X: \x01"}) {
    CAPTURE(header);
    CHECK(refusal("", {header}).find("is not NAME: VALUE") != std::string::npos);
  }
}

TEST_CASE("headers of the route are added, filled in like the path") {
  Sent sent("/a?q");
  sent.route.headers = {"X-Shard: {shard}", "X-All:{index} of {shards} at {path}"};
  const Message message = sent.message();
  CHECK(message.header("x-shard") == "s7");
  CHECK(message.header("x-all") == "7 of 10 at /a");
}

TEST_CASE("end-to-end headers go on as they came, those of one hop do not") {
  Sent sent;
  sent.headers = {{"host", "root"},
                  {"accept", "text/*"},
                  {"accept", "*/*"},
                  {"authorization", "Bearer t"},
                  {"cookie", "a=b"},
                  {"x-custom", "1"},
                  {"prefer", "wait=2"},
                  {"connection", "close, X-Drop ,x-other"},
                  {"x-drop", "1"},
                  {"x-other", "1"},
                  {"keep-alive", "timeout=5"},
                  {"te", "trailers"},
                  {"trailer", "x"},
                  {"upgrade", "h2c"},
                  {"proxy-authorization", "Basic x"},
                  {"proxy-connection", "keep-alive"},
                  {"expect", "100-continue"},
                  {"accept-encoding", "gzip"},
                  {"grpc-timeout", "9S"},
                  {"x-envoy-upstream-rq-timeout-ms", "9"},
                  {"consort-shard", "evil"},
                  {"consort-explain", "1"}};
  const Message message = sent.message();
  CHECK(message.header("host") == "10.0.0.1:8080");
  CHECK(message.header("accept") == "text/* | */*");
  CHECK(message.header("authorization") == "Bearer t");
  CHECK(message.header("cookie") == "a=b");
  CHECK(message.header("x-custom") == "1");
  CHECK(message.header("prefer") == "wait=2");
  for (const char* name :
       {"connection", "x-drop", "x-other", "keep-alive", "te", "trailer", "upgrade",
        "proxy-authorization", "proxy-connection", "expect", "x-envoy-upstream-rq-timeout-ms",
        "consort-explain", "content-length", "transfer-encoding"}) {
    CAPTURE(name);
    CHECK(message.header(name) == "none");
  }
  CHECK(message.header("accept-encoding") == "identity");
  CHECK(message.header("consort-shard") == "s7");
}

TEST_CASE("several Connection headers count together") {
  Sent sent;
  sent.headers = {{"connection", "x-a"}, {"connection", "x-b"}, {"x-a", "1"}, {"x-b", "1"}};
  const Message message = sent.message();
  CHECK(message.header("x-a") == "none");
  CHECK(message.header("x-b") == "none");
}

TEST_CASE("a leaf is told who it is, how often it was asked, and how long it has") {
  const Message message = Sent().message();
  CHECK(message.header("consort-request-id") == "id-1");
  CHECK(message.header("consort-shard") == "s7");
  CHECK(message.header("consort-shards") == "10");
  CHECK(message.header("consort-attempt") == "2");
  CHECK(message.header("consort-depth") == "3");
  CHECK(message.header("x-envoy-expected-rq-timeout-ms") == "380");
  CHECK(message.header("grpc-timeout") == "380999u");
}

TEST_CASE("Via grows by one entry, whatever its way so far") {
  Sent sent;
  CHECK(sent.header("via") == "1.1 consort-test-r");
  sent.headers = {{"via", "1.0 a, 1.1 b"}, {"via", "2 c"}};
  CHECK(sent.header("via") == "1.0 a, 1.1 b, 2 c, 1.1 consort-test-r");
  CHECK(via_token("5f0c", "GET /a b") == "consort-5f0c-GET__a_b");
}

TEST_CASE("a trace goes on, each call as a span of its own") {
  Sent sent;
  sent.headers = {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                  {"tracestate", "a=1"},
                  {"tracestate", "b=2"}};
  const Message message = sent.message();
  const std::string parent = message.header("traceparent");
  CHECK(parent.size() == 55);
  CHECK(parent.substr(0, 36) == "00-0af7651916cd43dd8448eb211c80319c-");
  CHECK(parent.find("b7ad6b7169203331") == std::string::npos);
  CHECK(parent.ends_with("-01"));
  CHECK(message.header("tracestate") == "a=1,b=2");
  sent.headers = {{"traceparent", "nonsense"}, {"tracestate", "a=1"}};
  CHECK(sent.header("traceparent").size() == 55);
  CHECK(sent.header("tracestate") == "none");
}

TEST_CASE("the body's length is ours to say, also when there is none") {
  Sent sent;
  sent.headers = {{"content-length", "999"}, {"transfer-encoding", "chunked"}};
  for (const char* method : {"POST", "PUT", "PATCH"}) {
    sent.method = method;
    CHECK(sent.header("content-length") == "0");
  }
  sent.method = "GET";
  CHECK(sent.header("content-length") == "none");
  sent.body = "12345";
  CHECK(sent.header("content-length") == "5");
  CHECK(sent.header("transfer-encoding") == "none");
  sent.method = "DELETE";
  sent.body.clear();
  CHECK(sent.header("content-length") == "none");
}

TEST_CASE("methods: HEAD is asked as GET, and who may be repeated is RFC 9110's list") {
  struct Case {
    const char* method;
    bool is_idempotent;
    bool is_read;
  };
  for (const Case& each :
       {Case{"GET", true, true}, Case{"HEAD", true, true}, Case{"PUT", true, false},
        Case{"DELETE", true, false}, Case{"OPTIONS", true, false}, Case{"POST", false, false},
        Case{"PATCH", false, false}}) {
    CAPTURE(each.method);
    Sent sent;
    sent.method = each.method;
    const std::string first = sent.first();
    CHECK(first.starts_with(std::string(each.is_read ? "GET" : each.method) + " /x "));
    CHECK(sent.is_idempotent == each.is_idempotent);
    CHECK(sent.is_read == each.is_read);
  }
}

TEST_CASE("the client's id is used when it is one, else there is a new one") {
  struct Case {
    HeaderList headers;
    std::string id;  ///< empty: of ours
  };
  for (const Case& each :
       std::vector<Case>{{{{"X-Request-Id", "abc-1"}}, "abc-1"},
                         {{{"X-Request-Id", "abc"}, {"Consort-Request-Id", "d"}}, "d"},
                         {{{"X-Request-Id", "a b"}}, ""},
                         {{{"X-Request-Id", std::string(129, 'a')}}, ""},
                         {{}, ""}}) {
    GatherWorld world(2);
    world.start();
    TestClient& client = world.get("/x", each.headers);
    REQUIRE(world.leaf(1).calls() == 1);
    const std::string id = world.leaf(1).call(0).header("consort-request-id");
    CHECK(world.leaf(0).call(0).header("consort-request-id") == id);
    if (each.id.empty()) {
      CHECK(id.size() == 16);
    } else {
      CHECK(id == each.id);
    }
    for (std::size_t i = 0; i < 2; ++i) world.leaf(i).answer(0, "1");
    CHECK(client.answer().header("consort-request-id") == id);
  }
}

TEST_CASE("a body reaches every leaf, also one that is longer than a write") {
  GatherWorld world(2);
  world.world.network.set_conditions({.latency_ms = 1, .window_bytes = 4096, .split = true});
  world.start();
  std::string body(200'000, 'b');
  TestClient& client = world.ask("POST", "/x", {}, body);
  world.run_for(1000);
  for (std::size_t i = 0; i < 2; ++i) {
    REQUIRE(world.leaf(i).calls() == 1);
    CHECK(world.leaf(i).call(0).body == body);
    world.leaf(i).answer(0, "1");
  }
  world.run_for(10);
  CHECK(client.answer().status == 200);
}

TEST_CASE("a request that has been here already, or comes from too deep, is a loop") {
  GatherWorld world(1);
  world.start();
  TestClient& client = world.get("/x", {{"Via", "1.0 cache"}, {"Consort-Depth", "7"}});
  const std::string via = world.leaf(0).call(0).header("via");
  CHECK(via == "1.0 cache, 1.1 consort-test-default");
  CHECK(world.leaf(0).call(0).header("consort-depth") == "8");
  world.leaf(0).answer(0, "1");
  CHECK(client.answer().status == 200);

  for (const auto& [name, value] :
       {std::pair<std::string, std::string>("Via", via), {"Consort-Depth", "8"}}) {
    const Answer loop = world.get("/x", {{name, value}}).answer();
    CHECK(loop.status == 502);
    CHECK(loop.has("urn:consort:gather:loop-detected"));
    CHECK(loop.header("proxy-status") == "consort; error=proxy_loop_detected");
  }
  CHECK(world.leaf(0).calls() == 1);
  CHECK(world.root().state().metrics.loops.value() == 2);
}

TEST_CASE("a route whose name begins another's is not taken for it") {
  GatherWorld world(1);
  world.route.name = "search";
  world.start();
  TestClient& client = world.get("/x", {{"Via", "1.1 consort-test-search-all"}});
  REQUIRE(world.leaf(0).calls() == 1);
  world.leaf(0).answer(0, "1");
  CHECK(client.answer().status == 200);
  CHECK(world.get("/x", {{"Via", "1.1 consort-test-search (edge), 1.1 b"}}).answer().status == 502);
}

TEST_CASE("a loop that a leaf has found is told as one") {
  GatherWorld world(1, 2);
  world.start();
  TestClient& client = world.get("/x");
  LeafAnswer loop;
  loop.status = 502;
  loop.headers.emplace_back("Proxy-Status", "consort; error=proxy_loop_detected");
  world.leaf(0).answer(0, loop);
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.has("urn:consort:gather:loop-detected"));
  CHECK(world.leaf(0, 1).calls() == 0);  // another replica would lead there as well
}
