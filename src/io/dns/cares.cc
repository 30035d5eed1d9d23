#include "io/dns/cares.hpp"

#include <ares.h>
#include <ares_nameser.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "async/timer.hpp"
#include "base/address.hpp"
#include "io/dns/cares_error.hpp"
#include "io/dns/srv_reply.hpp"

namespace consort::io {

namespace {

constexpr std::size_t kNameBytesMax = 254;  // RFC 1035's 253 and a trailing dot

/// One question. The answer is always told by the timer: never during the caller's call, and never
/// from inside c-ares, whose channel a handler might destroy.
template <class T>
class Query final : public DnsQuery {
 public:
  /// What c-ares holds: it outlives a query that is forgotten, until c-ares calls back.
  struct Ticket {
    Query* query = nullptr;
    CaresChannel* channel = nullptr;
  };

  Query(UvLoop& loop, std::string name, std::chrono::milliseconds timeout, DnsHandler<T>& handler)
      : loop_(loop),
        name_(std::move(name)),
        handler_(handler),
        timer_(loop.timers(), [](void* self) { static_cast<Query*>(self)->tell(); }, this) {
    auto timeout_ms = std::max<std::int64_t>(timeout.count(), 0);
    timer_.arm_at(loop.now_ms() + static_cast<std::uint64_t>(timeout_ms));
  }
  ~Query() override { forget_ticket(); }

  void answer(Result<std::vector<T>> answer) {
    answer_.emplace(std::move(answer));
    timer_.arm_at(loop_.now_ms());
  }
  /// Given to c-ares as its argument; take_ticket() gets it back, exactly once.
  Ticket* make_ticket(CaresChannel& channel) {
    auto ticket = std::make_unique<Ticket>();
    ticket->query = this;
    ticket->channel = &channel;
    ++channel.pending;
    ticket_ = ticket.get();
    return ticket.release();
  }
  /// Null when the query was forgotten or timed out.
  static Query* take_ticket(void* argument) {
    std::unique_ptr<Ticket> ticket(static_cast<Ticket*>(argument));
    --ticket->channel->pending;
    if (ticket->query != nullptr) ticket->query->ticket_ = nullptr;
    return ticket->query;
  }

 private:
  void forget_ticket() {
    if (ticket_ != nullptr) ticket_->query = nullptr;
    ticket_ = nullptr;
  }
  void tell() {
    forget_ticket();
    if (!answer_) answer_.emplace(fail(Errc::timed_out, "no DNS server answered in time"));
    // Both leave the object first: the handler may destroy it.
    Result<std::vector<T>> told = std::move(*answer_);
    if (!told) told = fail(std::move(told.error()).in("resolve " + name_));
    handler_.on_resolved(std::move(told));
  }

  UvLoop& loop_;
  std::string name_;
  DnsHandler<T>& handler_;
  Ticket* ticket_ = nullptr;
  std::optional<Result<std::vector<T>>> answer_;
  Timer timer_;
};

using AddressQuery = Query<DnsAddress>;
using ServiceQuery = Query<DnsService>;

/// RFC 6761: "localhost" and everything below it is this host, whatever a server would say.
bool is_localhost(std::string_view name) {
  constexpr std::string_view kLocal = "localhost";
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() < kLocal.size()) return false;
  std::string_view rest = name.substr(0, name.size() - kLocal.size());
  if (!rest.empty() && rest.back() != '.') return false;
  return std::equal(kLocal.begin(), kLocal.end(), name.end() - std::ssize(kLocal),
                    [](char expected, char c) { return expected == (c | 0x20); });
}

DnsAddress to_address(const ares_addrinfo_node& node) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (node.ai_family == AF_INET) {
    const auto* at = reinterpret_cast<const sockaddr_in*>(node.ai_addr);
    inet_ntop(AF_INET, &at->sin_addr, text.data(), text.size());
  } else {
    const auto* at = reinterpret_cast<const sockaddr_in6*>(node.ai_addr);
    inet_ntop(AF_INET6, &at->sin6_addr, text.data(), text.size());
  }
  return {text.data(), static_cast<std::uint32_t>(std::max(node.ai_ttl, 0))};
}

Result<std::vector<DnsAddress>> read_addresses(int status, const ares_addrinfo* found) {
  if (status != ARES_SUCCESS) return fail(cares_error(status));
  std::vector<DnsAddress> addresses;
  for (int family : {AF_INET, AF_INET6}) {
    for (const auto* node = found->nodes; node != nullptr; node = node->ai_next) {
      if (addresses.size() == kDnsRecordsMax) return addresses;
      if (node->ai_family == family) addresses.push_back(to_address(*node));
    }
  }
  if (addresses.empty()) return fail(cares_error(ARES_ENODATA));
  return addresses;
}

void on_addresses(void* argument, int status, int /*timeouts*/, ares_addrinfo* found) {
  AddressQuery* query = AddressQuery::take_ticket(argument);
  if (query != nullptr) query->answer(read_addresses(status, found));
  if (found != nullptr) ares_freeaddrinfo(found);
}

void on_services(void* argument, int status, int /*timeouts*/, unsigned char* reply, int length) {
  ServiceQuery* query = ServiceQuery::take_ticket(argument);
  if (query == nullptr) return;
  if (status != ARES_SUCCESS) {
    query->answer(fail(cares_error(status)));
  } else {
    query->answer(parse_srv_reply(std::span(reply, static_cast<std::size_t>(length))));
  }
}

}  // namespace

CaresDns::CaresDns(UvLoop& loop, CaresOptions options)
    : loop_(loop), options_(std::move(options)) {}

CaresDns::~CaresDns() = default;

std::unique_ptr<DnsQuery> CaresDns::resolve(const std::string& name,
                                            std::chrono::milliseconds timeout,
                                            DnsHandler<DnsAddress>& handler) {
  auto query = std::make_unique<AddressQuery>(loop_, name, timeout, handler);
  if (is_ip_literal(name)) {
    query->answer(std::vector<DnsAddress>{{name, kFixedTtlS}});
    return query;
  }
  if (is_localhost(name)) {
    query->answer(std::vector<DnsAddress>{{"127.0.0.1", kFixedTtlS}, {"::1", kFixedTtlS}});
    return query;
  }
  auto channel = channel_for(name);
  if (!channel) {
    query->answer(fail(std::move(channel.error())));
    return query;
  }
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_flags = ARES_AI_NOSORT;  // sorting would open a socket per address
  ares_getaddrinfo((*channel)->raw(), name.c_str(), nullptr, &hints, &on_addresses,
                   query->make_ticket(**channel));
  (*channel)->rearm();
  return query;
}

std::unique_ptr<DnsQuery> CaresDns::resolve_service(const std::string& name,
                                                    std::chrono::milliseconds timeout,
                                                    DnsHandler<DnsService>& handler) {
  auto query = std::make_unique<ServiceQuery>(loop_, name, timeout, handler);
  auto channel = channel_for(name);
  if (!channel) {
    query->answer(fail(std::move(channel.error())));
    return query;
  }
  ares_search((*channel)->raw(), name.c_str(), ns_c_in, ns_t_srv, &on_services,
              query->make_ticket(**channel));
  (*channel)->rearm();
  return query;
}

Result<CaresChannel*> CaresDns::channel_for(const std::string& name) {
  if (name.empty() || name.size() > kNameBytesMax || name.find('\0') != std::string::npos) {
    return fail(cares_error(ARES_EBADNAME));
  }
  FileStamp stamp = stamp_of(options_.resolv_conf);
  if (channels_.empty() || stamp != resolv_conf_) {
    auto channel = std::make_unique<CaresChannel>(loop_);
    auto opened = channel->open(options_);
    if (!opened) return fail(std::move(opened.error()));
    resolv_conf_ = stamp;
    std::erase_if(channels_, [](const auto& old) { return old->pending == 0; });
    channels_.push_back(std::move(channel));
  }
  CaresChannel* channel = channels_.back().get();
  if (channel->pending >= kQuestionsMax) return fail(Errc::limit, "too many open DNS questions");
  return channel;
}

CaresDns::FileStamp CaresDns::stamp_of(const std::string& path) {
  struct stat file{};
  if (::stat(path.c_str(), &file) != 0) return {};
  return {static_cast<std::int64_t>(file.st_mtim.tv_sec) * 1'000'000'000 + file.st_mtim.tv_nsec,
          file.st_size, file.st_ino};
}

}  // namespace consort::io
