#include "roles/shard_proxy/redis_merge_info_fields.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "roles/shard_proxy/redis_merge_value.hpp"

namespace consort::shard_proxy {
namespace {

// The fields of redis 7.0 to 7.4 in the server's order, each list closed by spaces.
constexpr std::string_view kSums =
    " connected_clients cluster_connections maxclients blocked_clients tracking_clients"
    " pubsub_clients watching_clients clients_in_timeout_table total_watched_keys"
    " total_blocking_keys total_blocking_keys_on_nokey used_memory used_memory_rss"
    " used_memory_overhead used_memory_startup used_memory_dataset allocator_allocated"
    " allocator_active allocator_resident allocator_muzzy total_system_memory used_memory_lua"
    " used_memory_vm_eval used_memory_scripts_eval used_memory_vm_functions used_memory_vm_total"
    " used_memory_functions used_memory_scripts allocator_frag_bytes allocator_rss_bytes"
    " rss_overhead_bytes mem_fragmentation_bytes mem_not_counted_for_evict"
    " mem_replication_backlog mem_total_replication_buffers mem_clients_slaves"
    " mem_clients_normal mem_cluster_links mem_aof_buffer lazyfree_pending_objects"
    " lazyfreed_objects current_cow_size current_save_keys_processed current_save_keys_total"
    " rdb_changes_since_last_save rdb_saves rdb_last_cow_size rdb_last_load_keys_expired"
    " rdb_last_load_keys_loaded aof_rewrites aof_rewrites_consecutive_failures"
    " aof_last_cow_size aof_current_size aof_base_size aof_buffer_length"
    " aof_pending_bio_fsync aof_delayed_fsync module_fork_last_cow_size loading_total_bytes"
    " loading_rdb_used_mem loading_loaded_bytes total_connections_received"
    " total_commands_processed instantaneous_ops_per_sec total_net_input_bytes"
    " total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes"
    " instantaneous_input_kbps instantaneous_output_kbps instantaneous_input_repl_kbps"
    " instantaneous_output_repl_kbps rejected_connections sync_full sync_partial_ok"
    " sync_partial_err expired_subkeys expired_keys expired_time_cap_reached_count"
    " expire_cycle_cpu_milliseconds evicted_keys evicted_clients evicted_scripts"
    " total_eviction_exceeded_time keyspace_hits keyspace_misses pubsub_channels"
    " pubsubshard_channels total_forks migrate_cached_sockets slave_expires_tracked_keys"
    " active_defrag_hits active_defrag_misses active_defrag_key_hits active_defrag_key_misses"
    " total_active_defrag_time tracking_total_keys tracking_total_items"
    " tracking_total_prefixes unexpected_error_replies total_error_replies"
    " dump_payload_sanitizations total_reads_processed total_writes_processed"
    " io_threaded_reads_processed io_threaded_writes_processed"
    " client_query_buffer_limit_disconnections client_output_buffer_limit_disconnections"
    " reply_buffer_shrinks reply_buffer_expands eventloop_cycles eventloop_duration_sum"
    " eventloop_duration_cmd_sum instantaneous_eventloop_cycles_per_sec acl_access_denied_auth"
    " acl_access_denied_cmd acl_access_denied_key acl_access_denied_channel connected_slaves"
    " min_slaves_good_slaves used_cpu_sys used_cpu_user used_cpu_sys_children"
    " used_cpu_user_children used_cpu_sys_main_thread used_cpu_user_main_thread ";
// Scripts, functions and patterns are on every server alike, so that a sum would count them twice.
constexpr std::string_view kMaxima =
    " server_time_usec io_threads_active client_recent_max_input_buffer"
    " client_recent_max_output_buffer used_memory_peak number_of_cached_scripts"
    " number_of_functions number_of_libraries active_defrag_running loading async_loading"
    " current_cow_peak current_cow_size_age rdb_bgsave_in_progress rdb_last_bgsave_time_sec"
    " rdb_current_bgsave_time_sec aof_rewrite_in_progress aof_rewrite_scheduled"
    " aof_last_rewrite_time_sec aof_current_rewrite_time_sec aof_pending_rewrite"
    " module_fork_in_progress loading_eta_seconds pubsub_patterns latest_fork_usec"
    " current_eviction_exceeded_time current_active_defrag_time"
    " instantaneous_eventloop_duration_usec ";
constexpr std::string_view kMinima =
    " uptime_in_seconds uptime_in_days rdb_last_save_time aof_enabled loading_start_time ";
constexpr std::string_view kAverages =
    " used_memory_dataset_perc used_memory_peak_perc current_fork_perc loading_loaded_perc"
    " expired_stale_perc ";
constexpr std::string_view kWorsts =
    " rdb_last_bgsave_status aof_last_bgrewrite_status aof_last_write_status ";

bool holds(std::string_view list, std::string_view field) {
  for (std::size_t at = list.find(field); at != std::string_view::npos;
       at = list.find(field, at + 1)) {
    if (at > 0 && list[at - 1] == ' ' && list[at + field.size()] == ' ') return true;
  }
  return false;
}

struct Number {
  double value = 0;
  int decimals = 0;
  bool is_percent = false;
};

std::optional<Number> parse_number(std::string_view text) {
  Number number;
  if (text.ends_with('%')) {
    number.is_percent = true;
    text.remove_suffix(1);
  }
  std::optional<double> value = parse_double(text);
  if (!value || text.find_first_of("eE") != std::string_view::npos) return std::nullopt;
  number.value = *value;
  const std::size_t point = text.find('.');
  constexpr std::size_t kMaxDecimals = 17;
  if (point != std::string_view::npos) {
    number.decimals = static_cast<int>(std::min(kMaxDecimals, text.size() - point - 1));
  }
  return number;
}

// Exact for integers; counters may be beyond what a double tells apart.
std::optional<std::string> sum_integers(std::span<const std::string_view> values) {
  std::int64_t sum = 0;
  for (std::string_view text : values) {
    std::optional<std::int64_t> value = parse_integer(text);
    if (!value || __builtin_add_overflow(sum, *value, &sum)) return std::nullopt;
  }
  return std::to_string(sum);
}

std::string add_numbers(InfoRule rule, std::span<const std::string_view> values) {
  if (rule != InfoRule::average) {
    if (std::optional<std::string> sum = sum_integers(values)) return *sum;
  }
  Number all;
  for (std::string_view text : values) {
    std::optional<Number> number = parse_number(text);
    if (!number) return std::string(values.front());
    all.value += number->value;
    all.decimals = std::max(all.decimals, number->decimals);
    all.is_percent = all.is_percent || number->is_percent;
  }
  if (rule == InfoRule::average) all.value /= static_cast<double>(values.size());
  return format_fixed(all.value, all.decimals) + (all.is_percent ? "%" : "");
}

std::string pick_extreme(InfoRule rule, std::span<const std::string_view> values) {
  std::string_view best;
  double extreme = 0;
  for (std::string_view text : values) {
    std::optional<double> value = parse_double(text);
    if (!value) return std::string(values.front());
    if (best.empty() || (rule == InfoRule::max ? *value > extreme : *value < extreme)) {
      best = text;
      extreme = *value;
    }
  }
  return std::string(best);
}

std::array<std::int64_t, 3> version_parts(std::string_view text) {
  std::array<std::int64_t, 3> parts{};
  for (std::int64_t& part : parts) {
    const std::size_t end = std::min(text.find('.'), text.size());
    part = parse_integer(text.substr(0, end)).value_or(0);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

struct Item {
  std::string_view name;
  double sum = 0;
  double max = 0;
  double weighted = 0;  ///< each value times the server's keys with a time to live
  int decimals = 0;
};

double item_of(const std::vector<Item>& items, std::string_view name) {
  for (const Item& item : items) {
    if (item.name == name) return item.sum;
  }
  return 0;
}

// "name=number,name=number"; false when it is anything else.
bool read_items(std::string_view text, std::vector<Item>& items) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return false;
    std::optional<Number> number = parse_number(pair.substr(equals + 1));
    if (!number) return false;
    items.push_back({pair.substr(0, equals), number->value, number->value, 0, number->decimals});
  }
  return true;
}

bool add_items(std::vector<Item>& all, std::string_view text) {
  constexpr std::size_t kMaxItems = 100;
  std::vector<Item> items;
  if (!read_items(text, items) || items.size() > kMaxItems) return false;
  const double weight = item_of(items, "expires");
  for (const Item& item : items) {
    auto known = std::find_if(all.begin(), all.end(),
                              [&](const Item& other) { return other.name == item.name; });
    if (known == all.end()) {
      if (all.size() > kMaxItems) return false;
      known = all.insert(all.end(), {item.name, 0, item.max, 0, item.decimals});
    }
    known->sum += item.sum;
    known->max = std::max(known->max, item.max);
    known->weighted += item.sum * weight;
    known->decimals = std::max(known->decimals, item.decimals);
  }
  return true;
}

double value_of(const Item& item, const std::vector<Item>& all, bool is_percentile) {
  if (is_percentile) return item.max;
  if (item.name == "usec_per_call") {
    const double calls = item_of(all, "calls");
    return calls > 0 ? item_of(all, "usec") / calls : 0;
  }
  if (item.name == "avg_ttl") {
    const double expires = item_of(all, "expires");
    return expires > 0 ? item.weighted / expires : 0;
  }
  return item.sum;
}

}  // namespace

InfoRule info_rule(std::string_view field) {
  if (field.empty() || field.find(' ') != std::string_view::npos) return InfoRule::first;
  if (field == "redis_version") return InfoRule::lowest_version;
  if (field == "maxmemory") return InfoRule::limit;
  if (holds(kSums, field)) return InfoRule::sum;
  if (holds(kMaxima, field)) return InfoRule::max;
  if (holds(kMinima, field)) return InfoRule::min;
  if (holds(kAverages, field)) return InfoRule::average;
  return holds(kWorsts, field) ? InfoRule::worst : InfoRule::first;
}

std::string merge_info_values(InfoRule rule, std::span<const std::string_view> values) {
  switch (rule) {
    case InfoRule::first:
      break;
    case InfoRule::sum:
    case InfoRule::average:
      return add_numbers(rule, values);
    case InfoRule::limit: {
      const bool is_endless = std::find(values.begin(), values.end(), "0") != values.end();
      return is_endless ? "0" : add_numbers(rule, values);
    }
    case InfoRule::max:
    case InfoRule::min:
      return pick_extreme(rule, values);
    case InfoRule::worst: {
      auto bad = std::find_if(values.begin(), values.end(),
                              [](std::string_view value) { return value != "ok"; });
      return std::string(bad == values.end() ? values.front() : *bad);
    }
    case InfoRule::lowest_version:
      return std::string(*std::min_element(values.begin(), values.end(),
                                           [](std::string_view a, std::string_view b) {
                                             return version_parts(a) < version_parts(b);
                                           }));
  }
  return std::string(values.front());
}

bool is_info_list(std::string_view field) {
  const bool is_database = field.size() > 2 && field.starts_with("db") &&
                           field.find_first_not_of("0123456789", 2) == std::string_view::npos;
  return is_database || field.starts_with("cmdstat_") || field.starts_with("errorstat_") ||
         field.starts_with("latency_percentiles_usec_");
}

std::string merge_info_lists(std::string_view field, std::span<const std::string_view> values) {
  std::vector<Item> all;
  for (std::string_view value : values) {
    if (!add_items(all, value)) return std::string(values.front());
  }
  const bool is_percentile = field.starts_with("latency_");
  std::string out;
  for (const Item& item : all) {
    if (!out.empty()) out += ',';
    out.append(item.name).append("=");
    out += format_fixed(value_of(item, all, is_percentile), item.decimals);
  }
  return out;
}

std::string human_bytes(double bytes) {
  constexpr std::string_view kUnits = "KMGTP";
  if (bytes < 1024) return format_fixed(bytes, 0) + "B";
  std::size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return format_fixed(bytes, 2) + kUnits[unit];
}

}  // namespace consort::shard_proxy
