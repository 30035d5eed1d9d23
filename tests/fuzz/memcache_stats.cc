// Fuzzes the merging of memcached statistics: whatever lines servers send, the sum is lines that
// end with END.
#include "roles/shard_proxy/memcache_stats.hpp"

#include <cstdint>
#include <cstdlib>
#include <vector>

using namespace consort::shard_proxy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kForms[] = {"",      "items",    "slabs",     "sizes",  "detail",
                                         "conns", "extstore", "cachedump", "unknown"};
  if (size < 1) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  StatsQuery query = stats_query(kForms[data[0] % std::size(kForms)], "dump", "3");
  std::vector<std::string_view> replies;
  while (replies.size() < 4) {
    std::size_t end = input.find("END\r\n");
    if (end == std::string_view::npos) break;
    replies.push_back(input.substr(0, end + 5));
    input.remove_prefix(end + 5);
  }
  if (replies.empty()) return 0;
  std::string merged = merge_stats(query, replies);
  if (!merged.ends_with("END\r\n")) std::abort();
  return 0;
}
