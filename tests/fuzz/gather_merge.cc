// Fuzzes the built-in merges: whatever leaves answer and in whatever order, no merge crashes, the
// answer is the same for every order, and what is called JSON is JSON.
//
// The first byte chooses the merge, the second whether leaves are trusted and how the order is
// changed; then come bodies, each ended by a zero byte. The first byte of a body chooses its
// content type.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roles/gather/merge/merge.hpp"
#include "roles/gather/merge/spec.hpp"
#include "wire/json_scan.hpp"

namespace {

using namespace consort;
using namespace consort::gather;

constexpr std::string_view kMerges[] = {"concat:, ",
                                        "array",
                                        "object",
                                        "ndjson",
                                        "deep",
                                        "json-merge-patch",
                                        "sum",
                                        "min",
                                        "max",
                                        "avg",
                                        "count",
                                        "sum:/a",
                                        "avg:/a/0",
                                        "top-k:a:3",
                                        "top-k:a:3:asc:items=/b:dedup=/c",
                                        "sorted:a",
                                        "sorted:a:desc:items=/b",
                                        "union",
                                        "union:a:items=/b",
                                        "quorum",
                                        "quorum:/a"};
constexpr std::string_view kTypes[] = {"application/json", "application/x-ndjson", "text/plain"};
constexpr std::uint32_t kMaxParts = 8;

struct Outcome {
  MergedBody answer;
  Merge::State state = Merge::State::wants_more;
  std::string why;
};

Outcome merge_in_order(const MergeSpec& spec, const std::vector<std::string>& bodies,
                       const std::vector<std::uint32_t>& order) {
  std::unique_ptr<Merge> merge = make_merge(spec, kMaxParts, spec.k_default);
  for (std::uint32_t index : order) {
    const std::string& body = bodies[index];
    const std::size_t type = body.empty() ? 0 : static_cast<unsigned char>(body[0]);
    const std::string shard = "s" + std::to_string(index);
    // Exactly as long as it is, so that one byte too far is seen.
    std::string exact = body.empty() ? std::string() : body.substr(1);
    exact.shrink_to_fit();
    auto fed = merge->feed({.index = index,
                            .shard = shard,
                            .content_type = kTypes[type % std::size(kTypes)],
                            .body = std::move(exact)});
    if (!fed) merge->lost(index);
    if (!fed && fed.error().text().empty()) std::abort();
    static_cast<void>(merge->held_bytes());
  }
  Outcome outcome;
  outcome.state = merge->state();
  outcome.why = merge->why();
  outcome.answer = merge->finish();
  return outcome;
}

/// A merge may put a level of its own around values that are as deep as we take them.
void check_is_json(std::string_view text) {
  auto checked = check_json(text);
  if (!checked && checked.error().text().find("deep") == std::string::npos) std::abort();
}

void check_answer(const MergeSpec& spec, const MergedBody& answer) {
  if (!spec.validate || spec.kind == MergeKind::concat || spec.kind == MergeKind::quorum) return;
  std::string_view text = answer.body;
  if (spec.kind != MergeKind::ndjson) return check_is_json(text);
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) std::abort();
    check_is_json(text.substr(0, newline));
    text.remove_prefix(newline + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  auto spec = MergeSpec::parse(kMerges[data[0] % std::size(kMerges)]);
  if (!spec) std::abort();
  spec->validate = (data[1] & 1) == 0;

  std::vector<std::string> bodies;
  while (!input.empty() && bodies.size() < kMaxParts) {
    const std::size_t end = std::min(input.find('\0'), input.size());
    bodies.emplace_back(input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < bodies.size(); ++i) order.push_back(i);
  const Outcome one = merge_in_order(*spec, bodies, order);
  check_answer(*spec, one.answer);

  std::uint64_t seed = data[1] + 1U;
  for (std::size_t i = order.size(); i > 1; --i) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    std::swap(order[i - 1], order[(seed >> 33) % i]);
  }
  const Outcome other = merge_in_order(*spec, bodies, order);
  if (other.answer.body != one.answer.body) std::abort();
  if (other.answer.content_type != one.answer.content_type) std::abort();
  if (other.state != one.state || other.why != one.why) std::abort();
  return 0;
}
