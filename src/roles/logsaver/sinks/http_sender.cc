#include "roles/logsaver/sinks/http_sender.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "async/deadline.hpp"
#include "net/http_fetch.hpp"
#include "wire/retry_after.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kShownBytes = 300;

http::PoolOptions pool_options(io::TlsClient* tls) {
  http::PoolOptions options;
  options.connect_timeout = HttpSender::kConnectTimeout;
  options.body_bytes_max = HttpSender::kAnswerBytesMax;
  options.tls = tls;
  return options;
}

}  // namespace

Outcome HttpAnswer::outcome() && {
  if (verdict == HttpVerdict::hold) return Outcome::stuck(std::move(why));
  return Outcome::again(std::move(why), wait, verdict == HttpVerdict::overload);
}

HttpSender::HttpSender(const SinkWorld& world, HttpTarget target, io::TlsClient* tls)
    : world_(world),
      target_(std::move(target)),
      auth_(world_.files, target_.auth),
      pool_(world_.loop, world_.network, world_.dns, target_.url, pool_options(tls)) {}

Result<> HttpSender::check() {
  Result<std::string> secret = auth_.header();
  if (!secret) return fail(std::move(secret.error()));
  return {};
}

Task<HttpAnswer> HttpSender::send(HttpBody body) {
  bool is_unknown = false;
  HttpAnswer answer = co_await send_once(body, is_unknown);
  if (!is_unknown || !auth_.refresh()) co_return answer;
  co_return co_await send_once(body, is_unknown);
}

Task<HttpAnswer> HttpSender::send_once(HttpBody body, bool& is_unknown) {
  Result<std::string> secret = auth_.header();
  if (!secret) {
    co_return HttpAnswer{.verdict = HttpVerdict::hold, .why = secret.error().message()};
  }
  http::ClientRequest request;
  request.method = target_.method;
  request.target = target_.target;
  request.headers = target_.headers;
  request.headers.emplace_back("Content-Type", target_.content_type);
  request.headers.emplace_back("User-Agent", "consort-logsaver");
  if (body.coding != Coding::none) {
    request.headers.emplace_back("Content-Encoding", content_encoding(body.coding));
  }
  if (target_.has_idempotency_key) request.headers.emplace_back("Idempotency-Key", body.key);
  if (!secret->empty()) request.headers.emplace_back("Authorization", std::move(*secret));
  request.body = body.bytes;
  request.response_body_bytes_max = kAnswerBytesMax;
  const Deadline deadline = Deadline::after(world_.loop.now_ms(), target_.timeout);
  // What is sent twice is the same batch under the same name: sinks promise at least once.
  Result<http::Response> response =
      co_await http::fetch(pool_, std::move(request), deadline, http::Repeat::allowed);
  if (!response) {
    const Errc code = response.error().code();
    co_return HttpAnswer{.verdict = judge_failure(code), .why = response.error().message()};
  }
  is_unknown = response->status == 401;
  co_return read(std::move(*response));
}

HttpAnswer HttpSender::read(http::Response response) const {
  HttpAnswer answer;
  answer.verdict = target_.judge(response.status);
  answer.body = std::move(response.body);
  if (answer.verdict == HttpVerdict::delivered) return answer;
  const auto pushback =
      parse_retry_after(http1::find_header(response.headers, "retry-after"), world_.wall_ms());
  if (pushback) answer.wait = std::min<Millis>(*pushback, kWaitMax);
  answer.why = place() + ": " + std::to_string(response.status) + " " +
               std::string(http1::reason_phrase(response.status));
  if (!answer.body.empty()) answer.why += ": " + in_quotes(answer.body.substr(0, kShownBytes));
  const std::string_view moved = http1::find_header(response.headers, "location");
  if (response.status >= 300 && response.status < 400 && !moved.empty()) {
    answer.why += " (it has moved to " + in_quotes(moved) + ": say so in the sink's URL)";
  }
  return answer;
}

std::string HttpSender::place() const {
  http::Url url = target_.url;
  url.path_prefix.clear();
  return target_.method + " " + url.to_string() + target_.url.target(target_.target);
}

}  // namespace consort::logsaver
