#include "roles/gather/leaf_request.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "wire/http1_text.hpp"
#include "wire/request_deadline.hpp"

namespace consort::gather {
namespace {

void append_number(std::string& out, std::uint64_t number) {
  char text[20];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  out.append(text, end);
}

constexpr std::string_view kVersionAndHost = " HTTP/1.1\r\nHost: ";

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

/// Hop by hop (RFC 9110 7.6.1), the writer's own, ours to set, or about one representation where
/// the client's answer is made of many (Range and conditions).
constexpr std::string_view kNotForwarded[] = {
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "grpc-timeout",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-upstream-rq-timeout-ms",
};
static_assert(std::is_sorted(std::begin(kNotForwarded), std::end(kNotForwarded)));

bool is_forwarded(std::string_view name, std::string_view connection) {
  if (name.starts_with("consort-")) return false;
  if (std::binary_search(std::begin(kNotForwarded), std::end(kNotForwarded), name)) return false;
  return connection.empty() || !http1::list_contains(connection, name);
}

bool is_idempotent_method(std::string_view method) {
  constexpr std::string_view kIdempotent[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  return std::find(std::begin(kIdempotent), std::end(kIdempotent), method) != std::end(kIdempotent);
}

}  // namespace

Result<Template> Template::parse(std::string_view text) {
  static constexpr std::pair<std::string_view, Place> kPlaces[] = {
      {"{shard}", Place::shard},
      {"{index}", Place::index},
      {"{shards}", Place::shards},
      {"{path}", Place::path},
  };
  Template made;
  std::string pending;
  while (!text.empty()) {
    if (text.front() != '{') {
      const std::size_t literal = std::min(text.find('{'), text.size());
      pending += text.substr(0, literal);
      text.remove_prefix(literal);
      continue;
    }
    const auto* place = std::find_if(std::begin(kPlaces), std::end(kPlaces), [&text](auto& known) {
      return text.starts_with(known.first);
    });
    if (place == std::end(kPlaces)) {
      return fail(Errc::invalid, in_quotes(text.substr(0, text.find('}') + 1)) +
                                     " is not one of {shard}, {index}, {shards}, {path}");
    }
    made.pieces_.push_back({std::exchange(pending, {}), place->second});
    text.remove_prefix(place->first.size());
  }
  if (!pending.empty()) made.pieces_.push_back({std::move(pending), Place::none});
  return made;
}

void Template::append(std::string& out, const Values& values) const {
  for (const Piece& piece : pieces_) {
    out += piece.text;
    switch (piece.place) {
      case Place::none:
        break;
      case Place::shard:
        out += values.shard;
        break;
      case Place::index:
        append_number(out, values.index);
        break;
      case Place::shards:
        append_number(out, values.shards);
        break;
      case Place::path:
        out += values.path;
        break;
    }
  }
}

namespace {

Result<Template> parse_path(const std::string& path) {
  const bool is_path = path.empty() || path.starts_with('/') || path.starts_with("{path}");
  if (!is_path || path.find_first_of("# \t\r\n") != std::string::npos) {
    return fail(Errc::invalid,
                in_quotes(path) + " must begin with \"/\" or {path} and hold no blank or \"#\"");
  }
  return Template::parse(path);
}

struct HeaderTemplate {
  std::string name;
  Template value;
};

Result<HeaderTemplate> parse_header(const std::string& line) {
  const std::size_t colon = line.find(':');
  const std::string_view name = std::string_view(line).substr(0, std::min(colon, line.size()));
  if (colon == std::string::npos || !http1::is_token(name) || !http1::is_field_value(line)) {
    return fail(Errc::invalid, in_quotes(line) + " is not NAME: VALUE");
  }
  if (!is_forwarded(http1::to_lower(name), {})) {
    return fail(Errc::invalid, in_quotes(name) + " is set by the root itself");
  }
  auto value = Template::parse(http1::trim(std::string_view(line).substr(colon + 1)));
  if (!value) return fail(std::move(value.error()).in(name));
  return HeaderTemplate{std::string(name), std::move(*value)};
}

}  // namespace

Result<> check_path_template(const std::string& path) {
  auto parsed = parse_path(path);
  if (!parsed) return fail(std::move(parsed.error()));
  return {};
}

Result<> check_header_template(const std::string& line) {
  auto parsed = parse_header(line);
  if (!parsed) return fail(std::move(parsed.error()));
  return {};
}

Result<ScatterTemplates> ScatterTemplates::make(const RouteConfig& route) {
  ScatterTemplates made;
  auto path = parse_path(route.path);
  if (!path) return fail(std::move(path.error()).in("path"));
  made.path = std::move(*path);
  for (const std::string& line : route.headers) {
    auto header = parse_header(line);
    if (!header) return fail(std::move(header.error()).in("header"));
    made.names.push_back(http1::to_lower(header->name));
    made.headers.emplace_back(std::move(header->name), std::move(header->value));
  }
  return made;
}

bool ScatterTemplates::sets(std::string_view name) const {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string via_token(std::string_view instance, std::string_view route) {
  std::string token = "consort-" + std::string(instance) + '-';
  // A route's name is a person's text; a pseudonym is a token.
  for (const char c : route) token += http1::is_token(std::string_view(&c, 1)) ? c : '_';
  return token;
}

void append_deadline(std::string& out, std::chrono::microseconds left) {
  append_header(out, "grpc-timeout", grpc_timeout(left));
  append_header(out, "x-envoy-expected-rq-timeout-ms", envoy_timeout_ms(left));
}

LeafRequest::LeafRequest(const http::Request& request, const ScatterTemplates& templates,
                         const Facts& facts)
    : request_(request),
      templates_(templates),
      trace_(facts.trace),
      method_(request.method == "HEAD" ? "GET" : std::string_view(request.method)),
      shards_(facts.shards),
      is_idempotent_(is_idempotent_method(method_)) {
  std::string_view target = request.target;
  // The absolute form: what matters to a leaf begins at the path.
  if (!target.starts_with('/')) {
    const std::size_t scheme = target.find("://");
    const std::size_t path =
        scheme == target.npos ? target.npos : target.find_first_of("/?", scheme + 3);
    if (path != target.npos) target.remove_prefix(path);
    if (path == target.npos && target != "*") target = "/";
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  // "http://root?q=x" has no path, which is as good as "/".
  path_ = question == 0 ? std::string_view("/") : target.substr(0, question);
  query_ = target.substr(question);

  std::string connection;
  for (const auto& [name, value] : request.headers) {
    if (name == "connection") connection.append(value).append(",");
  }
  if (templates.path.empty()) target_.append(path_).append(query_).append(kVersionAndHost);
  common_.reserve(512);
  common_ = "\r\n";
  std::string via;
  for (const auto& [name, value] : request.headers) {
    if (is_forwarded(name, connection) && !templates.sets(name)) {
      append_header(common_, name, value);
    }
    if (name == "via") via.append(value).append(", ");
  }
  append_header(common_, "Accept-Encoding", "identity");
  append_header(common_, "Via", via.append("1.1 ").append(facts.via));
  if (trace_ != nullptr && !trace_->tracestate().empty()) {
    append_header(common_, "tracestate", trace_->tracestate());
  }
  append_header(common_, "Consort-Request-Id", facts.id);
  append_header(common_, "Consort-Depth", std::to_string(facts.depth));
  append_header(common_, "Consort-Shards", std::to_string(facts.shards));
  if (!request.body.empty() || request.header("content-length") == "0" || method_ == "POST" ||
      method_ == "PUT" || method_ == "PATCH") {
    append_header(common_, "Content-Length", std::to_string(request.body.size()));
  }
  common_ += "Consort-Shard: ";
}

void LeafRequest::append_target(std::string& out, const Attempt& attempt) const {
  const std::size_t start = out.size();
  out += attempt.url.path_prefix;
  // The prefix may end as the path begins.
  if (out.back() == '/' && out.size() > start) out.pop_back();
  if (templates_.path.empty()) {
    out += target_;
    return;
  }
  templates_.path.append(out, values_for(attempt));
  const bool has_query = out.find('?', start) != out.npos;
  if (!has_query) {
    out += query_;
  } else if (query_.size() > 1) {
    out.append("&").append(query_.substr(1));
  }
  out += kVersionAndHost;
}

void LeafRequest::append_head(std::string& out, const Attempt& attempt, Random& random) const {
  out += method_;
  out += ' ';
  append_target(out, attempt);
  out += attempt.url.host_header;
  out += common_;
  out += attempt.shard;
  out += "\r\nConsort-Attempt: ";
  append_number(out, attempt.number);
  if (trace_ != nullptr) {
    out += "\r\ntraceparent: ";
    trace_->append_child_traceparent(out, random);
  }
  out += "\r\n";
  out += attempt.deadline_lines;
  for (const auto& [name, value] : templates_.headers) {
    out.append(name).append(": ");
    value.append(out, values_for(attempt));
    out += "\r\n";
  }
  out += "\r\n";
}

Template::Values LeafRequest::values_for(const Attempt& attempt) const {
  Template::Values values;
  values.shard = attempt.shard;
  values.index = attempt.index;
  values.shards = shards_;
  values.path = path_;
  return values;
}

}  // namespace consort::gather
