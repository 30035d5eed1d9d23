#include "net/http_pool_names.hpp"

#include <algorithm>
#include <utility>

namespace consort::http::detail {
namespace {

/// Of one name; a server that answers with more is not worth more of our memory.
constexpr std::size_t kAddressesMax = 64;

}  // namespace

PoolNames::PoolNames(io::Loop& loop, io::Dns& dns, Address origin, Settings settings,
                     Listener& listener)
    : loop_(loop),
      dns_(dns),
      origin_(std::move(origin)),
      settings_(settings),
      listener_(listener),
      is_name_(!origin_.is_unix() && !is_ip_literal(origin_.host)) {}

std::optional<Address> PoolNames::next() {
  if (!is_name_) return origin_;
  if (!ips_.empty() && loop_.now_ms() < expires_ms_) return current();
  if (!asking_) {
    asking_ = true;
    query_ = dns_.resolve(origin_.host, settings_.query_timeout, *this);
  }
  return std::nullopt;
}

Address PoolNames::current() const {
  Address address = origin_;
  address.host = ips_[index_ % ips_.size()];
  return address;
}

void PoolNames::failed(const Address& address) {
  // Several connects to one dead address fail together: the first of them moves on.
  if (!ips_.empty() && current() == address) ++index_;
}

void PoolNames::on_resolved(Result<std::vector<io::DnsAddress>> answer) {
  // The query object is still on the stack of its own callback: it is dropped by the next one.
  asking_ = false;
  Millis ttl = settings_.ttl_min;
  if (answer) {
    ips_.clear();
    ttl = settings_.ttl_max;
    for (const io::DnsAddress& each : *answer) {
      if (ips_.size() == kAddressesMax) break;
      ips_.push_back(each.ip);
      ttl = std::min(ttl, Millis(std::int64_t{each.ttl_s} * 1000));
    }
    ttl = std::max(ttl, settings_.ttl_min);
  } else if (ips_.empty()) {
    listener_.on_names(&answer.error());
    return;
  }
  // At least for those who wait for it now.
  expires_ms_ = loop_.now_ms() + static_cast<std::uint64_t>(std::max(ttl, Millis(1)).count());
  listener_.on_names(nullptr);
}

}  // namespace consort::http::detail
