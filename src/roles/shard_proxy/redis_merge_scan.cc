#include "roles/shard_proxy/redis_merge_scan.hpp"

#include <charconv>

#include "roles/shard_proxy/redis_merge.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {
namespace {

std::optional<std::uint64_t> parse_cursor(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<ScanPlace> decode_cursor(std::string_view cursor, std::uint32_t servers) {
  const std::optional<std::uint64_t> value = parse_cursor(cursor);
  if (!value || servers == 0) return std::nullopt;
  return ScanPlace{static_cast<std::uint32_t>(*value % servers), *value / servers};
}

std::string encode_cursor(std::string_view reply, std::uint32_t server, std::uint32_t servers) {
  if (is_error_reply(reply)) return std::string(reply);
  Elements elements(reply);
  if (elements.type() != '*' || elements.size() != 2) return std::string(kUnlikeReplies);
  const std::string_view first = elements.next();
  const std::optional<std::uint64_t> cursor = parse_cursor(text_of(first).value_or(""));
  if (!cursor) return std::string(kUnlikeReplies);
  std::uint64_t ours = 0;
  if (*cursor == 0) {
    ours = server + 1 < servers ? server + 1 : 0;
  } else if (__builtin_mul_overflow(*cursor, std::uint64_t{servers}, &ours) ||
             __builtin_add_overflow(ours, std::uint64_t{server}, &ours)) {
    return "-ERR the cursor of a server is too large to name the server in it: scan the servers "
           "of this pool one by one\r\n";
  }
  std::string out;
  out.reserve(reply.size() + 16);
  append_aggregate(out, '*', 2);
  resp::append_bulk(out, std::to_string(ours));
  return out.append(elements.rest());
}

}  // namespace consort::shard_proxy
