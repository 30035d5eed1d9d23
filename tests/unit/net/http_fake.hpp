// An HTTP server of a few lines on the simulated network, for the tests of those who ask servers.
//
//   FakeHttp fake(world.network, "10.0.0.1:80");
//   fake.reply = [](const http1::Message& request) { return response(200, "body"); };
//   ... run the code, world.loop.settle() ...
//   CHECK(fake.seen[0].method == "PUT");
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world.hpp"
#include "wire/http1.hpp"

namespace consort::test {

inline std::string response(int status, std::string_view body = "", std::string_view lines = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + std::string(lines) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

/// To HEAD: no body, whatever its length says.
inline std::string head_response(int status, std::size_t length, std::string_view lines = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + std::string(lines) +
         "Content-Length: " + std::to_string(length) + "\r\n\r\n";
}

class FakeHttp {
 public:
  FakeHttp(sim::SimNetwork& network, const std::string& address) : server_(network.serve(address)) {
    server_.on_data = [this](sim::SimPeer& peer) { read(peer); };
  }

  /// The bytes of the answer; none at all closes the connection.
  std::function<std::string(const http1::Message&)> reply;
  std::vector<http1::Message> seen;

  const http1::Message& last() const { return seen.back(); }
  /// "PUT /a", one per line.
  std::string log() const {
    std::string out;
    for (const http1::Message& each : seen) out += each.method + " " + each.target + "\n";
    return out;
  }

 private:
  void read(sim::SimPeer& peer) {
    auto& parser = parsers_[&peer];
    if (!parser) {
      parser = std::make_unique<http1::RequestParser>(
          http1::Limits{.header_bytes = 64 * 1024, .body_bytes = 64 * 1024 * 1024});
    }
    const std::string bytes = peer.take();
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const http1::Step step = parser->parse(rest);
      if (step.progress == http1::Progress::error) return peer.close();
      if (step.progress == http1::Progress::more) return;
      rest.remove_prefix(step.used);
      seen.push_back(parser->take());
      const std::string answer = reply(seen.back());
      if (answer.empty()) return peer.close();
      peer.send(answer);
    }
  }

  sim::SimServer& server_;
  std::map<sim::SimPeer*, std::unique_ptr<http1::RequestParser>> parsers_;
};

}  // namespace consort::test
