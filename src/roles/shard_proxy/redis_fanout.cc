#include "roles/shard_proxy/redis_fanout.hpp"

namespace consort::shard_proxy {
namespace {

constexpr FanoutRule any(std::string_view command, std::string_view subcommand = {}) {
  return {command, subcommand, Target::any_server};
}

constexpr FanoutRule first(std::string_view command, std::string_view subcommand = {}) {
  return {command, subcommand, Target::first_server};
}

constexpr FanoutRule every(std::string_view command, std::string_view subcommand,
                           MergeFunction merge) {
  return {command, subcommand, Target::every_server, merge};
}

// Reports, which say more with some servers than with none.
constexpr FanoutRule report(std::string_view command, std::string_view subcommand,
                            MergeFunction merge) {
  return {command, subcommand, Target::every_server, merge, true};
}

// To end a script that may run on any server; those where none runs answer NOTBUSY.
constexpr FanoutRule kill(std::string_view command) {
  return {command, "kill", Target::every_server, merge_one_succeeded, false, true};
}

constexpr FanoutRule refused(std::string_view command) {
  return {command,
          {},
          Target::refused,
          nullptr,
          false,
          false,
          "concerns one server; ask that server itself"};
}

constexpr FanoutRule kRules[] = {
    // Keys and databases. SCAN's cursors are in redis_merge_scan.hpp.
    every("dbsize", "", merge_sum),
    every("flushall", "", merge_all_succeeded),
    every("flushdb", "", merge_all_succeeded),
    every("keys", "", merge_concat),
    every("randomkey", "", merge_random),
    every("swapdb", "", merge_all_succeeded),
    every("wait", "", merge_min),
    // Persistence.
    every("bgrewriteaof", "", merge_all_succeeded),
    every("bgsave", "", merge_all_succeeded),
    every("lastsave", "", merge_min),
    every("save", "", merge_all_succeeded),
    // About the server.
    any("command"),
    report("info", "", merge_info),
    any("lolwut"),
    any("pfselftest"),
    first("role"),
    any("time"),
    // Configuration, users and modules are meant to be alike everywhere. MODULE and ACL LOAD read
    // files of each server's own.
    first("acl"),
    every("acl", "deluser", merge_max),
    every("acl", "load", merge_all_succeeded),
    report("acl", "log", merge_acl_log),
    every("acl", "save", merge_all_succeeded),
    every("acl", "setuser", merge_all_succeeded),
    first("cluster"),
    first("config", "get"),
    every("config", "resetstat", merge_all_succeeded),
    every("config", "rewrite", merge_all_succeeded),
    every("config", "set", merge_all_succeeded),
    first("module", "list"),
    every("module", "load", merge_all_succeeded),
    every("module", "loadex", merge_all_succeeded),
    every("module", "unload", merge_all_succeeded),
    // Scripts: everywhere, since a later EVALSHA goes to the server of its keys. Without keys a
    // script may read or write anything: only one fixed server gives it a meaning.
    first("eval"),
    first("eval_ro"),
    first("evalsha"),
    first("evalsha_ro"),
    first("fcall"),
    first("fcall_ro"),
    every("function", "delete", merge_all_succeeded),
    first("function", "dump"),
    every("function", "flush", merge_all_succeeded),
    kill("function"),
    first("function", "list"),
    every("function", "load", merge_all_succeeded),
    every("function", "restore", merge_all_succeeded),
    first("function", "stats"),
    every("script", "exists", merge_logical_and),
    every("script", "flush", merge_all_succeeded),
    kill("script"),
    every("script", "load", merge_all_succeeded),
    // What servers remember of themselves.
    report("latency", "doctor", merge_texts),
    report("latency", "graph", merge_texts),
    report("latency", "histogram", merge_latency_histogram),
    report("latency", "history", merge_latency_history),
    report("latency", "latest", merge_latency_latest),
    every("latency", "reset", merge_sum),
    report("memory", "doctor", merge_texts),
    report("memory", "malloc-stats", merge_texts),
    every("memory", "purge", merge_all_succeeded),
    report("memory", "stats", merge_memory_stats),
    report("slowlog", "get", merge_slowlog),
    every("slowlog", "len", merge_sum),
    every("slowlog", "reset", merge_all_succeeded),
    // A channel is on one server, a pattern on every one.
    every("pubsub", "channels", merge_union),
    every("pubsub", "numpat", merge_max),
    every("pubsub", "numsub", merge_pair_sums),
    every("pubsub", "shardchannels", merge_union),
    every("pubsub", "shardnumsub", merge_pair_sums),
    refused("debug"),
    refused("failover"),
    refused("replicaof"),
    refused("shutdown"),
    refused("slaveof"),
};

constexpr FanoutRule kHelp = any("", "help");

// By the response_policy of a command that goes to every server.
constexpr FanoutRule kFirst = first("");
constexpr FanoutRule kConcat = every("", "", merge_concat);
constexpr FanoutRule kSum = every("", "", merge_sum);
constexpr FanoutRule kMin = every("", "", merge_min);
constexpr FanoutRule kLogicalAnd = every("", "", merge_logical_and);
constexpr FanoutRule kAllSucceeded = every("", "", merge_all_succeeded);
constexpr FanoutRule kOneSucceeded = {"",    "",  Target::every_server, merge_one_succeeded,
                                      false, true};

bool is_container(std::string_view command) {
  const redis::Command* found = redis::find_command(command);
  return found != nullptr && found->is_container();
}

}  // namespace

const FanoutRule* find_fanout(std::string_view command, std::string_view subcommand) {
  if (subcommand == "help" && is_container(command)) return &kHelp;
  const FanoutRule* whole = nullptr;
  for (const FanoutRule& rule : kRules) {
    if (rule.command != command) continue;
    if (rule.subcommand == subcommand) return &rule;
    if (rule.subcommand.empty()) whole = &rule;
  }
  return whole;
}

const FanoutRule* find_fanout_by_tips(redis::RequestPolicy request,
                                      redis::ResponsePolicy response) {
  if (request == redis::RequestPolicy::none) return &kFirst;
  const bool goes_everywhere =
      request == redis::RequestPolicy::all_nodes || request == redis::RequestPolicy::all_shards;
  if (!goes_everywhere) return nullptr;
  switch (response) {
    case redis::ResponsePolicy::none:
      return &kConcat;
    case redis::ResponsePolicy::one_succeeded:
      return &kOneSucceeded;
    case redis::ResponsePolicy::all_succeeded:
      return &kAllSucceeded;
    case redis::ResponsePolicy::agg_logical_and:
      return &kLogicalAnd;
    case redis::ResponsePolicy::agg_min:
      return &kMin;
    case redis::ResponsePolicy::agg_sum:
      return &kSum;
    default:
      return nullptr;
  }
}

}  // namespace consort::shard_proxy
