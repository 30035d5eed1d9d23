// What Engine checks in a head: the first line, the headers that must be there, and the framing.
#include <algorithm>
#include <utility>

#include "wire/http1_engine.hpp"
#include "wire/http1_text.hpp"

namespace consort::http1::detail {

bool Engine::check_request_line(std::string_view line) {
  const std::size_t first = std::min(line.find(' '), line.size());
  const std::size_t last = line.rfind(' ');
  const std::string_view method = line.substr(0, first);
  if (!is_token(method)) return refuse("the method is malformed");
  if (last == std::string_view::npos || last == first) {
    return refuse("the request line is not \"METHOD TARGET HTTP/1.1\"");
  }
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_target(target)) return refuse("the request target is malformed");
  const bool is_version = version.size() == 8 && version.starts_with("HTTP/") &&
                          version[5] >= '0' && version[5] <= '9' && version[6] == '.' &&
                          version[7] >= '0' && version[7] <= '9';
  if (!is_version) return refuse("the HTTP version is malformed");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse(505, Errc::protocol, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  // PRI is how HTTP/2 begins; CONNECT is for proxies.
  if (method == "CONNECT" || method == "PRI") {
    return refuse(501, Errc::protocol, "an unknown method");
  }
  message_.method = method;
  message_.target = target;
  message_.minor_version = version[7] - '0';
  return true;
}

bool Engine::check_status_line(std::string_view line) {
  const auto parsed = parse_status_line(line);
  if (!parsed) return refuse(parsed.error());
  message_.minor_version = parsed->minor_version;
  message_.status = parsed->status;
  return true;
}

bool Engine::check_request_head() {
  const auto is_host_header = [](const auto& header) { return header.first == "host"; };
  const auto& headers = message_.headers;
  const auto hosts = std::count_if(headers.begin(), headers.end(), is_host_header);
  if (hosts > 1) return refuse("more than one Host header");
  if (hosts == 0 && message_.minor_version == 1) return refuse("no Host header");
  if (!is_host(find_header(headers, "host"))) return refuse("the Host header is malformed");
  const std::string_view expect = find_header(headers, "expect");
  if (!expect.empty() && !equals_ignoring_case(expect, "100-continue")) {
    return refuse(417, Errc::protocol, "the only expectation met is 100-continue");
  }
  return true;
}

/// RFC 9112, 6.3, without its tolerance. Also notes the length and the wish for 100 Continue.
bool Engine::work_out_framing() {
  std::size_t codings = 0;
  std::size_t lengths = 0;
  for (const auto& header : message_.headers) {
    if (header.first == "transfer-encoding") ++codings;
    if (header.first == "content-length") ++lengths;
  }
  if (codings > 1) return refuse("more than one Transfer-Encoding header");
  if (lengths > 1) return refuse("more than one Content-Length header");

  framing_ = is_request() ? Framing::none : Framing::until_end;
  if (codings == 1) {
    if (lengths > 0) return refuse("both Transfer-Encoding and Content-Length");
    if (!check_coding(find_header(message_.headers, "transfer-encoding"))) return false;
    framing_ = Framing::chunked;
  } else if (lengths == 1) {
    if (!read_length(find_header(message_.headers, "content-length"))) return false;
    framing_ = left_ > 0 ? Framing::length : Framing::none;
  }
  if (has_no_body_by_status()) framing_ = Framing::none;
  if (framing_ == Framing::length && left_ > limits_.body_bytes) {
    return refuse(413, Errc::limit, "the body is longer than the limit");
  }
  wants_continue_ = is_request() && framing_ != Framing::none && message_.minor_version == 1 &&
                    !find_header(message_.headers, "expect").empty();
  return true;
}

bool Engine::check_coding(std::string_view coding) {
  if (coding.empty()) return refuse("an empty Transfer-Encoding header");
  if (message_.minor_version == 0) return refuse("Transfer-Encoding in HTTP/1.0");
  if (!equals_ignoring_case(coding, "chunked")) {
    return refuse(501, Errc::protocol, "the only transfer coding understood is chunked");
  }
  return true;
}

bool Engine::read_length(std::string_view digits) {
  // 18 digits fit into 64 bits, and no limit of ours is near them.
  if (digits.empty() || digits.size() > 18) return refuse("the Content-Length is malformed");
  left_ = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return refuse("the Content-Length is malformed");
    left_ = left_ * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

bool Engine::has_no_body_by_status() const {
  if (is_request()) return false;
  return kind_ == Kind::response_to_head || message_.status < 200 || message_.status == 204 ||
         message_.status == 304;
}

void Engine::note_persistence() {
  bool says_close = false;
  bool says_keep_alive = false;
  for (const auto& [name, value] : message_.headers) {
    if (name != "connection") continue;
    says_close = says_close || list_contains(value, "close");
    says_keep_alive = says_keep_alive || list_contains(value, "keep-alive");
  }
  message_.keep_alive = !says_close && (message_.minor_version == 1 || says_keep_alive) &&
                        framing_ != Framing::until_end;
}

/// Whether llhttp, having read the same head, expects the same body.
bool Engine::agrees() const {
  switch (framing_) {
    case Framing::none:
      return complete_;
    case Framing::length:
      return !complete_ && !is_chunked_ && length_ == left_;
    case Framing::chunked:
      return !complete_ && is_chunked_;
    case Framing::until_end:
      return !complete_ && llhttp_message_needs_eof(&parser_) != 0;
  }
  return false;
}

}  // namespace consort::http1::detail
