#include "roles/gather/merge/top_k.hpp"

#include <cstddef>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/check.hpp"
#include "roles/gather/merge/json_list.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

/// An element among the best so far. The views of rank are into text, so it must not move.
struct Entry {
  std::string text;
  std::string name;  ///< what dedup goes by; empty: the element has none
  Ranked rank;
};

struct EntryOrder {
  const ListOrder* order;
  bool operator()(const std::unique_ptr<Entry>& a, const std::unique_ptr<Entry>& b) const {
    return order->goes_before(a->rank, b->rank);
  }
};

class TopK final : public Merge {
 public:
  TopK(const TopKOptions& options, std::uint32_t width)
      : options_(options),
        list_{options.items, options.validate},
        order_(options.key, options.descending),
        width_(width),
        best_(EntryOrder{&order_}) {}

  Result<> feed(PartBody part) override {
    CONSORT_CHECK(part.index < width_);
    const Result<std::string_view> list = find_list(part.body, list_);
    if (!list) return fail(list.error().clone());
    JsonArrayReader elements(*list);
    Ranked rank;
    rank.shard = part.index;
    for (std::string_view element; elements.next(element); ++rank.position) {
      order_.find_key(element, rank);
      if (is_wanted(rank)) offer(element, rank);
    }
    return {};
  }

  MergedBody finish() override {
    std::size_t bytes = 0;
    for (const auto& entry : best_) bytes += entry->text.size() + 1;
    ListWriter writer(options_.items, bytes);
    for (const auto& entry : best_) writer.add(entry->text);
    return {"application/json", writer.take()};
  }

  std::size_t held_bytes() const override { return held_bytes_; }

 private:
  using Best = std::set<std::unique_ptr<Entry>, EntryOrder>;

  static std::size_t bytes_of(const Entry& entry) {
    constexpr std::size_t kNodes = 2 * 48;  // of the set and of the map
    return sizeof(Entry) + kNodes + entry.text.capacity() + 2 * entry.name.capacity();
  }

  /// The hot path: most elements of most lists end here, after one comparison.
  bool is_wanted(const Ranked& rank) const {
    if (best_.size() < options_.k) return true;
    return options_.k > 0 && order_.goes_before(rank, (*best_.rbegin())->rank);
  }

  /// Takes a copy of an element that is better than the last of the best, or a first one.
  void offer(std::string_view element, const Ranked& rank) {
    std::string name = name_of(element);
    const auto twin = name.empty() ? by_name_.end() : by_name_.find(name);
    if (twin != by_name_.end()) {
      if (!order_.goes_before(rank, (*twin->second)->rank)) return;
      remove(twin->second);
    } else if (best_.size() == options_.k) {
      remove(std::prev(best_.end()));
    }
    auto entry = std::make_unique<Entry>();
    entry->text = element;
    entry->rank = rank;
    if (rank.key) {
      const auto offset = static_cast<std::size_t>(rank.key->data() - element.data());
      entry->rank.key = std::string_view(entry->text).substr(offset, rank.key->size());
    }
    entry->name = std::move(name);
    held_bytes_ += bytes_of(*entry);
    const auto place = best_.insert(std::move(entry)).first;
    if (!(*place)->name.empty()) by_name_.emplace((*place)->name, place);
  }

  std::string name_of(std::string_view element) const {
    if (!options_.dedup) return {};
    const std::optional<std::string_view> value = options_.dedup->find(element);
    return value ? canonical_json(*value) : std::string();
  }

  void remove(Best::iterator place) {
    held_bytes_ -= bytes_of(**place);
    if (!(*place)->name.empty()) by_name_.erase((*place)->name);
    best_.erase(place);
  }

  TopKOptions options_;
  ListOptions list_;
  ListOrder order_;
  std::uint32_t width_;
  Best best_;
  std::unordered_map<std::string, Best::iterator> by_name_;  ///< only with dedup
  std::size_t held_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Merge> make_top_k(const TopKOptions& options, std::uint32_t width) {
  return std::make_unique<TopK>(options, width);
}

}  // namespace consort::gather
