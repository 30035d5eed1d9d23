#include "roles/gather/merge/union.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "roles/gather/merge/json_list.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

struct Member {
  std::string text;
  std::uint32_t shard = 0;
  std::uint32_t position = 0;  ///< in the list of its shard
};

class Union final : public Merge {
 public:
  Union(const UnionOptions& options, std::uint32_t width)
      : key_(options.key), list_{options.items, options.validate}, width_(width) {}

  Result<> feed(PartBody part) override {
    CONSORT_CHECK(part.index < width_);
    const Result<std::string_view> list = find_list(part.body, list_);
    if (!list) return fail(list.error().clone());
    JsonArrayReader elements(*list);
    std::uint32_t position = 0;
    for (std::string_view element; elements.next(element); ++position) {
      const std::optional<std::string_view> key = key_.find(element);
      if (key) {
        offer(canonical_json(*key), element, part.index, position);
      } else {
        keyless_.push_back({std::string(element), part.index, position});
        held_bytes_ += bytes_of(keyless_.back());
      }
    }
    return {};
  }

  MergedBody finish() override {
    std::vector<const Member*> members;
    members.reserve(by_key_.size() + keyless_.size());
    std::size_t bytes = 0;
    const auto add = [&members, &bytes](const Member& member) {
      members.push_back(&member);
      bytes += member.text.size() + 1;
    };
    for (const auto& [key, member] : by_key_) add(member);
    for (const Member& member : keyless_) add(member);
    std::sort(members.begin(), members.end(), [](const Member* a, const Member* b) {
      return std::tie(a->shard, a->position) < std::tie(b->shard, b->position);
    });
    ListWriter writer(list_.items, bytes);
    for (const Member* member : members) writer.add(member->text);
    return {"application/json", writer.take()};
  }

  std::size_t held_bytes() const override { return held_bytes_; }

 private:
  static std::size_t bytes_of(const Member& member) {
    return sizeof(Member) + member.text.capacity();
  }

  void offer(std::string key, std::string_view element, std::uint32_t shard,
             std::uint32_t position) {
    constexpr std::size_t kNode = 64;  // of the map, with its bucket
    const std::size_t key_bytes = sizeof(std::string) + key.capacity() + kNode;
    const auto [place, is_new] = by_key_.try_emplace(std::move(key));
    Member& member = place->second;
    if (is_new) {
      held_bytes_ += key_bytes;
    } else if (std::tie(member.shard, member.position) < std::tie(shard, position)) {
      return;
    } else {
      held_bytes_ -= bytes_of(member);
    }
    member = {std::string(element), shard, position};
    held_bytes_ += bytes_of(member);
  }

  JsonPointer key_;
  ListOptions list_;
  std::uint32_t width_;
  std::unordered_map<std::string, Member> by_key_;
  std::vector<Member> keyless_;
  std::size_t held_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Merge> make_union(const UnionOptions& options, std::uint32_t width) {
  return std::make_unique<Union>(options, width);
}

}  // namespace consort::gather
