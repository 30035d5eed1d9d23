#include "roles/gather/merge/sorted.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "roles/gather/merge/json_list.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

/// What is left of one leaf's list.
struct Cursor {
  JsonArrayReader rest;
  std::string_view element;
  Ranked rank;
};

class Sorted final : public Merge {
 public:
  Sorted(const SortedOptions& options, std::uint32_t width)
      : order_(options.key, options.descending),
        list_{options.items, options.validate},
        texts_(width) {}

  Result<> feed(PartBody part) override {
    CONSORT_CHECK(part.index < texts_.size());
    if (part.body.size() > std::numeric_limits<std::uint32_t>::max()) {
      return fail(Errc::limit, "the answer is larger than 4 GiB");
    }
    const Result<std::string_view> list = find_list(part.body, list_);
    if (!list) return fail(list.error().clone());
    std::string& text = texts_[part.index];
    if (!is_in_order(*list)) {
      text = in_order(*list);
    } else if (list->size() == part.body.size()) {
      text = std::move(part.body);
    } else {
      text = *list;
    }
    held_bytes_ += text.capacity();
    return {};
  }

  MergedBody finish() override {
    std::vector<Cursor> cursors = open_lists();
    std::size_t bytes = 0;
    for (const std::string& text : texts_) bytes += text.size();
    // The list whose next element goes first stands at the front.
    std::vector<std::uint32_t> heap(cursors.size());
    for (std::uint32_t i = 0; i < heap.size(); ++i) heap[i] = i;
    const auto goes_after = [&cursors, this](std::uint32_t a, std::uint32_t b) {
      return order_.goes_before(cursors[b].rank, cursors[a].rank);
    };
    std::make_heap(heap.begin(), heap.end(), goes_after);
    ListWriter writer(list_.items, bytes);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), goes_after);
      Cursor& first = cursors[heap.back()];
      writer.add(first.element);
      if (advance(first)) {
        std::push_heap(heap.begin(), heap.end(), goes_after);
      } else {
        heap.pop_back();
        texts_[first.rank.shard] = std::string();
      }
    }
    return {"application/json", writer.take()};
  }

  std::size_t held_bytes() const override { return held_bytes_; }

 private:
  /// An element of a list that is to be sorted, by offsets into the list.
  struct Slot {
    std::uint64_t prefix;
    std::uint32_t begin;
    std::uint32_t bytes;
    std::uint32_t key_begin;
    std::uint32_t key_bytes;  ///< 0: the element has no key
  };

  bool advance(Cursor& cursor) const {
    if (!cursor.rest.next(cursor.element)) return false;
    order_.find_key(cursor.element, cursor.rank);
    return true;
  }

  /// Of every list that is not empty, at its first element.
  std::vector<Cursor> open_lists() const {
    std::vector<Cursor> cursors;
    for (std::uint32_t shard = 0; shard < texts_.size(); ++shard) {
      if (texts_[shard].empty()) continue;
      Cursor cursor{JsonArrayReader(texts_[shard]), {}, {}};
      cursor.rank.shard = shard;
      if (advance(cursor)) cursors.push_back(cursor);
    }
    return cursors;
  }

  bool is_in_order(std::string_view list) const {
    JsonArrayReader elements(list);
    std::string_view element;
    if (!elements.next(element)) return true;
    Ranked last;
    order_.find_key(element, last);
    while (elements.next(element)) {
      Ranked next;
      order_.find_key(element, next);
      if (order_.compare_keys(last, next) > 0) return false;
      last = next;
    }
    return true;
  }

  std::string in_order(std::string_view list) const {
    std::vector<Slot> slots = slots_of(list);
    const auto rank_of = [list](const Slot& slot) {
      Ranked rank;
      if (slot.key_bytes > 0) rank.key = list.substr(slot.key_begin, slot.key_bytes);
      rank.prefix = slot.prefix;
      rank.position = slot.begin;
      return rank;
    };
    std::sort(slots.begin(), slots.end(), [&rank_of, this](const Slot& a, const Slot& b) {
      return order_.goes_before(rank_of(a), rank_of(b));
    });
    ListWriter writer(JsonPointer(), list.size());
    for (const Slot& slot : slots) writer.add(list.substr(slot.begin, slot.bytes));
    return writer.take();
  }

  std::vector<Slot> slots_of(std::string_view list) const {
    std::vector<Slot> slots;
    JsonArrayReader elements(list);
    for (std::string_view element; elements.next(element);) {
      Ranked rank;
      order_.find_key(element, rank);
      const auto begin = static_cast<std::uint32_t>(element.data() - list.data());
      Slot slot{rank.prefix, begin, static_cast<std::uint32_t>(element.size()), 0, 0};
      if (rank.key) {
        slot.key_begin = static_cast<std::uint32_t>(rank.key->data() - list.data());
        slot.key_bytes = static_cast<std::uint32_t>(rank.key->size());
      }
      slots.push_back(slot);
    }
    return slots;
  }

  ListOrder order_;
  ListOptions list_;
  std::vector<std::string> texts_;  ///< by shard; empty: none came
  std::size_t held_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Merge> make_sorted(const SortedOptions& options, std::uint32_t width) {
  return std::make_unique<Sorted>(options, width);
}

}  // namespace consort::gather
