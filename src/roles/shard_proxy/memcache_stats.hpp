// Adding up what several memcached servers tell about themselves, as if one server had told it.
//
//   merge_stats({StatsKind::general}, {"STAT pid 7\r\nSTAT cmd_get 2\r\nEND\r\n",
//                                      "STAT pid 5\r\nSTAT cmd_get 3\r\nEND\r\n"})
//     == "STAT pid 5\r\nSTAT cmd_get 5\r\nSTAT proxy_servers 2\r\nEND\r\n"
//
// Names and their meaning: memcached's doc/protocol.txt ("Statistics"), and what 1.6.18 answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace consort::shard_proxy {

/// How the answers to one form of `stats` become one answer.
enum class StatsKind : std::uint8_t {
  general,   ///< plain `stats`: by name, and a line proxy_servers
  items,     ///< by class and name: "items:12:number"
  slabs,     ///< by class and name, totals last: "12:used_chunks", "total_malloced"
  sizes,     ///< by size
  prefixes,  ///< `detail dump`: by prefix
  listed,    ///< `conns`, `cachedump`, `extstore`: one server's lines after another's
  other,     ///< a form that is not known here: by name
  settings,  ///< not merged: they should be the same, and any server may be asked
  order,     ///< `reset`, `detail on|off`: no statistics, one line from each
  endless,   ///< `sizes_enable|sizes_disable`: a reply without END
};

struct StatsQuery {
  StatsKind kind = StatsKind::other;
  std::uint64_t rows_max = 0;  ///< of `cachedump`; 0 is no limit
};
/// The words of a line after `stats`; empty ones are not there.
StatsQuery stats_query(std::string_view form, std::string_view first, std::string_view second);

/// Replies that end with END, of at least one server, in the order of the pool. Numbers are added
/// up, but for a table of names (the lowest pid, the highest age..); what is not a number is the
/// first server's. A sum beyond 64 bits stays at the largest number. If the servers cut memory into
/// classes of different sizes (-f, -n), a class of the sum mixes them, with the first one's size.
std::string merge_stats(StatsQuery query, const std::vector<std::string_view>& replies);

/// The line that ends a reply, without its CRLF: END, or an error that took its place.
std::string_view last_line(std::string_view reply);

/// Whether version "1.6.9" is lower than "1.6.18". Numbers count, then the text after them.
bool is_lower_version(std::string_view a, std::string_view b);

}  // namespace consort::shard_proxy
