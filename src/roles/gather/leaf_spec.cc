#include "roles/gather/leaf_spec.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

namespace consort::gather {
namespace {

/// With kMaxShards copies of it, 8 MiB.
constexpr std::size_t kMaxLeafBytes = 2048;
constexpr std::size_t kMaxDigits = 9;

tl::unexpected<Error> refuse(std::string_view text, const std::string& why) {
  return fail(Errc::invalid, in_quotes(text) + " is not a leaf: " + why);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint32_t> number_of(std::string_view digits) {
  std::uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc{} || stop != end || digits.size() > kMaxDigits) return std::nullopt;
  return value;
}

std::string padded(std::uint32_t number, std::size_t width) {
  std::string digits = std::to_string(number);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

std::string too_many() {
  return "it makes more than " + std::to_string(kMaxShards) + " shards";
}

/// "0..9" or "00..11", up or down; nothing when it is no range of numbers.
std::optional<std::vector<std::string>> range_in(std::string_view inside) {
  const std::size_t dots = inside.find("..");
  if (dots == inside.npos) return std::nullopt;
  const std::string_view first = inside.substr(0, dots);
  const std::string_view last = inside.substr(dots + 2);
  const auto from = number_of(first);
  const auto to = number_of(last);
  if (!from || !to) return std::nullopt;
  const bool has_zeros =
      (first.size() > 1 && first.starts_with('0')) || (last.size() > 1 && last.starts_with('0'));
  const std::size_t width = has_zeros ? std::max(first.size(), last.size()) : 0;
  std::vector<std::string> items;
  for (std::uint32_t number = *from;; number += *from <= *to ? 1 : -1U) {
    items.push_back(padded(number, width));
    if (number == *to || items.size() > kMaxShards) return items;
  }
}

/// What a brace stands for.
Result<std::vector<std::string>> items_of(std::string_view inside) {
  if (inside.find(',') != inside.npos) {
    std::vector<std::string> items;
    for (const std::string_view item : split(inside, ',')) {
      if (item.empty()) return fail(Errc::invalid, "an item between its braces is empty");
      items.emplace_back(item);
    }
    return items;
  }
  if (auto range = range_in(inside); range) return std::move(*range);
  std::string braces = "{";
  braces.append(inside).append("}");
  return fail(Errc::invalid,
              in_quotes(braces) + " is neither a range as {0..9} nor a list as {a,b}");
}

/// Every way to replace each brace by one of its items; the last brace runs fastest.
Result<std::vector<std::string>> expand(std::string_view pattern) {
  std::vector<std::string> made = {""};
  while (!pattern.empty()) {
    const std::size_t brace = std::min(pattern.find_first_of("{}"), pattern.size());
    for (std::string& each : made) each.append(pattern.substr(0, brace));
    pattern.remove_prefix(brace);
    if (pattern.empty()) break;
    const std::size_t close = pattern.find_first_of("{}", 1);
    if (pattern.front() == '}') return fail(Errc::invalid, "\"}\" has no \"{\" before it");
    if (close == pattern.npos) return fail(Errc::invalid, "\"{\" has no \"}\" behind it");
    if (pattern[close] == '{') return fail(Errc::invalid, "braces do not go inside braces");
    Result<std::vector<std::string>> items = items_of(pattern.substr(1, close - 1));
    if (!items) return fail(std::move(items.error()));
    if (items->size() > kMaxShards / made.size()) return fail(Errc::limit, too_many());
    std::vector<std::string> longer;
    longer.reserve(made.size() * items->size());
    for (const std::string& each : made) {
      for (const std::string& item : *items) longer.push_back(each + item);
    }
    made = std::move(longer);
    pattern.remove_prefix(close + 1);
  }
  return made;
}

/// Takes "ID=" off the front. An address has a ':' or '/' before any '='.
std::optional<std::string_view> take_id(std::string_view& text) {
  const std::size_t stop = text.find_first_of("=:/|");
  if (stop == text.npos || text[stop] != '=') return std::nullopt;
  const std::string_view id = trimmed(text.substr(0, stop));
  text.remove_prefix(stop + 1);
  return id;
}

/// The alternatives, each expanded; `count` becomes the number of shards.
Result<std::vector<std::vector<std::string>>> alternatives_of(std::string_view addresses,
                                                              std::size_t& count) {
  std::vector<std::vector<std::string>> lists;
  for (const std::string_view address : split(addresses, '|')) {
    if (address.empty()) return fail(Errc::invalid, "an address is missing");
    Result<std::vector<std::string>> urls = expand(address);
    if (!urls) return fail(std::move(urls.error()));
    count = std::max(count, urls->size());
    lists.push_back(std::move(*urls));
    if (lists.size() > kMaxReplicas) {
      return fail(Errc::limit, "more than " + std::to_string(kMaxReplicas) + " replicas");
    }
  }
  for (const auto& urls : lists) {
    if (urls.size() == count || urls.size() == 1) continue;
    return fail(Errc::invalid, "one replica stands for " + std::to_string(urls.size()) +
                                   " shards and another for " + std::to_string(count));
  }
  return lists;
}

}  // namespace

Result<LeafSpec> LeafSpec::parse(std::string_view text) {
  LeafSpec leaf;
  leaf.text = text;
  if (text.size() > kMaxLeafBytes) return refuse(text, "it is longer than 2048 bytes");
  std::string_view addresses = text;
  std::vector<std::string> ids;
  std::size_t count = 1;
  if (const auto id = take_id(addresses); id) {
    Result<std::vector<std::string>> names = expand(*id);
    if (!names) return refuse(text, names.error().text());
    ids = std::move(*names);
    count = ids.size();
  }
  auto lists = alternatives_of(addresses, count);
  if (!lists) return refuse(text, lists.error().text());
  if (!ids.empty() && ids.size() != count) {
    return refuse(text, std::to_string(ids.size()) + " id for " + std::to_string(count) +
                            " shards: write as many, as s{0..9}=");
  }
  leaf.shards.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    ShardSpec& shard = leaf.shards[i];
    if (!ids.empty()) {
      shard.id = ids[i];
      if (!is_shard_id(shard.id)) {
        return refuse(text, in_quotes(shard.id) + " is no id: 1 to 64 letters, digits, _ - .");
      }
    }
    for (const auto& urls : *lists) {
      Result<http::Url> url = http::Url::parse(urls[urls.size() == 1 ? 0 : i]);
      if (!url) return fail(std::move(url.error()));
      ReplicaSpec replica;
      replica.url = std::move(*url);
      if (auto added = add_replica(shard, std::move(replica)); !added) {
        return refuse(text, added.error().text());
      }
    }
  }
  return leaf;
}

Result<Topology> topology_of(std::span<const LeafSpec> leaves) {
  Topology topology;
  std::set<std::string_view> ids;
  for (const LeafSpec& leaf : leaves) {
    for (const ShardSpec& shard : leaf.shards) {
      if (topology.shards.size() == kMaxShards) {
        return fail(Errc::limit, "more than " + std::to_string(kMaxShards) + " shards");
      }
      topology.shards.push_back(shard);
      std::string& id = topology.shards.back().id;
      if (id.empty()) id = default_shard_id(topology.shards.size() - 1);
    }
  }
  for (const ShardSpec& shard : topology.shards) {
    if (ids.insert(shard.id).second) continue;
    return fail(Errc::invalid, "two shards are called " + in_quotes(shard.id));
  }
  if (topology.shards.empty()) return fail(Errc::invalid, "there is no shard: add a --leaf");
  return topology;
}

}  // namespace consort::gather
