#include "roles/gather/topology.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/options.hpp"

namespace consort::gather {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

template <class T>
std::optional<T> whole(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

/// Exact: a double holds no integer above 2^53 for sure, and an int64_t no fraction.
int order_mixed(std::int64_t a, double b) {
  constexpr double kTooLarge = 0x1p63;
  if (b >= kTooLarge) return -1;
  if (b < -kTooLarge) return 1;
  const double trunk = std::trunc(b);
  const int by_trunk = order(a, static_cast<std::int64_t>(trunk));
  return by_trunk != 0 ? by_trunk : order(trunk, b);
}

int order_numbers(const RangeValue& a, const RangeValue& b) {
  if (a.integer && b.integer) return order(*a.integer, *b.integer);
  if (a.integer) return order_mixed(*a.integer, *b.real);
  if (b.integer) return -order_mixed(*b.integer, *a.real);
  return order(*a.real, *b.real);
}

}  // namespace

RangeValue RangeValue::parse(std::string_view text) {
  RangeValue value = as_text(text);
  std::string_view number = text;
  if (number.starts_with('+')) number.remove_prefix(1);
  const std::string_view digits = number.substr(!text.starts_with('+') && number.starts_with('-'));
  // from_chars knows "inf" and "nan" too, which have no place in an order.
  if (digits.empty() || !is_digit(digits.front()) || !is_digit(digits.back())) return value;
  value.integer = whole<std::int64_t>(number);
  if (!value.integer) value.real = whole<double>(number);
  return value;
}

int compare_values(const RangeValue& a, const RangeValue& b) {
  if (a.is_number() && b.is_number()) return order_numbers(a, b);
  return order(a.text, b.text);
}

const ShardRange* ShardSpec::range(std::string_view field) const {
  for (const ShardRange& each : ranges) {
    if (each.field == field) return &each;
  }
  return nullptr;
}

bool ShardSpec::has_tag(std::string_view name, std::string_view value) const {
  return std::any_of(tags.begin(), tags.end(),
                     [&](const auto& tag) { return tag.first == name && tag.second == value; });
}

std::string default_shard_id(std::size_t index) {
  return "s" + std::to_string(index);
}

bool is_shard_id(std::string_view text) {
  auto is_ours = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
  };
  // "." and ".." would climb out of the path that a template puts them into.
  return !text.empty() && text.size() <= kMaxShardIdBytes && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), is_ours);
}

Result<> add_replica(ShardSpec& shard, ReplicaSpec replica) {
  if (shard.replicas.size() == kMaxReplicas) {
    return fail(Errc::limit, "a shard has at most " + std::to_string(kMaxReplicas) + " replicas");
  }
  for (const ReplicaSpec& other : shard.replicas) {
    if (other.url != replica.url) continue;
    return fail(Errc::invalid, in_quotes(replica.url.to_string()) + " is there twice");
  }
  const auto place = std::upper_bound(
      shard.replicas.begin(), shard.replicas.end(), replica.priority,
      [](std::uint16_t priority, const ReplicaSpec& each) { return priority < each.priority; });
  shard.replicas.insert(place, std::move(replica));
  return {};
}

}  // namespace consort::gather
