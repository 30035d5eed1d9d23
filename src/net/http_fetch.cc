#include "net/http_fetch.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "net/http_asking.hpp"
#include "wire/http1.hpp"

namespace consort::http {
namespace {

bool is_idempotent(std::string_view method) {
  for (std::string_view each : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    if (method == each) return true;
  }
  return false;
}

/// The whole request in one buffer, ready to be sent.
Result<std::string> render(const ClientRequest& request, const Url& url) {
  const std::string target = url.target(request.target);
  std::string out;
  http1::RequestView view{.method = request.method,
                          .target = target,
                          .host = request.host.empty() ? url.host_header : request.host,
                          .headers = &request.headers,
                          .body = request.body};
  Result<> written = http1::append_request(out, view);
  if (!written) return fail(std::move(written.error()));
  return out;
}

}  // namespace

Task<Result<Response>> fetch(Pool& pool, ClientRequest request, Deadline deadline, Repeat repeat) {
  Result<std::string> bytes = render(request, pool.url());
  const std::string context = request.method + " " + pool.url().target(request.target);
  if (!bytes) co_return fail(std::move(bytes.error()).in(context));
  // It stands in the rendered bytes now.
  request.body = std::string();
  CallRequest raw;
  raw.method = request.method;
  raw.head = *bytes;
  raw.may_repeat = repeat == Repeat::allowed || is_idempotent(request.method);
  const std::size_t bytes_max = request.response_body_bytes_max;
  Result<Response> response = co_await Asking(pool, raw, bytes_max, deadline);
  if (!response) co_return fail(std::move(response.error()).in(context));
  co_return std::move(*response);
}

}  // namespace consort::http
