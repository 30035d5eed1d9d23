// Names in virtual time, from a table.
//
//   dns.set("cache.local", {{.ip = "10.0.0.1", .ttl_s = 5}});
//   dns.set_service("_memcache._tcp.cache.local", {{.target = "a.local", .port = 11211}});
//   dns.set_error("bad.local", Errc::unavailable);   // a server that fails
//   dns.set_silent("slow.local");                    // nobody answers: timed_out
//   dns.delay_ms = 20;  CHECK(dns.questions("cache.local") == 2);
//
// A name without an entry is not_found. IP literals and localhost are answered as by the real one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.hpp"
#include "io/dns.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

class SimDns final : public io::Dns {
 public:
  explicit SimDns(SimLoop& loop) : loop_(loop) {}

  std::uint64_t delay_ms = 0;

  void set(const std::string& name, std::vector<io::DnsAddress> addresses) {
    forget(name);
    addresses_[name] = std::move(addresses);
  }
  void set_service(const std::string& name, std::vector<io::DnsService> services) {
    forget(name);
    services_[name] = std::move(services);
  }
  void set_error(const std::string& name, Errc code) {
    forget(name);
    errors_[name] = code;
  }
  void set_silent(const std::string& name) {
    forget(name);
    silent_.insert(name);
  }
  void forget(const std::string& name) {
    addresses_.erase(name);
    services_.erase(name);
    errors_.erase(name);
    silent_.erase(name);
  }
  int questions(const std::string& name) const {
    auto found = questions_.find(name);
    return found == questions_.end() ? 0 : found->second;
  }

  std::unique_ptr<io::DnsQuery> resolve(const std::string& name, std::chrono::milliseconds timeout,
                                        io::DnsHandler<io::DnsAddress>& handler) override {
    if (is_ip_literal(name)) return answer<io::DnsAddress>(name, {{name, 86'400}}, handler);
    if (name == "localhost") {
      return answer<io::DnsAddress>(name, {{"127.0.0.1", 86'400}, {"::1", 86'400}}, handler);
    }
    return ask(name, timeout, addresses_, handler);
  }
  std::unique_ptr<io::DnsQuery> resolve_service(const std::string& name,
                                                std::chrono::milliseconds timeout,
                                                io::DnsHandler<io::DnsService>& handler) override {
    return ask(name, timeout, services_, handler);
  }

 private:
  /// Alive while the code waits; the answer looks at the flag.
  class Query final : public io::DnsQuery {
   public:
    ~Query() override { *alive = false; }
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  };

  template <class T>
  std::unique_ptr<io::DnsQuery> ask(const std::string& name, std::chrono::milliseconds timeout,
                                    const std::map<std::string, std::vector<T>>& table,
                                    io::DnsHandler<T>& handler) {
    ++questions_[name];
    auto timeout_ms = static_cast<std::uint64_t>(timeout.count());
    if (silent_.contains(name) || delay_ms >= timeout_ms) {
      return fail_with<T>(name, Errc::timed_out, timeout_ms, handler);
    }
    if (auto error = errors_.find(name); error != errors_.end()) {
      return fail_with<T>(name, error->second, delay_ms, handler);
    }
    auto found = table.find(name);
    if (found == table.end() || found->second.empty()) {
      return fail_with<T>(name, Errc::not_found, delay_ms, handler);
    }
    return answer<T>(name, found->second, handler);
  }

  template <class T>
  std::unique_ptr<io::DnsQuery> answer(const std::string&, std::vector<T> records,
                                       io::DnsHandler<T>& handler) {
    auto query = std::make_unique<Query>();
    loop_.after(delay_ms, [alive = query->alive, to = &handler, found = std::move(records)] {
      if (*alive) to->on_resolved(found);
    });
    return query;
  }

  template <class T>
  std::unique_ptr<io::DnsQuery> fail_with(const std::string& name, Errc code,
                                          std::uint64_t after_ms, io::DnsHandler<T>& handler) {
    auto query = std::make_unique<Query>();
    loop_.after(after_ms, [alive = query->alive, to = &handler, name, code] {
      if (*alive) to->on_resolved(tl::unexpected<Error>(Error(code, "resolve " + name)));
    });
    return query;
  }

  SimLoop& loop_;
  std::map<std::string, std::vector<io::DnsAddress>> addresses_;
  std::map<std::string, std::vector<io::DnsService>> services_;
  std::map<std::string, Errc> errors_;
  std::set<std::string> silent_;
  std::map<std::string, int> questions_;
};

}  // namespace consort::sim
