// The configuration of gather-root: where the leaves are, and per route what becomes of a request.
//
// Flags describe one route that takes every request. A file may describe several under `routes`, as
// a list or as a map by name; what stands at the top of the file beside them is their default:
//
//   topology: /etc/shards.yaml
//   timeout: 500ms
//   routes:
//   - match: GET /search
//     scatter: {path: "/shard/{shard}/search", headers: {X-Shard: "{shard}"}}
//     leaf: {timeout: 400ms, hedge: {percentile: 95, max_extra: 0.05}}
//     gather: {min_coverage: 90, wait_factor: [0, 1], empty_statuses: [404]}
//     merge: {type: top-k, items: /hits, key: /score, k: 10}
//
// Groups are only a way to write: `leaf: {timeout: 1s}` is the key leaf_timeout, see
// config_file.cc.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "manage/role.hpp"
#include "net/tls_options.hpp"
#include "roles/gather/config_text.hpp"
#include "roles/gather/leaf_spec.hpp"

namespace consort::gather {

/// One route: which requests, to which leaves, when it is enough, and how answers become one.
struct RouteConfig {
  std::string name = "default";
  RouteMatch match;

  // scatter
  SelectSpec to;
  Distribution distribution = Distribution::jump;
  KeyHash hash = KeyHash::murmur;
  std::string hash_tag;
  OnMissing on_missing_key = OnMissing::error;
  std::string path;                  ///< template; empty: the client's path
  std::vector<std::string> headers;  ///< "X-Shard: {shard}"

  // leaf calls
  Millis timeout{2000};
  Millis leaf_timeout{0};  ///< 0: what the request has, less the time to merge
  Millis connect_timeout{100};
  std::uint32_t attempts = 3;
  HedgeOptions hedge{.enabled = true};
  SelectPolicy select = SelectPolicy::adaptive;
  bool idempotent = false;

  // gather
  Mode mode;
  double min_coverage = 100;
  WaitFactor wait_factor;
  std::vector<std::uint32_t> ok_statuses;  ///< empty: every 2xx
  std::vector<std::uint32_t> empty_statuses;

  // merge
  MergeSpec merge;
  std::string merge_url;
  std::string merge_exec;
  std::string merge_coprocess;
  MergeFormat merge_format = MergeFormat::json;
  bool merge_files = false;
  bool merge_cgi = false;
  std::uint32_t merge_processes = 0;  ///< 0: 16 for exec, 1 for coprocess
  MergeFallback merge_fallback;

  bool has_external_merge() const {
    return !merge_url.empty() || !merge_exec.empty() || !merge_coprocess.empty();
  }
};

struct Limits {
  std::uint32_t fanout = 4096;
  std::uint32_t inflight = 1024;
  Millis queue_time{100};
  std::uint32_t inflight_per_replica = 64;
  std::uint32_t connections = 10'000;
  ByteSize request_body{8ULL << 20};
  ByteSize header_bytes{32ULL << 10};
  ByteSize leaf_body{8ULL << 20};
  ByteSize total_body{64ULL << 20};
  ByteSize memory{256ULL << 20};
};

extern const std::span<const Option> kRouteOptions;

class Config final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;
  void adapt_file(Node& root, Problems& problems) override;
  void validate(Problems& problems) override;

  std::vector<Address> listen;
  std::vector<LeafSpec> leaves;
  TopologyFrom topology;
  RouteConfig route;                ///< from flags: the one route when there is no `routes`
  std::vector<RouteConfig> routes;  ///< after validate(): every route, the first match counts
  Limits limits;
  Millis pool_idle_timeout{60'000};
  std::uint32_t pool_idle_max = 64;
  bool access_log = false;
  bool explain = false;
  TlsOptions tls;

 private:
  bool file_has_routes_ = false;
};

/// In config_file.cc: rewrites the file's groups and lists into the keys of the tables.
bool adapt_routes(Node& root, Problems& problems);

}  // namespace consort::gather
