// What becomes of each field of INFO when several servers answer as one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace consort::shard_proxy {

enum class InfoRule : std::uint8_t {
  first,    ///< what cannot be added (run_id, os, tcp_port..); also every field that is not known
  sum,      ///< counters, sizes, rates; with as many decimals as the most exact of them
  max,      ///< states (loading), times that are the worst of all
  min,      ///< the pool is only up, or saved, since the last server is
  average,  ///< shares and percentages
  limit,    ///< a sum, but 0 means without limit, and one such server makes the pool so
  worst,    ///< "ok" when all say so, else what the first that does not says
  lowest_version,  ///< clients learn from it what they may use
};

/// Linear in a table of about 170 fields, for a command of people and monitors.
InfoRule info_rule(std::string_view field);

/// The value of a field from its values, at least one. Values that are no numbers where numbers
/// are expected give the first.
std::string merge_info_values(InfoRule rule, std::span<const std::string_view> values);

/// The value of fields that are lists, "calls=1,usec=2": numbers are added, averages weighted.
/// db<N>, cmdstat_<name>, errorstat_<name>; of latency_percentiles_usec_<name> the highest.
bool is_info_list(std::string_view field);
std::string merge_info_lists(std::string_view field, std::span<const std::string_view> values);

/// 1536 is "1.50K", as the server writes sizes for people.
std::string human_bytes(double bytes);

}  // namespace consort::shard_proxy
