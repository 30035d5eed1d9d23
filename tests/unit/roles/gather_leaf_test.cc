#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gather_command_support.hpp"
#include "roles/gather/leaf_config.hpp"
#include "roles/gather/leaf_role.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;
using Json = nlohmann::json;

namespace {

/// A leaf on the simulated network whose commands the test plays.
struct Bench : PlayedWorld {
  Bench() {
    config.exec = "search --fast";
    config.processes_max = 2;
    config.waiting_max = 1;
  }
  ~Bench() {
    scope.cancel();
    role.reset();
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void start() {
    Problems problems;
    config.validate(problems);
    REQUIRE(problems.ok());
    role = kGatherLeaf.make(services, config);
    scope.spawn(start_role(*this));
    world.loop.settle();
  }
  sim::SimPeer& connect() {
    if (!role) start();
    sim::SimPeer& peer = world.network.connect_client("127.0.0.1:8081");
    world.loop.settle();
    return peer;
  }
  /// Sends a request on a connection of its own.
  sim::SimPeer& ask(const std::string& target, const std::string& headers = "",
                    const std::string& body = "", const std::string& method = "GET") {
    sim::SimPeer& peer = connect();
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: a\r\n" + headers;
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    peer.send(text + "\r\n" + body);
    world.loop.settle();
    return peer;
  }
  sim::SimChild& child(std::size_t index) { return world.processes.at(index); }
  void answer(sim::SimChild& command, std::string_view output, int code = 0) {
    command.write(output);
    command.exit(code);
    world.loop.settle();
  }
  std::string metric(const std::string& name) const {
    const std::string text = "\n" + metrics.render(Registry::Format::prometheus_text);
    const std::size_t at = text.find("\n" + name + " ");
    if (at == std::string::npos) return "none";
    const std::size_t begin = at + name.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
  }
  std::string outcomes(const std::string& name) const {
    return metric("consort_gather_leaf_requests_total{outcome=\"" + name + "\"}");
  }
  std::string check() const {
    for (const Check& each : checks.all()) {
      if (each.name == "command") return std::string(to_string(each.health)) + ": " + each.text;
    }
    return "none";
  }

  LeafConfig config;
  std::unique_ptr<Role> role;
  TaskScope scope;

 private:
  static Task<> start_role(Bench& self) {
    Result<> started = co_await self.role->start();
    REQUIRE(started.has_value());
  }
};

std::string status_line(const std::string& response) {
  return response.substr(0, response.find("\r\n"));
}
std::string header_in(const std::string& response, const std::string& name) {
  const std::size_t at = response.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "none";
  const std::size_t begin = at + name.size() + 4;
  return response.substr(begin, response.find("\r\n", begin) - begin);
}
std::string body_of(const std::string& response) {
  const std::size_t at = response.find("\r\n\r\n");
  return at == std::string::npos ? "none" : response.substr(at + 4);
}

std::vector<std::string> problems_of(void (*change)(LeafConfig&)) {
  LeafConfig config;
  config.exec = "x";
  change(config);
  Problems problems;
  config.validate(problems);
  return problems.errors();
}

}  // namespace

TEST_CASE("a leaf runs its command for each request and answers with its output") {
  Bench bench;
  sim::SimPeer& client = bench.ask(
      "/shard/s0/a%20b?q=1&r",
      "Consort-Shard: s0\r\nConsort-Shards: 10\r\n"
      "Consort-Attempt: 2\r\nConsort-Request-Id: 7f\r\nAccept: x\r\nContent-Type: t/x\r\n",
      "the body", "POST");
  REQUIRE(bench.world.processes.size() == 1);
  sim::SimChild& command = bench.child(0);
  CHECK(command.command().argv == std::vector<std::string>{"search", "--fast"});
  CHECK(command.input() == "the body");
  CHECK(command.input_ended());
  CHECK(command.variable("REQUEST_METHOD") == "POST");
  CHECK(command.variable("PATH_INFO") == "/shard/s0/a b");
  CHECK(command.variable("QUERY_STRING") == "q=1&r");
  CHECK(command.variable("CONTENT_TYPE") == "t/x");
  CHECK(command.variable("CONTENT_LENGTH") == "8");
  CHECK(command.variable("HTTP_ACCEPT") == "x");
  CHECK(command.variable("CONSORT_SHARD") == "s0");
  CHECK(command.variable("CONSORT_SHARDS") == "10");
  CHECK(command.variable("CONSORT_ATTEMPT") == "2");
  CHECK(command.variable("CONSORT_REQUEST_ID") == "7f");
  CHECK(command.variable("CONSORT_DEADLINE_MS") == "2000");
  CHECK(bench.metric("consort_gather_leaf_processes") == "1");
  bench.answer(command, "{\"hits\":[]}\n");
  const std::string response = client.take();
  CHECK(status_line(response) == "HTTP/1.1 200 OK");
  CHECK(header_in(response, "Content-Type") == "application/json");
  CHECK(body_of(response) == "{\"hits\":[]}\n");
  CHECK(bench.outcomes("ok") == "1");
  CHECK(bench.metric("consort_gather_leaf_processes") == "0");
  CHECK(bench.check() == "pass: the command runs");
}

TEST_CASE("output that is no JSON is plain text, unless an option names it") {
  Bench bench;
  sim::SimPeer& client = bench.ask("/");
  CHECK(bench.child(0).command().input == io::Stdio::null);
  CHECK(bench.child(0).variable("CONTENT_LENGTH") == "none");
  CHECK(bench.child(0).variable("CONSORT_SHARD") == "none");
  bench.answer(bench.child(0), "12 words\n");
  CHECK(header_in(client.take(), "Content-Type") == "text/plain; charset=utf-8");
  bench.config.content_type = "text/csv";
  REQUIRE(bench.role->reload(bench.config).has_value());
  sim::SimPeer& other = bench.ask("/");
  bench.answer(bench.child(1), "{}");
  CHECK(header_in(other.take(), "Content-Type") == "text/csv");
}

TEST_CASE("with cgi a command says status and headers itself") {
  Bench bench;
  bench.config.cgi = true;
  sim::SimPeer& client = bench.ask("/");
  bench.answer(bench.child(0), "Status: 404\nConsort-Weight: 7\nConnection: x\n\nnothing");
  const std::string response = client.take();
  CHECK(status_line(response) == "HTTP/1.1 404 Not Found");
  CHECK(header_in(response, "Consort-Weight") == "7");
  CHECK(header_in(response, "Connection") == "none");
  CHECK(body_of(response) == "nothing");
  CHECK(bench.outcomes("ok") == "1");
  sim::SimPeer& other = bench.ask("/");
  bench.answer(bench.child(1), "no headers");
  const std::string wrong = other.take();
  CHECK(status_line(wrong) == "HTTP/1.1 502 Bad Gateway");
  CHECK(Json::parse(body_of(wrong)).at("detail") == "its headers have no empty line at their end");
  CHECK(bench.outcomes("bad_output") == "1");
}

TEST_CASE("a command that fails is a problem document with its code") {
  Bench bench;
  sim::SimPeer& client = bench.ask("/");
  bench.answer(bench.child(0), "half an answer", 3);
  const std::string response = client.take();
  CHECK(status_line(response) == "HTTP/1.1 502 Bad Gateway");
  CHECK(header_in(response, "Content-Type") == "application/problem+json");
  CHECK(Json::parse(body_of(response)) == Json({{"type", "urn:consort:gather:command-failed"},
                                                {"title", "The command failed"},
                                                {"status", 502},
                                                {"detail", "exit code 3"},
                                                {"exit_code", 3}}));
  sim::SimPeer& other = bench.ask("/");
  bench.child(1).end({.code = 0, .signal = 11});
  bench.world.loop.settle();
  CHECK(Json::parse(body_of(other.take())).at("signal") == 11);
  CHECK(bench.outcomes("exit_code") == "1");
  CHECK(bench.outcomes("signal") == "1");
}

TEST_CASE("a command that is not done in time is stopped, and the answer is 504") {
  Bench bench;
  bench.config.timeout = Millis(300);
  sim::SimPeer& client = bench.ask("/");
  bench.world.loop.run_for(299);
  CHECK(client.received().empty());
  bench.world.loop.run_for(1);
  const std::string response = client.take();
  CHECK(status_line(response) == "HTTP/1.1 504 Gateway Timeout");
  CHECK(Json::parse(body_of(response)).at("title") == "The command took too long");
  CHECK(bench.child(0).signals() == std::vector<int>{15});
  CHECK(bench.outcomes("timeout") == "1");
}

TEST_CASE("the smallest deadline wins, and a malformed one is ignored") {
  const auto deadline = [](const std::string& headers) {
    Bench bench;
    bench.ask("/", headers);
    return bench.world.processes.size() == 0 ? "not run"
                                             : bench.child(0).variable("CONSORT_DEADLINE_MS");
  };
  CHECK(deadline("grpc-timeout: 380m\r\n") == "380");
  CHECK(deadline("x-envoy-expected-rq-timeout-ms: 250\r\ngrpc-timeout: 380m\r\n") == "250");
  CHECK(deadline("grpc-timeout: 1M\r\n") == "2000");
  CHECK(deadline("grpc-timeout: soon\r\n") == "2000");
  CHECK(deadline("grpc-timeout: 0m\r\n") == "not run");
  Bench bench;
  CHECK(status_line(bench.ask("/", "grpc-timeout: 0m\r\n").take()) ==
        "HTTP/1.1 504 Gateway Timeout");
  bench.ask("/", "grpc-timeout: soon\r\n");
  CHECK(bench.metric("consort_gather_leaf_bad_deadlines_total") == "1");
}

TEST_CASE("a client that leaves takes its command with it") {
  Bench bench;
  sim::SimPeer& client = bench.ask("/");
  client.reset();
  bench.world.loop.settle();
  CHECK(bench.child(0).was_killed());
  CHECK(bench.outcomes("client_gone") == "1");
  CHECK(bench.metric("consort_gather_leaf_processes") == "0");
}

TEST_CASE("more requests than processes wait in a short line, then get 503") {
  Bench bench;
  std::vector<sim::SimPeer*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&bench.ask("/"));
  CHECK(bench.world.processes.size() == 2);
  CHECK(bench.metric("consort_gather_leaf_waiting") == "1");
  const std::string refused = clients[3]->take();
  CHECK(status_line(refused) == "HTTP/1.1 503 Service Unavailable");
  CHECK(header_in(refused, "Retry-After") == "1");
  CHECK(bench.outcomes("busy") == "1");
  bench.answer(bench.child(0), "one");
  REQUIRE(bench.world.processes.size() == 3);
  bench.answer(bench.child(2), "three");
  CHECK(body_of(clients[0]->take()) == "one");
  CHECK(body_of(clients[2]->take()) == "three");
}

TEST_CASE("a command that cannot start is told to the client and to operators") {
  Bench bench;
  bench.start();
  bench.world.processes.refuse(
      Error(Errc::not_found, "cannot run \"search\": no such file (looked in PATH)"));
  const std::string response = bench.ask("/").take();
  CHECK(status_line(response) == "HTTP/1.1 502 Bad Gateway");
  CHECK(Json::parse(body_of(response)).at("detail") ==
        "cannot run \"search\": no such file (looked in PATH)");
  CHECK(bench.outcomes("not_started") == "1");
  CHECK(bench.check() == "fail: cannot run \"search\": no such file (looked in PATH)");
  CHECK(bench.checks.worst(true) == Health::pass);
}

TEST_CASE("bodies have limits both ways") {
  Bench bench;
  bench.config.request_body = {10};
  bench.config.response_body = {10};
  CHECK(status_line(bench.ask("/", "", "more than ten", "POST").take()) ==
        "HTTP/1.1 413 Content Too Large");
  CHECK(bench.world.processes.size() == 0);
  sim::SimPeer& client = bench.ask("/");
  bench.child(0).write("more than ten");
  bench.world.loop.settle();
  const std::string response = client.take();
  CHECK(status_line(response) == "HTTP/1.1 502 Bad Gateway");
  CHECK(Json::parse(body_of(response)).at("detail") == "its output is larger than 10");
  CHECK(bench.child(0).was_killed());
  CHECK(bench.outcomes("too_large") == "1");
}

TEST_CASE("HEAD runs the command and sends no body") {
  Bench bench;
  sim::SimPeer& client = bench.ask("/", "", "", "HEAD");
  CHECK(bench.child(0).variable("REQUEST_METHOD") == "HEAD");
  bench.answer(bench.child(0), "12345");
  const std::string response = client.take();
  CHECK(header_in(response, "Content-Length") == "5");
  CHECK(body_of(response).empty());
}

TEST_CASE("a drain lets running commands finish and takes no more") {
  Bench bench;
  sim::SimPeer& client = bench.ask("/");
  bool drained = false;
  const auto drain = [](Role& role, std::uint64_t at_ms, bool& done) -> Task<> {
    co_await role.drain(at_ms);
    done = true;
  };
  bench.scope.spawn(drain(*bench.role, bench.world.loop.now_ms() + 5000, drained));
  bench.world.loop.run_for(100);
  CHECK_FALSE(drained);
  bench.answer(bench.child(0), "done");
  bench.world.loop.run_for(20);
  CHECK(drained);
  const std::string response = client.take();
  CHECK(header_in(response, "Connection") == "close");
  CHECK(body_of(response) == "done");
}

TEST_CASE("a reload is for later requests") {
  Bench bench;
  sim::SimPeer& client = bench.ask("/");
  bench.config.exec = "other";
  bench.config.cgi = true;
  REQUIRE(bench.role->reload(bench.config).has_value());
  bench.answer(bench.child(0), "plain");
  CHECK(body_of(client.take()) == "plain");
  bench.ask("/");
  CHECK(bench.child(1).command().argv == std::vector<std::string>{"other"});
}

TEST_CASE("a leaf's configuration is checked as a whole") {
  CHECK(problems_of([](LeafConfig&) {}).empty());
  CHECK(problems_of([](LeafConfig& config) { config.exec = "  "; }) ==
        std::vector<std::string>{"exec: empty; say which command answers"});
  CHECK(problems_of([](LeafConfig& config) { config.timeout = Millis(0); }) ==
        std::vector<std::string>{"timeout: must be between 1ms and 10m"});
  CHECK(problems_of([](LeafConfig& config) {
          config.processes_max = 5000;
          config.connections = 0;
        }) == std::vector<std::string>{"max_processes: must be at most 4096",
                                       "max_connections: must be between 1 and 65536"});
  LeafConfig config;
  config.exec = "x";
  Problems problems;
  config.validate(problems);
  REQUIRE(config.listen.size() == 1);
  CHECK(config.listen[0].to_string() == "127.0.0.1:8081");
}
