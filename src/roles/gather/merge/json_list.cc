#include "roles/gather/merge/json_list.hpp"

#include <limits>

#include "base/json_writer.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

std::string name_of(const JsonPointer& items) {
  return items.is_root() ? std::string("the body") : items.text();
}

}  // namespace

Result<std::string_view> find_list(std::string_view body, const ListOptions& options) {
  Result<std::string_view> document = options.validate ? check_json(body) : trim_json(body);
  if (!document) return document;
  const std::optional<std::string_view> list = options.items.find(*document);
  if (!list) return fail(Errc::protocol, "the answer has nothing at " + name_of(options.items));
  if (json_kind(*list) != JsonKind::array) {
    return fail(Errc::protocol, name_of(options.items) + " is not an array in the answer");
  }
  if (options.validate) return *list;
  // Nobody has seen the commas yet, and a list that breaks off must not be half merged.
  JsonArrayReader reader(*list);
  for (std::string_view element; reader.next(element);) {
  }
  if (reader.failed()) {
    return fail(Errc::protocol, "the array at " + name_of(options.items) + " is broken");
  }
  return *list;
}

ListWriter::ListWriter(const JsonPointer& items, std::size_t bytes)
    : depth_(items.tokens().size()) {
  std::string frame;
  for (const std::string& name : items.tokens()) {
    frame += '{';
    append_json_string(frame, name);
    frame += ':';
  }
  out_.reserve(frame.size() + depth_ + bytes + 2);
  out_ += frame;
  out_ += '[';
}

void ListWriter::add(std::string_view element) {
  if (!is_empty_) out_ += ',';
  is_empty_ = false;
  out_ += element;
}

std::string ListWriter::take() {
  out_ += ']';
  out_.append(depth_, '}');
  return std::move(out_);
}

void ListOrder::find_key(std::string_view element, Ranked& rank) const {
  constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
  rank.key = key_.find(element);
  if (!rank.key) {
    rank.prefix = kLast;
    return;
  }
  const std::uint64_t prefix = json_order_prefix(*rank.key);
  rank.prefix = descending_ ? kLast - prefix : prefix;
}

int ListOrder::compare_keys(const Ranked& a, const Ranked& b) const {
  if (a.prefix != b.prefix) return a.prefix < b.prefix ? -1 : 1;
  // A null that is in descending order shares its prefix with no key at all.
  if (!a.key || !b.key)
    return static_cast<int>(b.key.has_value()) - static_cast<int>(a.key.has_value());
  const int order = compare_json(*a.key, *b.key);
  return descending_ ? -order : order;
}

bool ListOrder::goes_before(const Ranked& a, const Ranked& b) const {
  const int order = compare_keys(a, b);
  if (order != 0) return order < 0;
  return a.shard != b.shard ? a.shard < b.shard : a.position < b.position;
}

}  // namespace consort::gather
