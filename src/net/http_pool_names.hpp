// Where a pool connects to next: its URL's own address, or what its host's name stands for.
//
// A name's addresses are kept for their TTL, clamped, and used one after the other: the next one
// once the present one has failed, so that a dead address costs one connect. When asking again
// fails, the old addresses go on for the shortest TTL: a name server that is down is not a server
// that is down. Only http_pool*.cc use this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/error.hpp"
#include "base/options.hpp"
#include "io/dns.hpp"
#include "io/loop.hpp"

namespace consort::http::detail {

class PoolNames final : private io::DnsHandler<io::DnsAddress> {
 public:
  class Listener {
   public:
    /// What next() could not say is known now; or why not.
    virtual void on_names(const Error* failure) = 0;

   protected:
    ~Listener() = default;
  };
  struct Settings {
    Millis query_timeout;
    Millis ttl_min;
    Millis ttl_max;
  };

  PoolNames(io::Loop& loop, io::Dns& dns, Address origin, Settings settings, Listener& listener);

  /// Nothing when the name must be asked about; on_names() follows, never during the call.
  std::optional<Address> next();
  /// Connecting to that address, which next() gave, did not work.
  void failed(const Address& address);
  /// Addresses that are known; 1 for an origin that is one itself.
  std::size_t known() const { return is_name_ ? ips_.size() : 1; }

 private:
  void on_resolved(Result<std::vector<io::DnsAddress>> answer) override;
  Address current() const;

  io::Loop& loop_;
  io::Dns& dns_;
  const Address origin_;
  const Settings settings_;
  Listener& listener_;
  const bool is_name_;
  std::vector<std::string> ips_;
  std::size_t index_ = 0;
  std::uint64_t expires_ms_ = 0;
  bool asking_ = false;
  std::unique_ptr<io::DnsQuery> query_;
};

}  // namespace consort::http::detail
