#include "roles/gather/check_connection.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "async/event.hpp"
#include "async/try.hpp"
#include "io/dns.hpp"
#include "wire/http1_text.hpp"

namespace consort::gather {
namespace {

constexpr std::chrono::milliseconds kNameTimeout{5000};
constexpr std::size_t kAddressesMax = 8;
/// Of bytes that nobody asked for: enough to know.
constexpr std::size_t kAfterwardsBytesMax = 1024 * 1024;

http1::Limits limits() {
  http1::Limits limits;
  limits.header_bytes = 32 * 1024;
  limits.body_bytes = 8 * 1024 * 1024;  // what a root takes of one leaf unless told otherwise
  return limits;
}

class Resolving final : public io::DnsHandler<io::DnsAddress> {
 public:
  void on_resolved(Result<std::vector<io::DnsAddress>> found) override {
    answer.emplace(std::move(found));
    done.set();
  }
  Event done;
  std::optional<Result<std::vector<io::DnsAddress>>> answer;
};

Task<Result<std::vector<Address>>> addresses_of(const Services& services, const http::Url& url) {
  std::vector<Address> addresses;
  if (url.address.is_unix() || is_ip_literal(url.address.host)) {
    addresses.push_back(url.address);
    co_return addresses;
  }
  Resolving resolving;
  auto query = services.dns.resolve(url.address.host, kNameTimeout, resolving);
  co_await resolving.done.wait();
  // The query still stands on the stack of its callback: the next turn may end it.
  co_await sleep_until(services.loop.timers(), services.loop.now_ms());
  // Set before the event. NOLINTNEXTLINE(bugprone-unchecked-optional-access)
  Result<std::vector<io::DnsAddress>>& found = *resolving.answer;
  if (!found) co_return fail(std::move(found.error()));
  for (const io::DnsAddress& each : *found) {
    if (addresses.size() == kAddressesMax) break;
    Address address = url.address;
    address.host = each.ip;
    addresses.push_back(std::move(address));
  }
  co_return addresses;
}

/// Until the connection stands; an AsyncStream takes it over then.
class Opening final : public io::StreamHandler {
 public:
  void on_open() override { settled.set(); }
  void on_data(std::string_view) override {}
  void on_writable() override {}
  void on_end(const Error& why) override {
    failure.emplace(why.clone());
    settled.set();
  }
  Event settled;
  std::optional<Error> failure;
};

Task<Result<std::unique_ptr<io::Stream>>> connect_one(const Services& services,
                                                      const http::Url& url, io::TlsClient* tls,
                                                      Address address) {
  Opening opening;
  std::unique_ptr<io::Stream> stream;
  if (url.scheme == http::Url::Scheme::https) {
    io::ConnectOptions options;
    stream =
        tls->connect(services.network, services.loop, address, url.address.host, opening, options);
  } else {
    stream = services.network.connect(address, opening);
  }
  co_await opening.settled.wait();
  if (opening.failure) co_return fail(std::move(*opening.failure).in(address.to_string()));
  co_return std::move(stream);
}

Task<Result<std::unique_ptr<io::Stream>>> connect_any(const Services& services,
                                                      const http::Url& url, io::TlsClient* tls) {
  const std::vector<Address> addresses = co_await try_(addresses_of(services, url));
  std::optional<Error> last;
  for (const Address& address : addresses) {
    Result<std::unique_ptr<io::Stream>> stream = co_await connect_one(services, url, tls, address);
    if (stream) co_return stream;
    // A name has addresses of both families, and a server often listens on one of them only.
    if (!last || last->code() == Errc::refused) last.emplace(std::move(stream.error()));
  }
  if (!last) last.emplace(Errc::not_found, "the name has no address");
  co_return fail(std::move(*last));
}

}  // namespace

CheckConnection::CheckConnection(const Services& services, const http::Url& url, io::TlsClient* tls)
    : services_(services), url_(url), tls_(tls), answer_(limits()) {}

Task<Result<>> CheckConnection::open(Deadline deadline) {
  auto connecting = connect_any(services_, url_, tls_);
  Result<std::unique_ptr<io::Stream>> stream =
      co_await with_deadline(services_.loop.timers(), deadline, std::move(connecting));
  if (!stream) co_return fail(std::move(stream.error()).in("cannot connect"));
  stream_ = std::make_unique<AsyncStream>(services_.loop, std::move(*stream));
  co_return Result<>();
}

Task<Result<>> CheckConnection::send(std::string bytes, Deadline deadline) {
  co_return co_await stream_->write_all(std::move(bytes), deadline);
}

Task<Result<SeenAnswer>> CheckConnection::ask(std::string request, http1::AnswerTo to,
                                              Deadline deadline) {
  const std::uint64_t began_ns = services_.loop.now_ns();
  // A server may answer before it has taken all, and say why it does not want the rest.
  const Result<> sent = co_await stream_->write_all(std::move(request), deadline);
  Result<SeenAnswer> seen = co_await read(to, deadline);
  if (!seen && !sent) co_return fail(sent.error().clone());
  if (seen) seen->ms = static_cast<double>((services_.loop.now_ns() - began_ns) / 1000) / 1000;
  co_return seen;
}

Task<CheckConnection::Afterwards> CheckConnection::listen(Deadline deadline) {
  Afterwards seen;
  while (seen.bytes < kAfterwardsBytesMax) {
    const Result<std::string_view> bytes = co_await stream_->read_some(deadline);
    if (!bytes) {
      seen.has_ended = bytes.error().code() != Errc::timed_out;
      break;
    }
    seen.bytes += bytes->size();
  }
  co_return seen;
}

http1::ResponseStream::Event CheckConnection::take(std::string_view& rest, std::string& body) {
  using Event = http1::ResponseStream::Event;
  Event event = Event::head;
  while (event == Event::head || event == Event::body) {
    const http1::ResponseStream::Item item = answer_.next(rest);
    event = item.event;
    body += item.body;
  }
  return event;
}

Task<Result<SeenAnswer>> CheckConnection::read(http1::AnswerTo to, Deadline deadline) {
  using Event = http1::ResponseStream::Event;
  SeenAnswer seen;
  answer_.begin(to);
  for (Event event = Event::more; event != Event::done;) {
    Result<std::string_view> bytes = co_await stream_->read_some(deadline);
    std::string_view rest;
    if (bytes) {
      rest = *bytes;
      event = take(rest, seen.body);
    } else {
      if (bytes.error().code() == Errc::timed_out) {
        co_return fail(Errc::timed_out,
                       answer_.untouched() ? "no answer in time" : "no whole answer in time");
      }
      const bool began = !answer_.untouched();
      event = answer_.finish();
      if (event != Event::done && !began) {
        co_return fail(Errc::closed, "it closed the connection without an answer");
      }
      seen.until_end = event == Event::done;
    }
    if (event == Event::error) {
      const bool is_cut = answer_.fault() == http1::ResponseFault::closed;
      co_return fail(is_cut ? Errc::closed : Errc::protocol, std::string(answer_.fault_text()));
    }
    if (event == Event::done) seen.stray_bytes = rest.size();
  }
  seen.status = answer_.head().status();
  seen.keep_alive = answer_.keep_alive() && !seen.until_end;
  for (std::size_t i = 0; i < answer_.head().size(); ++i) {
    const http1::HeaderView header = answer_.head()[i];
    seen.headers.emplace_back(http1::to_lower(header.name), header.value);
  }
  co_return seen;
}

}  // namespace consort::gather
