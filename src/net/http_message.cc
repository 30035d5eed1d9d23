#include "net/http_message.hpp"

#include <algorithm>
#include <optional>

#include "wire/http1_text.hpp"

namespace consort::http {

namespace {

/// make_request has checked every escape, so decoding cannot fail here unless a test or a handler
/// built the Request by hand; then the raw text is the honest answer.
std::string decode(std::string_view raw) {
  return http1::percent_decode(raw, http1::Plus::is_blank).value_or(std::string(raw));
}

std::optional<std::string> find_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (pair.empty() || decode(pair.substr(0, equals)) != name) continue;
    return decode(pair.substr(std::min(equals + 1, pair.size())));
  }
  return std::nullopt;
}

}  // namespace

std::string_view Request::header(std::string_view name) const {
  return http1::find_header(headers, name);
}

std::string Request::query_value(std::string_view name) const {
  return find_parameter(query, name).value_or(std::string());
}

bool Request::has_query(std::string_view name) const {
  return find_parameter(query, name).has_value();
}

Result<Request> make_request(http1::Message message, io::Peer peer) {
  Result<http1::Target> target = http1::parse_target(message.method, message.target);
  if (!target) return fail(std::move(target.error()));
  Request request;
  request.method = std::move(message.method);
  request.target = std::move(message.target);
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  request.headers = std::move(message.headers);
  request.body = std::move(message.body);
  request.peer = std::move(peer);
  if (!target->authority.empty()) {
    // RFC 9112, 3.2.2: or two readers of one request would see different hosts.
    std::erase_if(request.headers, [](const auto& header) { return header.first == "host"; });
    request.headers.emplace_back("host", std::move(target->authority));
  }
  return request;
}

Response make_error(int status, std::string_view text) {
  Response response;
  response.status = status;
  response.body = std::to_string(status);
  response.body.append(" ").append(http1::reason_phrase(status));
  if (!text.empty()) response.body.append(": ").append(text);
  response.body.append("\n");
  return response;
}

}  // namespace consort::http
