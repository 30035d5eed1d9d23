// Servers for the proxy's tests: a Redis and a memcached that know a few commands, write down what
// they are asked, and can keep their replies back until the test lets them go.
//
//   RedisServer server(world.network, "10.0.0.1:6379");
//   server.special = [](const Words& words) { ... };   // an answer of the test's own
//   server.hold();  ...  server.release(1);            // replies keep their order per server
//   CHECK(server.log == Lines{"GET a", "GET b"});      // the greeting is left out
#pragma once

#include <algorithm>
#include <cctype>
#include <charconv>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/world.hpp"
#include "wire/memcache.hpp"
#include "wire/redis_commands.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy::test {

using Words = std::vector<std::string>;
using Lines = std::vector<std::string>;

inline std::string bulk(std::string_view text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}
inline std::string redis_request(const Words& words) {
  std::string out;
  resp::append_array_header(out, words.size());
  for (const std::string& word : words) resp::append_bulk(out, word);
  return out;
}
inline std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}
inline std::string joined(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  return line;
}

/// What all fake servers share: connections, the log, and held replies.
class FakeServer {
 public:
  FakeServer(sim::SimNetwork& network, const std::string& address) : at_(network.serve(address)) {
    at_.on_data = [this](sim::SimPeer& peer) { feed(peer); };
  }
  virtual ~FakeServer() { at_.on_data = nullptr; }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  /// Every request that is not part of a greeting.
  Lines log;
  /// Asked before anything else, the greeting included; nothing means: answer as usual.
  std::function<std::optional<std::string>(const Words&)> special;

  void hold() { holds_ = true; }
  void release(std::size_t count = std::numeric_limits<std::size_t>::max()) {
    for (; count > 0 && !held_.empty(); --count) {
      held_.front().first->send(held_.front().second);
      held_.pop_front();
    }
    holds_ = !held_.empty();
  }
  std::size_t held() const { return held_.size(); }
  sim::SimServer& at() { return at_; }
  sim::SimPeer& peer() { return at_.last(); }

 protected:
  /// Takes one whole request off the front of `in`; false when there is none.
  virtual bool take_request(std::string& in, Words& words, std::string& line) = 0;
  virtual bool is_greeting(const Words& words) const = 0;
  virtual std::string execute(const Words& words) = 0;

 private:
  void feed(sim::SimPeer& peer) {
    std::string& in = input_[&peer];
    in += peer.take();
    Words words;
    std::string line;
    while (take_request(in, words, line)) {
      bool greets = is_greeting(words);
      if (!greets) log.push_back(line);
      std::optional<std::string> reply = special ? special(words) : std::nullopt;
      if (!reply) reply = execute(words);
      if (holds_ && !greets) {
        held_.emplace_back(&peer, std::move(*reply));
      } else {
        peer.send(*reply);
      }
    }
  }

  sim::SimServer& at_;
  std::map<sim::SimPeer*, std::string> input_;
  std::deque<std::pair<sim::SimPeer*, std::string>> held_;
  bool holds_ = false;
};

/// The keys of one Redis, and its answers to a few commands. Also the oracle: what a single server
/// would say.
class RedisStore {
 public:
  std::map<std::string, std::string> data;

  std::string execute(const Words& words) {
    std::string name = lower(words[0]);
    const redis::Command* command = redis::find_command(name);
    std::vector<std::string_view> views(words.begin(), words.end());
    if (command == nullptr) return "-" + redis::unknown_command_error({views}) + "\r\n";
    if (!command->accepts(words.size())) return "-" + redis::wrong_arity_error(name) + "\r\n";
    if (name == "ping") return words.size() > 1 ? bulk(words[1]) : "+PONG\r\n";
    if (name == "echo") return bulk(words[1]);
    if (name == "get") return value_of(words[1]);
    if (name == "incr") return increment(words[1]);
    if (name == "set") {
      data[words[1]] = words[2];
      return "+OK\r\n";
    }
    if (name == "mset") return set_all(words);
    if (name == "mget") return get_all(words);
    if (name == "dbsize") return number(data.size());
    if (name == "flushall") {
      data.clear();
      return "+OK\r\n";
    }
    if (name == "exists" || name == "touch" || name == "del" || name == "unlink") {
      return count_all(words, name == "del" || name == "unlink");
    }
    return "+" + joined(words) + "\r\n";
  }

 private:
  static std::string number(std::size_t n) { return ":" + std::to_string(n) + "\r\n"; }
  std::string value_of(const std::string& key) const {
    auto found = data.find(key);
    return found == data.end() ? "$-1\r\n" : bulk(found->second);
  }
  std::string increment(const std::string& key) {
    std::string& value = data.emplace(key, "0").first->second;
    std::int64_t n = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (error != std::errc() || end != value.data() + value.size()) {
      return "-ERR value is not an integer or out of range\r\n";
    }
    value = std::to_string(n + 1);
    return ":" + value + "\r\n";
  }
  std::string set_all(const Words& words) {
    if (words.size() % 2 == 0) return "-" + redis::wrong_arity_error("mset") + "\r\n";
    for (std::size_t i = 1; i < words.size(); i += 2) data[words[i]] = words[i + 1];
    return "+OK\r\n";
  }
  std::string get_all(const Words& words) const {
    std::string out;
    resp::append_array_header(out, words.size() - 1);
    for (std::size_t i = 1; i < words.size(); ++i) out += value_of(words[i]);
    return out;
  }
  std::string count_all(const Words& words, bool remove) {
    std::size_t count = 0;
    for (std::size_t i = 1; i < words.size(); ++i) {
      count += data.contains(words[i]) ? 1 : 0;
      if (remove) data.erase(words[i]);
    }
    return number(count);
  }
};

class RedisServer final : public FakeServer {
 public:
  using FakeServer::FakeServer;
  RedisStore store;
  /// AUTH, HELLO and SELECT as they came, over all connections.
  Lines greetings;

 protected:
  bool take_request(std::string& in, Words& words, std::string& line) override {
    resp::RequestParser parser;
    if (parser.parse(in) != resp::Progress::done) return false;
    words.clear();
    for (std::size_t i = 0; i < parser.argc(); ++i) words.emplace_back(parser.arg(i, in));
    line = joined(words);
    in.erase(0, parser.size());
    return true;
  }
  bool is_greeting(const Words& words) const override {
    return words[0] == "AUTH" || words[0] == "HELLO" || words[0] == "SELECT";
  }
  std::string execute(const Words& words) override {
    if (!is_greeting(words)) return store.execute(words);
    greetings.push_back(joined(words));
    if (words[0] != "HELLO") return "+OK\r\n";
    bool resp3 = words.size() > 1 && words[1] == "3";
    return (resp3 ? "%2\r\n" : "*4\r\n") + bulk("version") + bulk("7.0.15") + bulk("proto") +
           (resp3 ? ":3\r\n" : ":2\r\n");
  }
};

/// A memcached with values and flags 0. Its log shows each command line as it came.
class MemcacheServer final : public FakeServer {
 public:
  using FakeServer::FakeServer;
  std::map<std::string, std::string> data;
  /// Larger bodies are refused, as by a server's -I.
  std::size_t item_size_max = 1 << 20;

 protected:
  bool take_request(std::string& in, Words& words, std::string& line) override {
    memcache::RequestParser parser;
    if (parser.parse(in) != memcache::Progress::done) return false;
    words.clear();
    for (std::size_t i = 0; i < parser.words(); ++i) words.emplace_back(parser.word(i, in));
    line = parser.line(in);
    std::string_view body = parser.body(in);
    body_ = body.empty() ? "" : std::string(body.substr(0, body.size() - 2));
    in.erase(0, parser.size());
    return true;
  }
  // The proxy asks nothing else before it is up, and a client's own "version" is not told apart.
  bool is_greeting(const Words& words) const override { return words[0] == "version"; }

  std::string execute(const Words& words) override {
    const std::string& name = words[0];
    if (name == "version") return "VERSION 1.6.18\r\n";
    if (name == "get" || name == "gets") return values(words, 1);
    if (name == "gat" || name == "gats") return values(words, 2);
    if (name == "set") return set(words);
    if (name == "delete") return data.erase(words[1]) > 0 ? "DELETED\r\n" : "NOT_FOUND\r\n";
    if (name == "add")
      return data.emplace(words[1], body_).second ? "STORED\r\n" : "NOT_STORED\r\n";
    if (name == "mg" || name == "ms" || name == "md") return meta(words);
    if (name == "flush_all") data.clear();
    if (name == "flush_all" || name == "verbosity") return "OK\r\n";
    return "ERROR\r\n";
  }

 private:
  std::string set(const Words& words) {
    if (body_.size() > item_size_max) return "SERVER_ERROR object too large for cache\r\n";
    data[words[1]] = body_;
    return "STORED\r\n";
  }
  std::string values(const Words& words, std::size_t first) const {
    std::string out;
    for (std::size_t i = first; i < words.size(); ++i) {
      auto found = data.find(words[i]);
      if (found == data.end()) continue;
      std::string length = std::to_string(found->second.size());
      bool with_cas = words[0].ends_with('s');
      out += "VALUE " + words[i] + " 0 " + length + (with_cas ? " 77" : "") + "\r\n";
      out += found->second + "\r\n";
    }
    return out + "END\r\n";
  }
  std::string meta(const Words& words) {
    std::string key = words[1];
    std::string flags;
    bool wants_value = false;
    for (std::size_t i = words[0] == "ms" ? 3 : 2; i < words.size(); ++i) {
      if (words[i][0] == 'v') wants_value = true;
      if (words[i][0] == 'O' || words[i][0] == 'b') flags += " " + words[i];
      if (words[i][0] == 'k') flags += " k" + words[1];
      if (words[i] == "b") memcache::decode_base64(words[1], key);
    }
    if (words[0] == "ms") {
      data[key] = body_;
      return "HD" + flags + "\r\n";
    }
    if (words[0] == "md") return (data.erase(key) > 0 ? "HD" : "NF") + flags + "\r\n";
    auto found = data.find(key);
    if (found == data.end()) return "EN\r\n";
    if (!wants_value) return "HD" + flags + "\r\n";
    return "VA " + std::to_string(found->second.size()) + flags + "\r\n" + found->second + "\r\n";
  }

  std::string body_;
};

}  // namespace consort::shard_proxy::test
