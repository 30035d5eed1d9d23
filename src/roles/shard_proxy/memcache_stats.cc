#include "roles/shard_proxy/memcache_stats.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

namespace consort::shard_proxy {
namespace {

enum class Rule : std::uint8_t { sum, seconds, lowest, soonest, highest, first, version };

struct Exception {
  std::string_view name;
  Rule rule;
};

// Names are without their class. Limits, threads and connections are added up: the pool has them
// all. Its uptime is that of its youngest server, so that a restart shows; a pid must be a number.
constexpr Exception kExceptions[] = {
    {"pid", Rule::lowest},
    {"uptime", Rule::lowest},
    {"time", Rule::lowest},
    {"time_since_server_cert_refresh", Rule::lowest},
    {"version", Rule::version},
    {"pointer_size", Rule::first},
    {"rusage_user", Rule::seconds},
    {"rusage_system", Rule::seconds},
    {"accepting_conns", Rule::lowest},
    {"hash_power_level", Rule::highest},
    {"hash_is_expanding", Rule::highest},
    {"slab_reassign_running", Rule::highest},
    {"lru_crawler_running", Rule::highest},
    {"chunk_size", Rule::first},
    {"chunks_per_page", Rule::first},
    {"age", Rule::highest},
    {"age_hot", Rule::highest},
    {"age_warm", Rule::highest},
    {"evicted_time", Rule::soonest},  // 0 where nothing was evicted
};

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kFractionDigits = 6;

Rule rule_of(std::string_view name) {
  const std::string_view plain = name.substr(name.rfind(':') + 1);
  for (const Exception& exception : kExceptions) {
    if (exception.name == plain) return exception.rule;
  }
  return Rule::sum;
}

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return a > kMax - b ? kMax : a + b;
}

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return number;
}

/// "12.345678" in millionths.
std::optional<std::uint64_t> read_seconds(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || text.size() - point - 1 != kFractionDigits) {
    return std::nullopt;
  }
  const auto whole = read_number(text.substr(0, point));
  const auto fraction = read_number(text.substr(point + 1));
  if (!whole || !fraction || *whole > kMax / 1'000'000 - 1) return std::nullopt;
  return *whole * 1'000'000 + *fraction;
}

std::string seconds_text(std::uint64_t millionths) {
  const std::string fraction = std::to_string(millionths % 1'000'000);
  return std::to_string(millionths / 1'000'000) + "." +
         std::string(kFractionDigits - fraction.size(), '0') + fraction;
}

std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

/// The lines of a reply but for the last, without their line ends.
class Lines {
 public:
  explicit Lines(std::string_view reply) : rest_(reply) {}
  bool next(std::string_view& line) {
    const std::size_t lf = rest_.find('\n');
    if (lf == std::string_view::npos || lf + 1 == rest_.size()) return false;
    line = rest_.substr(0, lf);
    if (line.ends_with('\r')) line.remove_suffix(1);
    rest_.remove_prefix(lf + 1);
    return true;
  }

 private:
  std::string_view rest_;
};

/// Rows of one name each, and the values of all servers that have it.
class Table {
 public:
  explicit Table(StatsKind kind) : kind_(kind) {}

  void add_row(std::string_view name, std::string_view value) {
    const auto [found, is_new] = index_.emplace(name, rows_.size());
    if (is_new) {
      const Rule rule = rule_of(name);
      rows_.push_back({group_of(name), rows_.size(), name, rule, value, read(rule, value)});
    } else {
      combine(rows_[found->second], value);
    }
  }

  std::string text() {
    std::ranges::sort(rows_, {}, [](const Row& row) { return std::pair(row.group, row.order); });
    std::string out;
    for (const Row& row : rows_) {
      out.append("STAT ").append(row.name).append(" ").append(value_of(row)).append("\r\n");
    }
    return out;
  }

 private:
  struct Row {
    std::uint64_t group;  ///< class or size; rows are in its order, then in the servers'
    std::size_t order;
    std::string_view name;
    Rule rule;
    std::string_view text;                ///< the first server's, or what stands instead of a sum
    std::optional<std::uint64_t> number;  ///< of all so far; none once one is no number
  };

  static std::optional<std::uint64_t> read(Rule rule, std::string_view value) {
    return rule == Rule::seconds ? read_seconds(value) : read_number(value);
  }

  std::uint64_t group_of(std::string_view name) const {
    if (kind_ == StatsKind::sizes) return read_number(name).value_or(0);
    if (kind_ == StatsKind::items && name.starts_with("items:")) name.remove_prefix(6);
    if (kind_ != StatsKind::items && kind_ != StatsKind::slabs) return 0;
    return read_number(name.substr(0, name.find(':'))).value_or(kMax);
  }

  static void combine(Row& row, std::string_view value) {
    if (row.rule == Rule::version && is_lower_version(value, row.text)) row.text = value;
    const std::optional<std::uint64_t> number = read(row.rule, value);
    if (!number || !row.number) {
      row.number.reset();
      return;
    }
    std::uint64_t& total = *row.number;
    switch (row.rule) {
      case Rule::sum:
      case Rule::seconds:
        total = add(total, *number);
        break;
      case Rule::lowest:
        total = std::min(total, *number);
        break;
      case Rule::soonest:
        if (total == 0 || (*number != 0 && *number < total)) total = *number;
        break;
      case Rule::highest:
        total = std::max(total, *number);
        break;
      case Rule::first:
      case Rule::version:
        break;
    }
  }

  std::string value_of(const Row& row) const {
    if (kind_ == StatsKind::slabs && row.name == "active_slabs") return std::to_string(classes());
    const bool is_text = row.rule == Rule::first || row.rule == Rule::version;
    if (!row.number || is_text) return std::string(row.text);
    return row.rule == Rule::seconds ? seconds_text(*row.number) : std::to_string(*row.number);
  }

  /// A class that several servers use is one class. Linear, once per answer.
  std::size_t classes() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const bool is_new = i == 0 || rows_[i].group != rows_[i - 1].group;
      if (rows_[i].group != kMax && is_new) ++count;
    }
    return count;
  }

  const StatsKind kind_;
  std::vector<Row> rows_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

std::string merge_by_name(StatsKind kind, const std::vector<std::string_view>& replies) {
  Table table(kind);
  for (const std::string_view reply : replies) {
    Lines lines(reply);
    for (std::string_view line; lines.next(line);) {
      if (take_word(line) != "STAT") continue;
      const std::string_view name = take_word(line);
      table.add_row(name, line);
    }
  }
  std::string out = table.text();
  if (kind == StatsKind::general) {
    out += "STAT proxy_servers " + std::to_string(replies.size()) + "\r\n";
  }
  return out + "END\r\n";
}

// "PREFIX name get 1 hit 1 set 2 del 1". A name holds no blank, but may be empty.
std::string merge_prefixes(const std::vector<std::string_view>& replies) {
  using Counts = std::vector<std::pair<std::string_view, std::uint64_t>>;
  std::vector<std::pair<std::string_view, Counts>> rows;
  std::unordered_map<std::string_view, std::size_t> index;
  for (const std::string_view reply : replies) {
    Lines lines(reply);
    for (std::string_view line; lines.next(line);) {
      take_word(line);
      const std::string_view name = take_word(line);
      const auto [found, is_new] = index.emplace(name, rows.size());
      if (is_new) rows.push_back({name, {}});
      Counts& counts = rows[found->second].second;
      for (std::size_t i = 0; !line.empty(); ++i) {
        const std::string_view word = take_word(line);
        const std::uint64_t number = read_number(take_word(line)).value_or(0);
        if (i == counts.size()) counts.emplace_back(word, 0);
        counts[i].second = add(counts[i].second, number);
      }
    }
  }
  std::string out;
  for (const auto& [name, counts] : rows) {
    out.append("PREFIX ").append(name);
    for (const auto& [word, number] : counts) {
      out.append(" ").append(word).append(" ").append(std::to_string(number));
    }
    out.append("\r\n");
  }
  return out + "END\r\n";
}

std::string join_lists(std::uint64_t rows_max, const std::vector<std::string_view>& replies) {
  std::string out;
  std::uint64_t rows = 0;
  for (const std::string_view reply : replies) {
    Lines lines(reply);
    for (std::string_view line; lines.next(line) && (rows_max == 0 || rows < rows_max); ++rows) {
      out.append(line).append("\r\n");
    }
  }
  return out + "END\r\n";
}

}  // namespace

StatsQuery stats_query(std::string_view form, std::string_view first, std::string_view second) {
  if (form.empty()) return {StatsKind::general};
  if (form == "items") return {StatsKind::items};
  if (form == "slabs") return {StatsKind::slabs};
  if (form == "sizes") return {StatsKind::sizes};
  if (form == "settings") return {StatsKind::settings};
  if (form == "conns" || form == "extstore") return {StatsKind::listed};
  if (form == "cachedump") return {StatsKind::listed, read_number(second).value_or(0)};
  if (form == "reset") return {StatsKind::order};
  if (form == "detail") return {first == "dump" ? StatsKind::prefixes : StatsKind::order};
  if (form == "sizes_enable" || form == "sizes_disable") return {StatsKind::endless};
  return {StatsKind::other};
}

std::string merge_stats(StatsQuery query, const std::vector<std::string_view>& replies) {
  switch (query.kind) {
    case StatsKind::prefixes:
      return merge_prefixes(replies);
    case StatsKind::listed:
      return join_lists(query.rows_max, replies);
    default:
      return merge_by_name(query.kind, replies);
  }
}

std::string_view last_line(std::string_view reply) {
  if (reply.ends_with('\n')) reply.remove_suffix(1);
  if (reply.ends_with('\r')) reply.remove_suffix(1);
  return reply.substr(reply.rfind('\n') + 1);
}

bool is_lower_version(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    std::uint64_t left = 0;
    std::uint64_t right = 0;
    const auto end_a = std::from_chars(a.data(), a.data() + a.size(), left);
    const auto end_b = std::from_chars(b.data(), b.data() + b.size(), right);
    if (end_a.ec != std::errc() || end_b.ec != std::errc()) return a < b;
    if (left != right) return left < right;
    a.remove_prefix(static_cast<std::size_t>(end_a.ptr - a.data()));
    b.remove_prefix(static_cast<std::size_t>(end_b.ptr - b.data()));
    if (a.empty() || b.empty() || a.front() != '.' || b.front() != '.') return a < b;
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() < b.size();
}

}  // namespace consort::shard_proxy
