#include "roles/gather/check_connection.hpp"

#include <utility>

#include "net/dial.hpp"
#include "wire/http1_text.hpp"

namespace consort::gather {
namespace {

/// Of bytes that nobody asked for: enough to know.
constexpr std::size_t kAfterwardsBytesMax = 1024 * 1024;

http1::Limits limits() {
  http1::Limits limits;
  limits.header_bytes = 32 * 1024;
  limits.body_bytes = 8 * 1024 * 1024;  // what a root takes of one leaf unless told otherwise
  return limits;
}

}  // namespace

CheckConnection::CheckConnection(const Services& services, const http::Url& url, io::TlsClient* tls)
    : services_(services), url_(url), tls_(tls), answer_(limits()) {}

Task<Result<>> CheckConnection::open(Deadline deadline) {
  const DialWorld world{services_.loop, services_.network, services_.dns};
  io::TlsClient* const tls = url_.scheme == http::Url::Scheme::https ? tls_ : nullptr;
  auto stream = co_await dial(world, url_.address, tls, deadline);
  if (!stream) co_return fail(std::move(stream.error()).in("cannot connect"));
  stream_ = std::move(*stream);
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
