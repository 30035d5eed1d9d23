// Servers for the proxy's tests: a Redis and a memcached that know a few commands, write down what
// they are asked, and can keep their replies back until the test lets them go.
//
//   RedisServer server(world.network, "10.0.0.1:6379");
//   server.special = [](const Words& words) { ... };   // an answer of the test's own
//   server.hold();  ...  server.release(1);            // replies keep their order per server
//   CHECK(server.log == Lines{"GET a", "GET b"});      // the greeting is left out
//   CHECK(server.session(1).watched.empty());          // of its second connection
#pragma once

#include <algorithm>
#include <cctype>
#include <charconv>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
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
  /// The connection is closed.
  virtual void forget(sim::SimPeer& peer) { (void)peer; }

  sim::SimPeer* asking_ = nullptr;  ///< whose request is executed

 private:
  void feed(sim::SimPeer& peer) {
    if (peer.ended()) forget(peer);
    asking_ = &peer;
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

/// A Redis with transactions, lists that can be waited for, and channels.
class RedisServer final : public FakeServer {
 public:
  /// What the server knows of one connection.
  struct Session {
    int id = 0;
    bool resp3 = false;
    std::string database = "0";
    Lines log;  ///< what it was asked, in short
    bool queuing = false;
    bool spoiled = false;
    std::vector<Words> queued;
    std::map<std::string, std::string> watched;  ///< with the value that it had
    Words waits;                                 ///< the blocking command
    std::set<std::string> channels;
    std::set<std::string> patterns;
  };

  using FakeServer::FakeServer;
  RedisStore store;
  std::map<std::string, std::deque<std::string>> lists;
  /// AUTH, HELLO and SELECT as they came, over all connections.
  Lines greetings;

  /// Of its nth connection.
  Session& session(std::size_t n) { return sessions_[&at().peer(n)]; }
  std::size_t open() const { return sessions_.size(); }
  /// Connections that wait in a blocking command.
  std::size_t blocked() const {
    return count([](const Session& s) { return !s.waits.empty(); });
  }
  std::size_t watching() const {
    return count([](const Session& s) { return !s.watched.empty(); });
  }
  std::size_t subscribed(const std::string& channel) const {
    return count([&channel](const Session& s) {
      return s.channels.contains(channel) || s.patterns.contains(channel);
    });
  }
  /// Those that wait get no element.
  void time_out_blocked() {
    for (auto& [peer, session] : sessions_) wake(*peer, session, "*-1\r\n");
  }
  std::size_t publish(const std::string& channel, const std::string& text) {
    std::size_t receivers = 0;
    for (auto& [peer, session] : sessions_) {
      if (session.channels.contains(channel)) {
        peer->send(message(session, {"message", channel, text}));
        ++receivers;
      }
      for (const std::string& pattern : session.patterns) {
        if (!channel.starts_with(pattern.substr(0, pattern.find('*')))) continue;
        peer->send(message(session, {"pmessage", pattern, channel, text}));
        ++receivers;
      }
    }
    return receivers;
  }

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
  void forget(sim::SimPeer& peer) override { sessions_.erase(&peer); }

  std::string execute(const Words& words) override {
    Session& session = sessions_[asking_];
    if (session.id == 0) session.id = ++last_id_;
    if (is_greeting(words)) return greet(session, words);
    session.log.push_back(joined(words));
    std::string name = lower(words[0]);
    if (name == "multi" || name == "exec" || name == "discard" || name == "watch") {
      return transact(session, words);
    }
    if (!session.queuing) return run(session, words);
    const redis::Command* command = redis::find_command(name);
    session.spoiled = session.spoiled || command == nullptr || !command->accepts(words.size());
    if (session.spoiled) return store.execute(words);
    session.queued.push_back(words);
    return "+QUEUED\r\n";
  }

 private:
  template <class Is>
  std::size_t count(Is is) const {
    return static_cast<std::size_t>(std::count_if(
        sessions_.begin(), sessions_.end(), [&is](const auto& each) { return is(each.second); }));
  }
  static std::string message(const Session& session, const Words& words) {
    std::string text = redis_request(words);
    if (session.resp3) text[0] = '>';
    return text;
  }
  static void wake(sim::SimPeer& peer, Session& session, const std::string& reply) {
    if (!session.waits.empty()) peer.send(reply);
    session.waits.clear();
  }
  std::string greet(Session& session, const Words& words) {
    greetings.push_back(joined(words));
    if (words[0] == "SELECT") session.database = words[1];
    if (words[0] != "HELLO") return "+OK\r\n";
    session.resp3 = words.size() > 1 && words[1] == "3";
    return (session.resp3 ? "%3\r\n" : "*6\r\n") + bulk("version") + bulk("7.0.15") +
           bulk("proto") + (session.resp3 ? ":3\r\n" : ":2\r\n") + bulk("id") + ":" +
           std::to_string(session.id) + "\r\n";
  }
  std::string transact(Session& session, const Words& words) {
    std::string name = lower(words[0]);
    if (name == "watch" && !session.queuing) {
      for (std::size_t i = 1; i < words.size(); ++i) {
        session.watched[words[i]] = store.execute({"GET", words[i]});
      }
      return "+OK\r\n";
    }
    if (name == "watch") return "-ERR WATCH inside MULTI is not allowed\r\n";
    if (name == "multi" && session.queuing) return "-ERR MULTI calls can not be nested\r\n";
    if (name == "multi") {
      session.queuing = true;
      return "+OK\r\n";
    }
    if (!session.queuing) return "-ERR " + words[0] + " without MULTI\r\n";
    bool is_conflict = std::any_of(
        session.watched.begin(), session.watched.end(),
        [this](const auto& each) { return store.execute({"GET", each.first}) != each.second; });
    bool is_spoiled = session.spoiled;
    std::vector<Words> queued = std::exchange(session.queued, {});
    session.watched.clear();
    session.queuing = session.spoiled = false;
    if (name == "discard") return "+OK\r\n";
    if (is_spoiled) return "-EXECABORT Transaction discarded because of previous errors.\r\n";
    if (is_conflict) return session.resp3 ? "_\r\n" : "*-1\r\n";
    std::string out;
    resp::append_array_header(out, queued.size());
    for (const Words& each : queued) out += run(session, each);
    return out;
  }
  std::string run(Session& session, const Words& words) {
    std::string name = lower(words[0]);
    if (name == "unwatch") {
      session.watched.clear();
      return "+OK\r\n";
    }
    if (name == "wait") return ":0\r\n";
    bool blocks = name == "blpop" || (name == "xread" && lower(words[1]) == "block");
    if (blocks && name == "blpop") {
      std::deque<std::string>& list = lists[words[1]];
      if (!list.empty()) {
        std::string element = list.front();
        list.pop_front();
        return redis_request({words[1], element});
      }
    }
    if (blocks) {
      session.waits = words;
      return "";
    }
    if (name == "lpush" || name == "rpush") return push(words[1], words[2]);
    if (name == "publish") return ":" + std::to_string(publish(words[1], words[2])) + "\r\n";
    if (name == "client" && lower(words[1]) == "unblock") return unblock(words);
    if (name.ends_with("subscribe")) return subscribe(session, words);
    return store.execute(words);
  }
  std::string push(const std::string& key, const std::string& element) {
    for (auto& [peer, session] : sessions_) {
      if (session.waits.size() < 2 || session.waits[1] != key) continue;
      wake(*peer, session, redis_request({key, element}));
      return ":1\r\n";
    }
    lists[key].push_back(element);
    return ":" + std::to_string(lists[key].size()) + "\r\n";
  }
  std::string unblock(const Words& words) {
    for (auto& [peer, session] : sessions_) {
      if (std::to_string(session.id) != words[2] || session.waits.empty()) continue;
      bool is_error = words.size() > 3 && lower(words[3]) == "error";
      wake(*peer, session,
           is_error ? "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n" : "*-1\r\n");
      return ":1\r\n";
    }
    return ":0\r\n";
  }
  static std::string subscribe(Session& session, const Words& words) {
    std::string name = lower(words[0]);
    std::set<std::string>& names = name[0] == 'p' ? session.patterns : session.channels;
    std::string out;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (name.find("unsub") != std::string::npos) {
        names.erase(words[i]);
      } else {
        names.insert(words[i]);
      }
      std::size_t total = session.channels.size() + session.patterns.size();
      out += (session.resp3 ? ">3\r\n" : "*3\r\n") + bulk(name) + bulk(words[i]) + ":" +
             std::to_string(total) + "\r\n";
    }
    return out;
  }

  std::map<sim::SimPeer*, Session> sessions_;
  int last_id_ = 100;
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
