#include "roles/gather/config_text.hpp"

#include <charconv>
#include <utility>

namespace consort {
namespace {

constexpr std::uint32_t kMaxFirst = 4096;

std::string shortest(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

bool is_method(std::string_view word) {
  if (word.empty()) return false;
  for (const char c : word) {
    if (c < 'A' || c > 'Z') return false;
  }
  return true;
}

}  // namespace

namespace gather {

Result<RouteMatch> RouteMatch::parse(std::string_view text) {
  RouteMatch match;
  const std::string whole(text);
  const auto refuse = [&whole](std::string_view why) {
    return fail(Errc::invalid, in_quotes(whole) + " is no match: " + std::string(why) +
                                   " (try \"GET /search\", \"/api/*\" or \"*\")");
  };
  if (const std::size_t blank = text.find(' '); blank != text.npos) {
    match.method = text.substr(0, blank);
    if (!is_method(match.method)) return refuse("the method is one word in capitals");
    text.remove_prefix(text.find_first_not_of(' ', blank) == text.npos
                           ? text.size()
                           : text.find_first_not_of(' ', blank));
  }
  if (text == "*") return match;
  if (!text.starts_with('/')) return refuse("a path begins with \"/\"");
  match.is_prefix = text.ends_with("/*");
  if (match.is_prefix) text.remove_suffix(1);
  if (text.find('*') != text.npos) return refuse("\"*\" stands only at the end, after a \"/\"");
  if (text.find_first_of("?# ") != text.npos) return refuse("only the path is matched");
  match.path = text;
  return match;
}

std::string RouteMatch::to_string() const {
  std::string text = method.empty() ? std::string() : method + ' ';
  if (is_prefix && path == "/") return text + "*";
  return text + path + (is_prefix ? "*" : "");
}

bool RouteMatch::takes(std::string_view request_method, std::string_view request_path) const {
  const bool method_fits =
      method.empty() || method == request_method || (method == "GET" && request_method == "HEAD");
  if (!method_fits) return false;
  if (request_path == "*") return is_prefix && path == "/";
  return is_prefix ? request_path.starts_with(path) : request_path == path;
}

Result<Mode> Mode::parse(std::string_view text) {
  Mode mode;
  if (text == "all") return mode;
  if (text == "first") {
    mode.kind = Kind::first;
    return mode;
  }
  if (text == "majority") {
    mode.kind = Kind::majority;
    return mode;
  }
  if (text == "quorum") {
    mode.kind = Kind::quorum;
    return mode;
  }
  constexpr std::string_view kFirstN = "first-n:";
  if (text.starts_with(kFirstN)) {
    const std::string_view digits = text.substr(kFirstN.size());
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, mode.n);
    if (error == std::errc{} && stop == end && mode.n > 0 && mode.n <= kMaxFirst) {
      mode.kind = Kind::first_n;
      return mode;
    }
    return fail(Errc::invalid, in_quotes(text) + " needs a number from 1 to 4096 (first-n:3)");
  }
  return fail(Errc::invalid,
              in_quotes(text) + " is not one of all, first, first-n:N, majority, quorum");
}

std::string Mode::to_string() const {
  switch (kind) {
    case Kind::all:
      return "all";
    case Kind::first:
      return "first";
    case Kind::first_n:
      return "first-n:" + std::to_string(n);
    case Kind::majority:
      return "majority";
    case Kind::quorum:
      return "quorum";
  }
  return {};
}

Result<WaitFactor> WaitFactor::parse(std::string_view text) {
  WaitFactor factor;
  const std::size_t colon = text.find(':');
  if (colon != text.npos) {
    auto least = Text<double>::parse(text.substr(0, colon));
    auto most = Text<double>::parse(text.substr(colon + 1));
    if (least && most && *least <= *most && *most <= 1) {
      factor.least = *least;
      factor.most = *most;
      return factor;
    }
  }
  return fail(Errc::invalid, in_quotes(text) + " is not LEAST:MOST, both from 0 to 1 (try 0:1)");
}

std::string WaitFactor::to_string() const {
  return shortest(least) + ':' + shortest(most);
}

}  // namespace gather

Result<gather::MergeFallback> Text<gather::MergeFallback>::parse(std::string_view text) {
  gather::MergeFallback fallback;
  if (text.empty()) return fallback;
  auto spec = gather::MergeSpec::parse(text);
  if (!spec) return fail(std::move(spec.error()));
  fallback.spec = std::move(*spec);
  return fallback;
}

Result<gather::TopologyFrom> Text<gather::TopologyFrom>::parse(std::string_view text) {
  gather::TopologyFrom from;
  if (text.empty()) return from;
  auto source = gather::TopologyOrigin::parse(text);
  if (!source) return fail(std::move(source.error()));
  from.source = std::move(*source);
  return from;
}

}  // namespace consort
