#include "net/dial.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/event.hpp"
#include "async/try.hpp"

namespace consort {
namespace {

constexpr std::size_t kAddressesMax = 16;
constexpr std::chrono::milliseconds kDnsWaitMax{60'000};
/// One address that does not answer must not take the time of the others.
constexpr std::chrono::milliseconds kEachMax{5000};

class Resolving final : public io::DnsHandler<io::DnsAddress> {
 public:
  void on_resolved(Result<std::vector<io::DnsAddress>> got) override {
    answer.emplace(std::move(got));
    done.set();
  }
  std::optional<Result<std::vector<io::DnsAddress>>> answer;
  Event done;
};

/// Until the connection stands; an AsyncStream takes it over then.
class Opening final : public io::StreamHandler {
 public:
  void on_open() override { done.set(); }
  void on_data(std::string_view) override {}
  void on_writable() override {}
  void on_end(const Error& why) override {
    failure.emplace(why.clone());
    done.set();
  }
  std::optional<Error> failure;
  Event done;
};

Task<Result<std::vector<Address>>> resolve(DialWorld world, Address address, Deadline deadline) {
  std::vector<Address> addresses;
  if (address.is_unix() || is_ip_literal(address.host)) {
    addresses.push_back(std::move(address));
    co_return addresses;
  }
  Resolving resolving;
  const std::chrono::milliseconds wait = std::min(deadline.left(world.loop.now_ms()), kDnsWaitMax);
  const std::unique_ptr<io::DnsQuery> query = world.dns.resolve(address.host, wait, resolving);
  co_await resolving.done.wait();
  // The query still stands on the stack of its callback: the next turn may end it.
  co_await sleep_until(world.loop.timers(), world.loop.now_ms());
  // Set before the event. NOLINTNEXTLINE(bugprone-unchecked-optional-access)
  Result<std::vector<io::DnsAddress>>& found = *resolving.answer;
  if (!found) co_return fail(std::move(found.error()));
  for (const io::DnsAddress& each : *found) {
    if (addresses.size() == kAddressesMax) break;
    addresses.push_back(address);
    addresses.back().host = each.ip;
  }
  co_return addresses;
}

Task<Result<std::unique_ptr<AsyncStream>>> dial_one(DialWorld world, Address address,
                                                    std::string server_name, io::TlsClient* tls) {
  Opening opening;
  const io::ConnectOptions options{.keep_alive = true};
  std::unique_ptr<io::Stream> stream =
      tls == nullptr
          ? world.network.connect(address, opening, options)
          : tls->connect(world.network, world.loop, address, server_name, opening, options);
  co_await opening.done.wait();
  if (opening.failure) co_return fail(std::move(*opening.failure));
  co_return std::make_unique<AsyncStream>(world.loop, std::move(stream));
}

Task<Result<std::unique_ptr<AsyncStream>>> dial_any(DialWorld world, Address address,
                                                    io::TlsClient* tls, Deadline deadline) {
  std::optional<Error> last;
  std::string server_name = address.host;
  const std::vector<Address> addresses =
      co_await try_(resolve(world, std::move(address), deadline));
  for (const Address& each : addresses) {
    const Deadline limit = earlier(deadline, Deadline::after(world.loop.now_ms(), kEachMax));
    auto dialing = dial_one(world, each, server_name, tls);
    Result<std::unique_ptr<AsyncStream>> stream =
        co_await with_deadline(world.loop.timers(), limit, std::move(dialing));
    if (stream) co_return stream;
    // A name has addresses of both families, and a server often listens on one of them only.
    if (!last || last->code() == Errc::refused) {
      last.emplace(std::move(stream.error()).in(each.to_string()));
    }
  }
  if (!last) last.emplace(Errc::not_found, server_name + " has no address");
  co_return fail(std::move(*last));
}

}  // namespace

Task<Result<std::unique_ptr<AsyncStream>>> dial(DialWorld world, Address address,
                                                io::TlsClient* tls, Deadline deadline) {
  auto dialing = dial_any(world, std::move(address), tls, deadline);
  Result<std::unique_ptr<AsyncStream>> stream =
      co_await with_deadline(world.loop.timers(), deadline, std::move(dialing));
  co_return stream;
}

}  // namespace consort
