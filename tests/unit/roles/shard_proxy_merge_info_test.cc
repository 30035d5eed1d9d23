// INFO of several servers as one text.
#include <doctest/doctest.h>

#include "roles/shard_proxy/redis_merge_info_fields.hpp"
#include "shard_proxy_merge_support.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

/// Lines with "|" between them; "||" ends a section.
std::string text(std::string_view lines) {
  std::string out;
  for (char c : lines) c == '|' ? out += "\r\n" : out += c;
  return out.empty() ? out : out + "\r\n";
}

std::string info(const std::vector<std::string_view>& servers) {
  std::vector<std::string> replies;
  for (std::string_view lines : servers) replies.push_back(bulk(text(lines)));
  return merge("INFO", replies);
}

std::string expected(std::string_view lines) {
  return bulk(text(lines));
}

}  // namespace

TEST_CASE("the pool is one standalone master of the lowest version") {
  CHECK(info({"# Server|redis_version:7.0.15|redis_mode:cluster|run_id:aa|tcp_port:1"
              "||# Replication|role:slave||# Cluster|cluster_enabled:1",
              "# Server|redis_version:7.0.9|redis_mode:cluster|run_id:bb|tcp_port:2"
              "||# Replication|role:master||# Cluster|cluster_enabled:1"}) ==
        expected("# Server|redis_version:7.0.9|redis_mode:standalone|run_id:aa|tcp_port:1"
                 "||# Replication|role:master||# Cluster|cluster_enabled:0"));
}

TEST_CASE("counters add up, states take the worst, peaks the highest") {
  CHECK(info({"# Clients|connected_clients:3|client_recent_max_input_buffer:20|"
              "loading:0|uptime_in_seconds:50|rdb_last_bgsave_status:ok|maxmemory:100|"
              "used_cpu_sys:1.250000|instantaneous_input_kbps:0.50|expired_stale_perc:1.00",
              "# Clients|connected_clients:4|client_recent_max_input_buffer:30|"
              "loading:1|uptime_in_seconds:9|rdb_last_bgsave_status:err|maxmemory:50|"
              "used_cpu_sys:0.500001|instantaneous_input_kbps:1.25|expired_stale_perc:2.00"}) ==
        expected("# Clients|connected_clients:7|client_recent_max_input_buffer:30|"
                 "loading:1|uptime_in_seconds:9|rdb_last_bgsave_status:err|maxmemory:150|"
                 "used_cpu_sys:1.750001|instantaneous_input_kbps:1.75|expired_stale_perc:1.50"));
  CHECK(info({"maxmemory:100", "maxmemory:0"}) == expected("maxmemory:0"));
  CHECK(info({"total_commands_processed:9007199254740993", "total_commands_processed:2"}) ==
        expected("total_commands_processed:9007199254740995"));
}

TEST_CASE("memory for people and ratios follow from the merged numbers") {
  CHECK(info({"# Memory|used_memory:1024|used_memory_human:1.00K|used_memory_rss:4096|"
              "used_memory_peak:1500|used_memory_peak_human:1.46K|used_memory_peak_perc:68.27%|"
              "used_memory_startup:24|used_memory_dataset:500|used_memory_dataset_perc:50.00%|"
              "mem_fragmentation_ratio:4.00",
              "# Memory|used_memory:1024|used_memory_human:1.00K|used_memory_rss:2048|"
              "used_memory_peak:1200|used_memory_peak_human:1.17K|used_memory_peak_perc:85.33%|"
              "used_memory_startup:24|used_memory_dataset:250|used_memory_dataset_perc:25.00%|"
              "mem_fragmentation_ratio:2.00"}) ==
        expected("# Memory|used_memory:2048|used_memory_human:2.00K|used_memory_rss:6144|"
                 "used_memory_peak:2048|used_memory_peak_human:2.00K|used_memory_peak_perc:100.00%|"
                 "used_memory_startup:48|used_memory_dataset:750|used_memory_dataset_perc:37.50%|"
                 "mem_fragmentation_ratio:3.00"));
  CHECK(human_bytes(1023) == "1023B");
  CHECK(human_bytes(1536) == "1.50K");
  CHECK(human_bytes(25276502016) == "23.54G");
}

TEST_CASE("databases add up in the order of their numbers") {
  CHECK(info({"# Keyspace|db0:keys=10,expires=1,avg_ttl=1000|db10:keys=1,expires=0,avg_ttl=0",
              "# Keyspace|db0:keys=5,expires=3,avg_ttl=2000|db2:keys=7,expires=0,avg_ttl=0"}) ==
        expected("# Keyspace|db0:keys=15,expires=4,avg_ttl=1750|db2:keys=7,expires=0,avg_ttl=0|"
                 "db10:keys=1,expires=0,avg_ttl=0"));
  CHECK(info({"# Keyspace", "# Keyspace|db0:keys=1,expires=0,avg_ttl=0,subexpiry=2"}) ==
        expected("# Keyspace|db0:keys=1,expires=0,avg_ttl=0,subexpiry=2"));
}

TEST_CASE("statistics of commands, errors and latencies are those of all servers") {
  CHECK(info({"# Commandstats|cmdstat_get:calls=2,usec=10,usec_per_call=5.00,failed_calls=0",
              "# Commandstats|cmdstat_set:calls=1,usec=3,usec_per_call=3.00,failed_calls=0|"
              "cmdstat_get:calls=1,usec=1,usec_per_call=1.00,failed_calls=1"}) ==
        expected("# Commandstats|cmdstat_get:calls=3,usec=11,usec_per_call=3.67,failed_calls=1|"
                 "cmdstat_set:calls=1,usec=3,usec_per_call=3.00,failed_calls=0"));
  CHECK(info({"errorstat_ERR:count=2", "errorstat_ERR:count=5|errorstat_OOM:count=1"}) ==
        expected("errorstat_ERR:count=7|errorstat_OOM:count=1"));
  CHECK(info({"latency_percentiles_usec_get:p50=1.003,p99=9.023",
              "latency_percentiles_usec_get:p50=2.007,p99=5.023"}) ==
        expected("latency_percentiles_usec_get:p50=2.007,p99=9.023"));
}

TEST_CASE("replicas are numbered through, and every module keeps its line") {
  CHECK(info({"# Replication|role:master|connected_slaves:1|slave0:ip=a",
              "# Replication|role:master|connected_slaves:2|slave0:ip=b|slave1:ip=c"}) ==
        expected("# Replication|role:master|connected_slaves:3|slave0:ip=a|slave1:ip=b|"
                 "slave2:ip=c"));
  CHECK(info({"# Modules|module:name=a|module:name=b", "# Modules|module:name=a|module:name=c"}) ==
        expected("# Modules|module:name=a|module:name=b|module:name=c"));
}

TEST_CASE("sections and fields that are not known stay as the first server has them") {
  CHECK(info({"# X|a:1||# Z|z:1", "# X|a:2|b:3||# Y|y:1||# Z|z:2"}) ==
        expected("# X|a:1|b:3||# Z|z:1||# Y|y:1"));
  CHECK(info({"", ""}) == "$0\r\n\r\n");
  CHECK(info({"connected_clients:x", "connected_clients:2"}) == expected("connected_clients:x"));
  CHECK(info({"db0:odd", "db0:keys=1"}) == expected("db0:odd"));
}

TEST_CASE("RESP3 has the text verbatim, and what is no text does not fit") {
  CHECK(merge("INFO", {"=14\r\ntxt:# A\r\nb:1\r\n\r\n", "=14\r\ntxt:# A\r\nb:2\r\n\r\n"}) ==
        "=14\r\ntxt:# A\r\nb:1\r\n\r\n");
  CHECK(merge("INFO", {bulk("# A\r\n"), ":1\r\n"}) == kUnlikeReplies);
  CHECK(merge("INFO", {bulk("# A\r\n"), "$-1\r\n"}) == kUnlikeReplies);
}
