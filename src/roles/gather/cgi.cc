#include "roles/gather/cgi.hpp"

#include <algorithm>
#include <charconv>

#include "base/options.hpp"
#include "base/text.hpp"
#include "wire/http1_text.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {

namespace {

using http1::Headers;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/// Empty for headers that a command does not get.
std::string variable_of(std::string_view header) {
  for (const std::string_view kept :
       {"authorization", "proxy-authorization", "proxy", "content-type", "content-length"}) {
    if (equals_ignoring_case(header, kept)) return {};
  }
  if (header.empty() || !std::all_of(header.begin(), header.end(), is_plain)) return {};
  std::string name = "HTTP_";
  for (const char c : header) {
    const bool is_lower = c >= 'a' && c <= 'z';
    name += c == '-' ? '_' : is_lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

void add_headers(std::vector<std::string>& environment, const Headers& headers) {
  Headers variables;
  for (const auto& [header, value] : headers) {
    const std::string name = variable_of(header);
    if (name.empty()) continue;
    const auto same = std::find_if(variables.begin(), variables.end(),
                                   [&name](const auto& each) { return each.first == name; });
    if (same == variables.end()) {
      variables.emplace_back(name, value);
    } else {
      same->second.append(name == "HTTP_COOKIE" ? "; " : ", ").append(value);
    }
  }
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
}

tl::unexpected<Error> wrong(std::size_t line, const std::string& what) {
  return fail(Errc::protocol, "line " + std::to_string(line) + " of its headers: " + what);
}

/// "404" or "404 Not Found"; 0 for anything else.
int parse_status(std::string_view text) {
  int status = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, status);
  if (failure != std::errc() || (rest != end && *rest != ' ')) return 0;
  return status >= 200 && status <= 599 ? status : 0;
}

}  // namespace

std::vector<std::string> cgi_environment(const CgiRequest& request) {
  const auto variable = [](std::string_view name, std::string_view value) {
    return std::string(name).append("=").append(value);
  };
  std::vector<std::string> environment = {
      "GATEWAY_INTERFACE=CGI/1.1",         "SERVER_PROTOCOL=HTTP/1.1",
      "SERVER_SOFTWARE=consort",           variable("REQUEST_METHOD", request.method),
      variable("PATH_INFO", request.path), variable("QUERY_STRING", request.query)};
  if (!request.content_type.empty()) {
    environment.push_back(variable("CONTENT_TYPE", request.content_type));
  }
  if (request.has_body) {
    environment.push_back(variable("CONTENT_LENGTH", std::to_string(request.content_length)));
  }
  if (request.headers != nullptr) add_headers(environment, *request.headers);
  return environment;
}

std::string_view guess_content_type(std::string_view body) {
  return check_json(body) ? "application/json" : "text/plain; charset=utf-8";
}

bool is_framing_header(std::string_view name) {
  for (const std::string_view ours :
       {"content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer",
        "upgrade", "proxy-connection", "proxy-authenticate", "proxy-authorization"}) {
    if (equals_ignoring_case(name, ours)) return true;
  }
  return false;
}

Result<CgiAnswer> parse_cgi_answer(std::string_view output) {
  CgiAnswer answer;
  bool has_status = false;
  bool has_location = false;
  std::size_t at = 0;
  for (std::size_t number = 1;; ++number) {
    const std::size_t end = output.find('\n', at);
    if (end == std::string_view::npos) {
      return fail(Errc::protocol, "its headers have no empty line at their end");
    }
    if (end > kCgiHeaderBytesMax) return fail(Errc::protocol, "its headers are larger than 32KiB");
    std::string_view line = output.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || !http1::is_token(name)) {
      return wrong(number, in_quotes(line) + " is no header");
    }
    const std::string_view value = http1::trim(line.substr(colon + 1));
    if (!http1::is_field_value(value)) return wrong(number, "control characters in a value");
    if (equals_ignoring_case(name, "status")) {
      answer.status = parse_status(value);
      if (answer.status == 0) return wrong(number, in_quotes(value) + " is no status (200 to 599)");
      has_status = true;
    } else if (equals_ignoring_case(name, "content-type")) {
      answer.content_type = value;
    } else if (!is_framing_header(name)) {
      has_location = has_location || equals_ignoring_case(name, "location");
      answer.headers.emplace_back(name, value);
    }
  }
  if (has_location && !has_status) answer.status = 302;
  answer.body = output.substr(at);
  return answer;
}

}  // namespace consort::gather
