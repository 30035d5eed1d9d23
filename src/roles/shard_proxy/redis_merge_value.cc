#include "roles/shard_proxy/redis_merge_value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "wire/resp.hpp"

namespace consort::shard_proxy {
namespace {

/// The bytes of one value (with the attributes before it) at the front; 0 when it is not whole.
std::size_t value_size(std::string_view bytes) {
  resp::ReplyScanner scanner;
  const resp::ReplyScanner::Step step = scanner.scan(bytes);
  return step.progress == resp::Progress::done ? step.used : 0;
}

struct Header {
  std::int64_t length = -1;  ///< -1 for a null, and for what is no header
  std::size_t size = 0;
};

Header read_header(std::string_view reply) {
  const std::size_t end = reply.find("\r\n");
  if (end == std::string_view::npos) return {};
  constexpr std::int64_t kMaxLength = std::int64_t{1} << 40;  // as in ReplyScanner
  const std::int64_t length = parse_integer(reply.substr(1, end - 1)).value_or(-1);
  return {length > kMaxLength ? -1 : length, end + 2};
}

std::string_view skip_attributes(std::string_view reply) {
  while (!reply.empty() && reply[0] == '|') {
    const Header header = read_header(reply);
    if (header.length < 0) return {};
    reply.remove_prefix(header.size);
    for (std::int64_t i = 0; i < header.length * 2; ++i) {
      const std::size_t size = value_size(reply);
      if (size == 0) return {};
      reply.remove_prefix(size);
    }
  }
  return reply;
}

std::optional<std::string_view> bulk_text(std::string_view reply) {
  const Header header = read_header(reply);
  if (header.length < 0) return std::nullopt;
  const auto length = static_cast<std::size_t>(header.length);
  if (length > reply.size() - header.size) return std::nullopt;
  std::string_view text = reply.substr(header.size, length);
  constexpr std::size_t kFormatBytes = 4;  // "txt:"
  if (reply[0] == '=') text.remove_prefix(std::min(text.size(), kFormatBytes));
  return text;
}

}  // namespace

Elements::Elements(std::string_view reply) {
  reply = skip_attributes(reply);
  if (reply.empty() || std::string_view("*~>%").find(reply[0]) == std::string_view::npos) return;
  const Header header = read_header(reply);
  if (header.length < 0) return;
  type_ = reply[0];
  size_ = static_cast<std::size_t>(header.length) * (type_ == '%' ? 2 : 1);
  rest_ = reply.substr(header.size);
}

std::string_view Elements::next() {
  const std::string_view element = rest_.substr(0, value_size(rest_));
  rest_.remove_prefix(element.size());
  return element;
}

std::optional<std::string_view> text_of(std::string_view reply) {
  reply = skip_attributes(reply);
  if (reply.size() < 3) return std::nullopt;
  if (reply[0] == '$' || reply[0] == '=') return bulk_text(reply);
  if (reply[0] != '+' && reply[0] != ':' && reply[0] != ',') return std::nullopt;
  return reply.substr(1, reply.size() - 3);
}

std::optional<std::int64_t> integer_of(std::string_view reply) {
  std::int64_t value = 0;
  if (!resp::read_integer(skip_attributes(reply), value)) return std::nullopt;
  return value;
}

bool is_null(std::string_view reply) {
  reply = skip_attributes(reply);
  return reply.starts_with("$-") || reply.starts_with("*-") || reply.starts_with("_");
}

char type_of(std::string_view reply) {
  reply = skip_attributes(reply);
  return reply.empty() ? '\0' : reply[0];
}

void append_aggregate(std::string& out, char type, std::size_t elements) {
  out += type;
  out.append(std::to_string(type == '%' ? elements / 2 : elements)).append("\r\n");
}

void append_integer(std::string& out, std::int64_t value) {
  out.append(":").append(std::to_string(value)).append("\r\n");
}

void append_text(std::string& out, char type, std::string_view text) {
  if (type != '=') {
    resp::append_bulk(out, text);
    return;
  }
  out.append("=").append(std::to_string(text.size() + 4)).append("\r\ntxt:");
  out.append(text).append("\r\n");
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_double(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  if (!is_whole || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string format_fixed(double value, int decimals) {
  char text[400];  // the largest double has 309 digits before the point
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, decimals);
  return error == std::errc() ? std::string(text, end) : std::string("0");
}

}  // namespace consort::shard_proxy
