#include "roles/gather/config.hpp"

#include <algorithm>
#include <utility>

#include "roles/gather/leaf_request.hpp"

namespace consort::gather {
namespace {

constexpr Millis kMaxTimeout{10 * 60 * 1000};
constexpr std::uint32_t kMaxAttempts = 5;  // as gRPC's clients (proposal A6)
constexpr std::uint32_t kMaxMergeProcesses = 256;

Result<> not_allowed(const std::string& text, std::string_view rule) {
  return fail(Errc::invalid, text + " is out of range: " + std::string(rule));
}

template <std::uint32_t Least, std::uint32_t Most>
Result<> within(const std::uint32_t& value) {
  if (value >= Least && value <= Most) return {};
  return not_allowed(std::to_string(value),
                     "it must be " + std::to_string(Least) + " to " + std::to_string(Most));
}

Result<> check_time(const Millis& value) {
  if (value.count() > 0 && value <= kMaxTimeout) return {};
  return not_allowed(Text<Millis>::print(value), "it must be more than 0 and at most 10m");
}

Result<> check_percent(const double& value) {
  if (value >= 0 && value <= 100) return {};
  return not_allowed(Text<double>::print(value), "it must be 0 to 100 (percent)");
}

Result<> check_header_bytes(const ByteSize& value) {
  if (value.bytes >= 1024 && value.bytes <= (1ULL << 20)) return {};
  return not_allowed(Text<ByteSize>::print(value), "it must be 1KiB to 1MiB");
}

Result<> check_status(const std::uint32_t& status) {
  return within<200, 599>(status);
}

Result<> check_hash_tag(const std::string& tag) {
  if (tag.empty() || tag.size() == 2) return {};
  return fail(Errc::invalid, in_quotes(tag) + " must be two characters, as {}");
}

Result<> check_path(const std::string& path) {
  return check_path_template(path);
}

Result<> check_header(const std::string& line) {
  return check_header_template(line);
}

Result<> check_merge_url(const std::string& text) {
  if (text.empty()) return {};
  auto url = http::Url::parse(text);
  if (!url) return fail(std::move(url.error()));
  return {};
}

constexpr Option kRouteTable[] = {
    option<&RouteConfig::match>(
        "match",
        "which requests the route takes: [METHOD ]PATH, with /* at the end for all below; the "
        "first route that fits counts",
        kReload),
    option<&RouteConfig::to>(
        "to",
        "which shards a request goes to: all, key:SOURCE (one, by hash), range:FIELD[:SOURCE] or "
        "tags:NAME=VALUE or tags:SOURCE; SOURCE is header:NAME, query:NAME, path:N or "
        "body:POINTER",
        kReload),
    option<&RouteConfig::distribution>("distribution", "of to: key: how keys are spread", kReload),
    option<&RouteConfig::hash>("hash", "of to: key: the hash of a key", kReload),
    option<&RouteConfig::hash_tag, check_hash_tag>(
        "hash-tag", "two characters: only what stands between them in a key is hashed, as in {}",
        kReload),
    option<&RouteConfig::on_missing_key>(
        "on-missing-key", "what a request gets that lacks what `to` looks for", kReload),
    option<&RouteConfig::path, check_path>(
        "path",
        "what leaves are asked for instead of the client's path; {shard}, {index}, {shards} and "
        "{path} are filled in, and the client's query follows",
        kReload),
    option<&RouteConfig::headers, check_header>(
        "header", "a further header for leaves, NAME: VALUE, filled in like path; may be repeated",
        kReload),
    option<&RouteConfig::timeout, check_time>(
        "timeout", "a client has its answer by then; its own deadline may be sooner", kReload),
    option<&RouteConfig::leaf_timeout>(
        "leaf-timeout", "how long the leaves have; 0 is all of the time but what merging takes",
        kReload),
    option<&RouteConfig::connect_timeout, check_time>("connect-timeout",
                                                      "how long connecting to a leaf may take"),
    option<&RouteConfig::attempts, within<1, kMaxAttempts>>(
        "attempts", "most calls per shard and request, hedges and failovers included", kReload),
    option<&RouteConfig::hedge>(
        "hedge",
        "when a second replica is asked too: pPERCENTILE:SHARE (later than that percentile of "
        "calls, at most SHARE more calls), a fixed time (10ms), or off; GET and HEAD only, unless "
        "idempotent",
        kReload),
    option<&RouteConfig::select>("select", "how a replica is chosen", kReload),
    option<&RouteConfig::idempotent>("idempotent",
                                     "a request may be sent twice whatever its method", kReload),
    option<&RouteConfig::mode>(
        "mode",
        "how many good answers a request waits for: all, first, first-n:N, majority, or quorum "
        "(a majority that says the same)",
        kReload),
    option<&RouteConfig::min_coverage, check_percent>(
        "min-coverage", "percent of the leaves that must have answered, else an error", kReload),
    option<&RouteConfig::wait_factor>(
        "wait-factor",
        "LEAST:MOST, the part of the time left that the last leaves get once min-coverage is "
        "reached",
        kReload),
    option<&RouteConfig::ok_statuses, check_status>(
        "ok-status", "statuses that are good answers; default every 2xx; may be repeated", kReload),
    option<&RouteConfig::empty_statuses, check_status>(
        "empty-status", "statuses that say \"nothing here\", which is no failure; may be repeated",
        kReload),
    option<&RouteConfig::merge>(
        "merge",
        "how answers become one: concat[:SEP], array, object, ndjson, deep, json-merge-patch, "
        "sum, min, max, avg, count, top-k:KEY[:K], sorted:KEY, union[:KEY], first, quorum[:PTR]",
        kReload),
    option<&RouteConfig::merge_url, check_merge_url>(
        "merge-url", "a merge of yours instead: an HTTP server, http://, https:// or unix:/PATH",
        kReload),
    option<&RouteConfig::merge_exec>(
        "merge-exec", "a merge of yours instead: a shell command, run once per request", kReload),
    option<&RouteConfig::merge_coprocess>(
        "merge-coprocess",
        "a merge of yours instead: a shell command that keeps running and answers line by line",
        kReload),
    option<&RouteConfig::merge_format>("merge-format", "what merge-url is sent", kReload),
    option<&RouteConfig::merge_files>(
        "merge-files", "merge-exec finds the parts as files in $CONSORT_PARTS_DIR", kReload),
    option<&RouteConfig::merge_cgi>(
        "merge-cgi", "what merge-exec writes begins with headers, as in CGI", kReload),
    option<&RouteConfig::merge_processes, within<0, kMaxMergeProcesses>>(
        "merge-processes", "most children at a time; default 16 for merge-exec, 1 for coprocess",
        kReload),
    option<&RouteConfig::merge_fallback>(
        "merge-fallback", "the built-in merge that stands in when yours fails; default none",
        kReload),
};

constexpr Option kLimitTable[] = {
    option<&Limits::fanout, within<1, kMaxShards>>("max-fanout", "most shards of one request",
                                                   kReload),
    option<&Limits::inflight, within<1, 1'000'000>>("max-inflight",
                                                    "most requests at a time; more wait", kReload),
    option<&Limits::queue_time>("queue-time", "how long a request waits for its turn, then 503",
                                kReload),
    option<&Limits::inflight_per_replica, within<1, 1'000'000>>(
        "max-inflight-per-replica", "most calls to one replica at a time; more wait"),
    option<&Limits::connections, within<1, 1'000'000>>("max-connections",
                                                       "most clients' connections at a time"),
    option<&Limits::request_body>("max-request-body", "most bytes of a request's body"),
    option<&Limits::header_bytes, check_header_bytes>(
        "max-header-bytes", "most bytes of a header block, of a client or a leaf"),
    option<&Limits::leaf_body>("max-leaf-body", "most bytes of one leaf's answer"),
    option<&Limits::total_body>("max-total-body",
                                "most bytes of the leaves' answers to one request", kReload),
    option<&Limits::memory>("max-memory", "most bytes of answers in memory, of all requests",
                            kReload),
};

constexpr Option kRoleTable[] = {
    option<&Config::listen>("listen", "where clients connect; default :8080; also unix:/PATH",
                            kReload),
    option<&Config::leaves>(
        "leaf",
        "a shard: the URL of its server (http://, https:// or unix:/PATH), replicas joined by "
        "\"|\"; {0..9} makes ten of it; ID=URL names it; repeat for each",
        kReload),
    option<&Config::topology>(
        "topology",
        "where the shards are found instead: a file (watched), dns://NAME:PORT?as=shards|replicas "
        "or srv://_SERVICE._tcp.NAME",
        kReload),
    option<&Config::pool_idle_timeout>("pool-idle-timeout",
                                       "how long an unused connection to a leaf is kept"),
    option<&Config::pool_idle_max>("pool-idle-max", "most unused connections kept per replica"),
    option<&Config::access_log>("access-log", "one line per request, with where the time went",
                                kReload),
    option<&Config::explain>(
        "explain", "answer Consort-Explain: 1 of any client, not only of those on this machine",
        kReload),
    option_map<&Config::routes>("routes", kRouteTable,
                                "routes by name (or as a list), each with the keys of a route"),
};

void check_merge(const RouteConfig& route, const std::string& where, Problems& problems) {
  const int external = (route.merge_url.empty() ? 0 : 1) + (route.merge_exec.empty() ? 0 : 1) +
                       (route.merge_coprocess.empty() ? 0 : 1);
  if (external > 1) {
    problems.error(where + "merge_url, merge_exec and merge_coprocess exclude each other");
  }
  if (auto fine = route.merge.check(); !fine) {
    problems.error(where + "merge: " + fine.error().text());
  }
  if (route.merge_exec.empty() && (route.merge_files || route.merge_cgi)) {
    problems.warn(where + "merge_files and merge_cgi have no effect without merge_exec");
  }
  if (external == 0 && route.merge_fallback.spec) {
    problems.warn(where + "merge_fallback has no effect without a merge of yours");
  }
}

void check_route(RouteConfig& route, Problems& problems) {
  const std::string where = "route \"" + route.name + "\": ";
  if (route.leaf_timeout > route.timeout) {
    problems.warn(where + "leaf_timeout is longer than timeout, which ends the request first");
  }
  check_merge(route, where, problems);
  route.to.distribution = route.distribution;
  route.to.hash = route.hash;
  route.to.hash_tag = route.hash_tag;
  route.to.on_missing = route.on_missing_key;
  if (auto fine = route.to.check(); !fine) problems.error(where + fine.error().text());
  if (route.mode.kind == Mode::Kind::quorum && route.merge.kind != MergeKind::quorum) {
    if (route.has_external_merge()) {
      problems.error(where + "mode quorum compares the answers itself: no merge of yours");
    }
    route.merge = MergeSpec{.kind = MergeKind::quorum, .validate = route.merge.validate};
  }
}

/// Beside `routes` nothing reads this one, and the file's own keys have been moved out of it.
void warn_of_flags(const RouteConfig& route, Problems& problems) {
  const RouteConfig untouched;
  for (const Option& each : kRouteTable) {
    if (each.get(&route) == each.get(&untouched)) continue;
    problems.warn("--" + std::string(each.name) +
                  " has no effect beside the file's `routes`: write it there");
  }
}

}  // namespace

const std::span<const Option> kRouteOptions{kRouteTable};

std::vector<BoundTable> Config::tables() {
  return {{kRouteTable, &route}, {kRoleTable, this}, {kLimitTable, &limits}, {kTlsOptions, &tls}};
}

void Config::adapt_file(Node& root, Problems& problems) {
  if (adapt_routes(root, problems)) file_has_routes_ = true;
}

void Config::validate(Problems& problems) {
  if (listen.empty()) {
    Address address;
    address.port = 8080;
    listen.push_back(address);
  }
  if (file_has_routes_) {
    warn_of_flags(route, problems);
  } else {
    routes.clear();
    routes.push_back(route);
  }
  if (routes.empty()) problems.error("routes: empty; describe at least one route");
  for (RouteConfig& each : routes) check_route(each, problems);
  // Read now, so that a wrong file is told as one and not as a leaf that does not answer. Only when
  // files are named: OpenSSL costs memory.
  const bool names_files =
      !tls.ca_file.empty() || !tls.client_cert.empty() || !tls.client_key.empty();
  if (names_files) {
    const auto no_environment = [](const std::string&) { return std::optional<std::string>(); };
    if (auto client = io::TlsClient::create(tls.settings(), no_environment); !client) {
      problems.error(client.error().message());
    }
  }
  if (leaves.empty() && !topology.source && problems.ok()) {
    problems.error("no leaf; give --leaf URL for each shard, or --topology");
  }
  if (!leaves.empty() && topology.source) {
    problems.error("leaves are listed and come from " + topology.source->to_string() +
                   " as well: give --leaf or --topology");
  }
  if (!leaves.empty()) {
    if (auto parsed = topology_of(leaves); !parsed) problems.error(parsed.error().text());
  }
}

}  // namespace consort::gather
