#include "net/http_client.hpp"

#include <algorithm>
#include <string_view>

#include "async/try.hpp"
#include "net/async_stream.hpp"
#include "wire/http1.hpp"

namespace consort::http {

namespace {

std::string host_of(const Address& address) {
  return address.is_unix() ? "localhost" : address.to_string();
}

Result<std::string> render(const ClientRequest& request, const Address& address) {
  const std::string host = request.host.empty() ? host_of(address) : request.host;
  std::string out;
  http1::RequestView view{.method = request.method,
                          .target = request.target,
                          .host = host,
                          .headers = &request.headers,
                          .body = request.body,
                          .close = true};
  Result<> written = http1::append_request(out, view);
  if (!written) return fail(std::move(written.error()));
  return out;
}

Response to_response(http1::Message message) {
  Response response;
  response.status = message.status;
  response.content_type = http1::find_header(message.headers, "content-type");
  response.headers = std::move(message.headers);
  response.body = std::move(message.body);
  return response;
}

Task<Result<http1::Message>> read_response(AsyncStream& stream, http1::ResponseParser& parser,
                                           Deadline deadline) {
  for (;;) {
    Result<std::string_view> bytes = co_await stream.read_some(deadline);
    http1::Progress progress = http1::Progress::error;
    if (bytes) {
      progress = parser.parse(*bytes).progress;
    } else if (bytes.error().code() == Errc::closed && bytes.error().sys() == 0) {
      progress = parser.finish();
    } else {
      co_return fail(std::move(bytes.error()));
    }
    if (progress == http1::Progress::done) co_return parser.take();
    if (progress == http1::Progress::error) co_return fail(parser.error().clone());
  }
}

Task<Result<Response>> exchange(AsyncStream& stream, const ClientRequest& request,
                                std::string bytes, Deadline deadline) {
  Result<> open = co_await stream.opened(deadline);
  if (!open) co_return fail(std::move(open.error()));
  Result<> sent = co_await stream.write_all(std::move(bytes), deadline);
  // A server may answer and close without reading all: that answer is worth more than our error.
  if (!sent && sent.error().code() != Errc::closed) co_return fail(std::move(sent.error()));

  http1::Limits limits;
  limits.header_bytes = request.response_header_bytes_max;
  limits.body_bytes = request.response_body_bytes_max;
  http1::ResponseParser parser(limits, request.method);
  http1::Message message = co_await try_(read_response(stream, parser, deadline));
  co_return to_response(std::move(message));
}

}  // namespace

Task<Result<Response>> fetch(io::Loop& loop, io::Network& network, Address address,
                             ClientRequest request, Deadline deadline) {
  const std::string context = request.method + " " + request.target + " at " + address.to_string();
  Result<std::string> bytes = render(request, address);
  if (!bytes) co_return fail(std::move(bytes.error()).in(context));
  AsyncStream stream(loop, network, address);
  std::string text = std::move(*bytes);
  Result<Response> response = co_await exchange(stream, request, std::move(text), deadline);
  if (!response) co_return fail(std::move(response.error()).in(context));
  co_return std::move(*response);
}

}  // namespace consort::http
