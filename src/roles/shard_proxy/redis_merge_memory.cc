// Merging MEMORY STATS: names and values by turns, a map in RESP3; a value is an integer, a
// fraction (a text in RESP2), or for each database a list of the same kind.
//
// Integers are added. The peaks of the servers were not at one time: the pool's is given as the
// highest of them, but never less than what is allocated now. Fractions are averaged, since most
// are ratios of numbers that the reply does not tell.
#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "roles/shard_proxy/redis_merge.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {
namespace {

struct Stat {
  std::string_view name;
  char type = 0;  ///< of the value: ':', '$' or ',' for fractions, '*' or '%' for databases
  std::int64_t sum = 0;
  double total = 0;  ///< of fractions
  int servers = 0;
  std::vector<Stat> inner;
};

constexpr std::string_view kPeak = "peak.allocated";
constexpr std::size_t kMaxStats = 10'000;  // about 30 and one per database; each is looked for

Stat* find(std::vector<Stat>& stats, std::string_view name) {
  auto found =
      std::find_if(stats.begin(), stats.end(), [&](const Stat& s) { return s.name == name; });
  return found == stats.end() ? nullptr : &*found;
}

bool is_database(const Stat& stat) {
  return stat.name.starts_with("db.");
}

bool add_list(std::string_view reply, char type, std::vector<Stat>& stats, bool is_inner);

bool add_value(std::string_view value, Stat& stat, bool is_inner) {
  const char type = type_of(value);
  if (stat.servers++ == 0) stat.type = type;
  if (stat.type != type) return false;
  if (type == '*' || type == '%') return !is_inner && add_list(value, type, stat.inner, true);
  if (type == ':') {
    std::optional<std::int64_t> number = integer_of(value);
    if (number && stat.name == kPeak) {
      stat.sum = std::max(stat.sum, *number);
      return true;
    }
    return number && !__builtin_add_overflow(stat.sum, *number, &stat.sum);
  }
  std::optional<double> number = parse_double(text_of(value).value_or(""));
  stat.total += number.value_or(0);
  return number.has_value();
}

// A name that only a later server has (a database) goes where that server has it.
bool add_list(std::string_view reply, char type, std::vector<Stat>& stats, bool is_inner) {
  Elements elements(reply);
  if (elements.type() != type) return false;
  std::size_t place = 0;  // usually where the name is
  for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
    const std::optional<std::string_view> name = text_of(elements.next());
    if (!name || stats.size() > kMaxStats) return false;
    if (place >= stats.size() || stats[place].name != *name) {
      if (const Stat* known = find(stats, *name)) {
        place = static_cast<std::size_t>(known - stats.data());
      } else {
        stats.insert(stats.begin() + static_cast<std::ptrdiff_t>(place), Stat{.name = *name});
      }
    }
    if (!add_value(elements.next(), stats[place], is_inner)) return false;
    ++place;
  }
  return true;
}

std::int64_t value_of(std::vector<Stat>& stats, std::string_view name) {
  const Stat* stat = find(stats, name);
  return stat == nullptr ? 0 : stat->sum;
}

void correct(std::vector<Stat>& stats) {
  const std::int64_t total = value_of(stats, "total.allocated");
  const std::int64_t keys = value_of(stats, "keys.count");
  if (Stat* peak = find(stats, kPeak)) peak->sum = std::max(peak->sum, total);
  if (Stat* each = find(stats, "keys.bytes-per-key"); each != nullptr && keys > 0) {
    std::int64_t net = 0;
    if (!__builtin_sub_overflow(total, value_of(stats, "startup.allocated"), &net)) {
      each->sum = net / keys;
    }
  }
  auto rank = [](const Stat& stat) {
    return std::pair(parse_integer(stat.name.substr(3)).value_or(0), stat.name);
  };
  auto first = std::find_if(stats.begin(), stats.end(), is_database);
  auto last = std::find_if_not(first, stats.end(), is_database);
  std::sort(first, last, [&](const Stat& a, const Stat& b) { return rank(a) < rank(b); });
}

void append_fraction(std::string& out, const Stat& stat) {
  char text[64];
  const auto [end, error] = std::to_chars(text, text + sizeof text, stat.total / stat.servers,
                                          std::chars_format::general, 17);
  const std::string_view digits(text, static_cast<std::size_t>(end - text));
  if (stat.type != ',') return resp::append_bulk(out, digits);
  out.append(",").append(digits).append("\r\n");
}

void append_list(std::string& out, char type, const std::vector<Stat>& stats) {
  append_aggregate(out, type, stats.size() * 2);
  for (const Stat& stat : stats) {
    resp::append_bulk(out, stat.name);
    if (stat.type == '*' || stat.type == '%') {
      append_list(out, stat.type, stat.inner);
    } else if (stat.type == ':') {
      append_integer(out, stat.sum);
    } else {
      append_fraction(out, stat);
    }
  }
}

}  // namespace

std::string merge_memory_stats(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  const char type = type_of(replies.front());
  if (type != '*' && type != '%') return std::string(kUnlikeReplies);
  std::vector<Stat> stats;
  for (std::string_view reply : replies) {
    if (!add_list(reply, type, stats, false)) return std::string(kUnlikeReplies);
  }
  correct(stats);
  std::string out;
  append_list(out, type, stats);
  return out;
}

}  // namespace consort::shard_proxy
