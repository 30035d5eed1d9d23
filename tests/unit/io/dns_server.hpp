// A DNS server for tests: one UDP socket on the loop under test, answers from a table.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/fd.hpp"
#include "io/uv/fd_watcher.hpp"
#include "io/uv/loop.hpp"

namespace consort::test {

inline constexpr std::uint16_t kTypeA = 1;
inline constexpr std::uint16_t kTypeAaaa = 28;
inline constexpr std::uint16_t kTypeSrv = 33;

inline std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string u32(std::size_t value) {
  return u16(value >> 16) + u16(value);
}

/// "a.b" as length-prefixed labels.
inline std::string dns_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    std::size_t length = std::min(name.find('.'), name.size());
    out += static_cast<char>(length);
    out += name.substr(0, length);
    name.remove_prefix(std::min(length + 1, name.size()));
  }
  return out + '\0';
}

/// A record about the question's name (a pointer to offset 12).
inline std::string dns_record(std::uint16_t type, std::uint32_t ttl_s, const std::string& data) {
  return "\xC0\x0C" + u16(type) + u16(1) + u32(ttl_s) + u16(data.size()) + data;
}
inline std::string record_a(const char* ip, std::uint32_t ttl_s) {
  in_addr address{};
  inet_pton(AF_INET, ip, &address);
  return dns_record(kTypeA, ttl_s, {reinterpret_cast<const char*>(&address), sizeof address});
}
inline std::string record_aaaa(const char* ip, std::uint32_t ttl_s) {
  in6_addr address{};
  inet_pton(AF_INET6, ip, &address);
  return dns_record(kTypeAaaa, ttl_s, {reinterpret_cast<const char*>(&address), sizeof address});
}
inline std::string record_srv(std::uint16_t priority, std::uint16_t weight, std::uint16_t port,
                              std::string_view target, std::uint32_t ttl_s) {
  return dns_record(kTypeSrv, ttl_s, u16(priority) + u16(weight) + u16(port) + dns_name(target));
}

class DnsServer {
 public:
  explicit DnsServer(io::UvLoop& loop, const char* ip = "127.0.0.1", std::uint16_t port = 0)
      : watcher_([](void* self, io::Readiness) { static_cast<DnsServer*>(self)->answer(); }, this) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    inet_pton(AF_INET, ip, &at.sin_addr);
    socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ready = ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    socklen_t length = sizeof at;
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&at), &length);
    port_ = ntohs(at.sin_port);
    ready = ready && watcher_.open(loop, socket_.get()).has_value();
    watcher_.want({.readable = true, .writable = false});
  }

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void add(const std::string& name, std::uint16_t type, std::vector<std::string> records) {
    records_[{dns_name(name), type}] = std::move(records);
  }

  /// Names with other habits; the default for an unknown name is NXDOMAIN.
  enum class Habit : std::uint8_t { silent, garbage, servfail, no_data };
  void set_habit(const std::string& name, Habit habit) { habits_[dns_name(name)] = habit; }

  bool ready = false;
  int questions = 0;

 private:
  void answer() {
    char buffer[1500];
    sockaddr_in from{};
    socklen_t length = sizeof from;
    ssize_t n = ::recvfrom(socket_.get(), buffer, sizeof buffer, 0,
                           reinterpret_cast<sockaddr*>(&from), &length);
    if (n < 17) return;
    ++questions;
    std::string reply = reply_to({buffer, static_cast<std::size_t>(n)});
    if (reply.empty()) return;
    ::sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
             length);
  }

  std::string reply_to(std::string_view query) const {
    std::string_view question = query.substr(12);
    std::string name(question.substr(0, question.find('\0') + 1));
    auto type = static_cast<std::uint16_t>(static_cast<unsigned char>(question[name.size()]) << 8 |
                                           static_cast<unsigned char>(question[name.size() + 1]));
    question = question.substr(0, name.size() + 4);
    std::size_t code = 3;  // NXDOMAIN
    std::vector<std::string> records;
    if (auto habit = habits_.find(name); habit != habits_.end()) {
      if (habit->second == Habit::silent) return {};
      if (habit->second == Habit::servfail) code = 2;
      if (habit->second == Habit::no_data) code = 0;
      if (habit->second == Habit::garbage) {
        records = {std::string("\xC0\x0C\0\x21\0\x01\0\0\0\x05\xFF\xFFxx", 14)};
        code = 0;
      }
    }
    if (auto found = records_.find({name, type}); found != records_.end()) {
      records = found->second;
      code = 0;
    }
    std::string reply(query.substr(0, 2));
    reply += u16(0x8180 | code) + u16(1) + u16(records.size()) + u16(0) + u16(0);
    reply += question;
    for (const auto& record : records) reply += record;
    return reply;
  }

  io::Fd socket_;
  io::FdWatcher watcher_;
  std::uint16_t port_ = 0;
  std::map<std::pair<std::string, std::uint16_t>, std::vector<std::string>> records_;
  std::map<std::string, Habit> habits_;
};

}  // namespace consort::test
