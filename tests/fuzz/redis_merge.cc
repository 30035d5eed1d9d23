// Fuzzes the merging of Redis replies: whatever well-formed replies servers
// send, every merge answers with one well-formed reply, and reads nothing
// beyond them.
//
// The first byte chooses the merge, the second the request's third word; then
// come replies.
#include "roles/shard_proxy/redis_merge.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "roles/shard_proxy/redis_merge_scan.hpp"
#include "wire/resp.hpp"

namespace {

using namespace consort;
using namespace consort::shard_proxy;

constexpr MergeFunction kMerges[] = {merge_sum,
                                     merge_min,
                                     merge_max,
                                     merge_logical_and,
                                     merge_logical_or,
                                     merge_one_succeeded,
                                     merge_all_succeeded,
                                     merge_concat,
                                     merge_union,
                                     merge_random,
                                     merge_pair_sums,
                                     merge_slowlog,
                                     merge_acl_log,
                                     merge_texts,
                                     merge_latency_latest,
                                     merge_latency_history,
                                     merge_memory_stats,
                                     merge_info,
                                     merge_latency_histogram};

void check_whole(std::string_view reply) {
  resp::ReplyScanner scanner;
  const resp::ReplyScanner::Step step = scanner.scan(reply);
  if (step.progress != resp::Progress::done || step.used != reply.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  // Each in an allocation of exactly its size, so that one byte too far is
  // seen.
  std::vector<std::unique_ptr<char[]>> blocks;
  std::vector<std::string_view> replies;
  std::vector<std::string_view> servers;
  while (!input.empty() && replies.size() < 4) {
    resp::ReplyScanner scanner;
    const resp::ReplyScanner::Step step = scanner.scan(input);
    if (step.progress != resp::Progress::done) break;
    blocks.push_back(std::make_unique<char[]>(step.used));
    std::memcpy(blocks.back().get(), input.data(), step.used);
    replies.emplace_back(blocks.back().get(), step.used);
    servers.emplace_back("server:1");
    input.remove_prefix(step.used);
  }
  constexpr std::string_view kThird[] = {"", "-1", "0", "2", "x"};
  const std::string_view words[] = {"x", "y", kThird[data[1] % std::size(kThird)]};
  const MergeArgs args{.words = words, .servers = servers, .random = data[1]};
  check_whole(kMerges[data[0] % std::size(kMerges)](replies, args));
  for (std::string_view reply : replies) check_whole(encode_cursor(reply, data[1] % 4, 4));
  return 0;
}
