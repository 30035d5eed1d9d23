#include "roles/shard_proxy/redis_miss.hpp"

#include <algorithm>
#include <iterator>

namespace consort::shard_proxy {
namespace {

struct Miss {
  std::string_view resp2;
  std::string_view resp3;
};
constexpr Miss kMisses[] = {
    {"", ""},  // kind 0: none
    {"$-1\r\n", "_\r\n"},
    {":0\r\n", ":0\r\n"},
    {"*0\r\n", "*0\r\n"},
    {"*0\r\n", "~0\r\n"},
    {"*0\r\n", "%0\r\n"},
    {":-2\r\n", ":-2\r\n"},
    {"$0\r\n\r\n", "$0\r\n\r\n"},
    {"+none\r\n", "+none\r\n"},
};
enum Kind : std::uint8_t {
  null = 1,
  zero,
  empty_list,
  empty_set,
  empty_map,
  minus_two,
  empty,
  none
};

struct Entry {
  std::string_view command;
  Kind kind;
};
// By name, for the search.
constexpr Entry kEntries[] = {
    {"bitcount", zero},
    {"dump", null},
    {"expiretime", minus_two},
    {"get", null},
    {"getbit", zero},
    {"getrange", empty},
    {"hexists", zero},
    {"hget", null},
    {"hgetall", empty_map},
    {"hkeys", empty_list},
    {"hlen", zero},
    {"hstrlen", zero},
    {"hvals", empty_list},
    {"lindex", null},
    {"llen", zero},
    {"lrange", empty_list},
    {"pexpiretime", minus_two},
    {"pttl", minus_two},
    {"scard", zero},
    {"sismember", zero},
    {"smembers", empty_set},
    {"strlen", zero},
    {"substr", empty},
    {"ttl", minus_two},
    {"type", none},
    {"xlen", zero},
    {"xrange", empty_list},
    {"xrevrange", empty_list},
    {"zcard", zero},
    {"zcount", zero},
    {"zlexcount", zero},
    {"zrange", empty_list},
    {"zrangebylex", empty_list},
    {"zrangebyscore", empty_list},
    {"zrank", null},
    {"zrevrange", empty_list},
    {"zrevrangebylex", empty_list},
    {"zrevrangebyscore", empty_list},
    {"zrevrank", null},
    {"zscore", null},
};
static_assert(std::is_sorted(std::begin(kEntries), std::end(kEntries),
                             [](const Entry& a, const Entry& b) { return a.command < b.command; }));

}  // namespace

std::uint8_t miss_kind_of(std::string_view command) {
  const Entry* found = std::lower_bound(
      std::begin(kEntries), std::end(kEntries), command,
      [](const Entry& entry, std::string_view name) { return entry.command < name; });
  bool is_there = found != std::end(kEntries) && found->command == command;
  return is_there ? found->kind : std::uint8_t{0};
}

std::string_view redis_miss_reply(std::uint8_t kind, bool is_resp3) {
  return is_resp3 ? kMisses[kind].resp3 : kMisses[kind].resp2;
}

}  // namespace consort::shard_proxy
