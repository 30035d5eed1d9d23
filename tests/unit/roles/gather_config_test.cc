// gather-root's configuration, from flags and files, through the loader that every role has.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "manage/config.hpp"
#include "roles/gather/config.hpp"
#include "roles/gather/role.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

/// One loading: what came out, and what was said about it.
struct Loaded {
  std::unique_ptr<RoleConfig> role;
  std::vector<std::string> errors;
  std::vector<std::string> warnings;

  const Config& config() const { return static_cast<const Config&>(*role); }
  const RouteConfig& route(std::size_t i = 0) const { return config().routes.at(i); }
  bool error(std::string_view text) const { return any_has(errors, text); }
  bool warning(std::string_view text) const { return any_has(warnings, text); }

  static bool any_has(const std::vector<std::string>& lines, std::string_view text) {
    return std::any_of(lines.begin(), lines.end(), [text](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }
};

Loaded load(const std::string& file, std::vector<Flag> flags = {}) {
  ConfigSources sources;
  if (!file.empty()) flags.push_back({"config", "n.yml"});
  sources.flags = std::move(flags);
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "CONSORT_GATHER_ROOT_POOL_IDLE_MAX") return "7";
    return std::nullopt;
  };
  sources.read_file = [&file](const std::string&) { return Result<std::string>(file); };
  Problems problems;
  LoadedConfig loaded = load_config(kGatherRoot, sources, problems);
  return {std::move(loaded.role), problems.errors(), problems.warnings()};
}

/// Flags on top of one leaf.
Loaded flags(std::vector<Flag> more) {
  more.insert(more.begin(), {"leaf", "http://a"});
  return load("", std::move(more));
}

const std::string kLeaves = "leaves: [http://a, http://b]\n";

}  // namespace

TEST_CASE("a leaf is enough, and the rest has its defaults") {
  const Loaded loaded = flags({});
  CHECK(loaded.errors.empty());
  CHECK(loaded.warnings.empty());
  REQUIRE(loaded.config().routes.size() == 1);
  const RouteConfig& route = loaded.route();
  CHECK(route.name == "default");
  CHECK(route.match.to_string() == "*");
  CHECK(route.timeout == Millis(2000));
  CHECK(route.leaf_timeout == Millis(0));
  CHECK(route.connect_timeout == Millis(100));
  CHECK(route.attempts == 3);
  CHECK(route.hedge.to_string() == "p95:5%");
  CHECK(route.select == SelectPolicy::adaptive);
  CHECK(route.min_coverage == 100);
  CHECK(route.mode.kind == Mode::Kind::all);
  CHECK(route.merge.kind == MergeKind::array);
  REQUIRE(loaded.config().listen.size() == 1);
  CHECK(loaded.config().listen[0].port == 8080);
  CHECK(loaded.config().limits.fanout == 4096);
  CHECK(loaded.config().limits.memory.bytes == 256ULL << 20);
  CHECK(loaded.config().pool_idle_max == 7);
  CHECK(loaded.config().pool_idle_timeout == Millis(60'000));
}

TEST_CASE("flags describe the one route that takes every request") {
  const Loaded loaded = flags({{"leaf", "s7=http://b-{0..9}|http://spare"},
                               {"match", "GET /search"},
                               {"to", "key:header:X-User"},
                               {"hash-tag", "{}"},
                               {"path", "/shard/{shard}"},
                               {"header", "X-Shard: {shard}"},
                               {"header", "X-Of: {shards}"},
                               {"timeout", "500ms"},
                               {"leaf-timeout", "400ms"},
                               {"attempts", "5"},
                               {"hedge", "10ms:1%"},
                               {"select", "round-robin"},
                               {"idempotent", "true"},
                               {"mode", "first-n:2"},
                               {"min-coverage", "90"},
                               {"wait-factor", "0.1:0.9"},
                               {"ok-status", "200"},
                               {"ok-status", "409"},
                               {"empty-status", "404"},
                               {"merge", "top-k:score:20"},
                               {"max-fanout", "7"},
                               {"queue-time", "1s"},
                               {"access-log", "true"}});
  // A name for ten shards is one too few.
  CHECK_FALSE(loaded.errors.empty());
  const RouteConfig& route = loaded.route();
  CHECK(route.match.method == "GET");
  CHECK(route.match.path == "/search");
  CHECK(route.to.to_string() == "key:header:x-user");
  CHECK(route.to.hash_tag == "{}");
  CHECK(route.headers == std::vector<std::string>{"X-Shard: {shard}", "X-Of: {shards}"});
  CHECK(route.timeout == Millis(500));
  CHECK(route.attempts == 5);
  CHECK(route.hedge.delay == Millis(10));
  CHECK(route.select == SelectPolicy::round_robin);
  CHECK(route.idempotent);
  CHECK(route.mode.to_string() == "first-n:2");
  CHECK(route.wait_factor.least == doctest::Approx(0.1));
  CHECK(route.ok_statuses == std::vector<std::uint32_t>{200, 409});
  CHECK(route.empty_statuses == std::vector<std::uint32_t>{404});
  CHECK(route.merge.to_string() == "top-k:/score:20");
  CHECK(loaded.config().limits.fanout == 7);
  CHECK(loaded.config().limits.queue_time == Millis(1000));
  CHECK(loaded.config().access_log);
}

TEST_CASE("a file may describe several routes in groups, and what stands beside is their default") {
  const Loaded loaded = load(kLeaves +
                             "timeout: 500ms\n"
                             "attempts: 2\n"
                             "leaf: {select: random}\n"
                             "merge: {type: concat, separator: \"\\n\"}\n"
                             "routes:\n"
                             "- match: GET /search\n"
                             "  scatter:\n"
                             "    to: all\n"
                             "    path: /shard/{shard}/search\n"
                             "    headers: {X-Shard: '{shard}', X-N: '{shards}'}\n"
                             "  leaf:\n"
                             "    timeout: 400ms\n"
                             "    connect_timeout: 50ms\n"
                             "    attempts: 3\n"
                             "    hedge: {percentile: 99, max_extra: 0.02, delay: 20ms}\n"
                             "    select: least-inflight\n"
                             "    idempotent: yes\n"
                             "  gather:\n"
                             "    mode: all\n"
                             "    min_coverage: 90\n"
                             "    wait_factor: [0.2, 0.8]\n"
                             "    ok_statuses: [200, 203]\n"
                             "    empty_statuses: [404]\n"
                             "  merge:\n"
                             "    type: top-k\n"
                             "    items: /hits\n"
                             "    key: /score\n"
                             "    order: asc\n"
                             "    k: {query: size, default: 20, max: 100}\n"
                             "    dedup: /id\n"
                             "- name: rest\n"
                             "  match: '*'\n"
                             "  hedge: off\n"
                             "  timeout: 1s\n");
  CHECK(loaded.errors.empty());
  CHECK(loaded.warnings.empty());
  REQUIRE(loaded.config().routes.size() == 2);
  const RouteConfig& search = loaded.route(0);
  CHECK(search.name == "GET /search");
  CHECK(search.path == "/shard/{shard}/search");
  CHECK(search.headers == std::vector<std::string>{"X-Shard: {shard}", "X-N: {shards}"});
  CHECK(search.timeout == Millis(500));
  CHECK(search.leaf_timeout == Millis(400));
  CHECK(search.connect_timeout == Millis(50));
  CHECK(search.attempts == 3);
  CHECK(search.hedge.to_string() == "p99:2%:20ms");
  CHECK(search.select == SelectPolicy::least_inflight);
  CHECK(search.idempotent);
  CHECK(search.min_coverage == 90);
  CHECK(search.wait_factor.to_string() == "0.2:0.8");
  CHECK(search.ok_statuses == std::vector<std::uint32_t>{200, 203});
  CHECK(search.empty_statuses == std::vector<std::uint32_t>{404});
  CHECK(search.merge.kind == MergeKind::top_k);
  CHECK(search.merge.items == "/hits");
  CHECK(search.merge.key == "/score");
  CHECK_FALSE(search.merge.descending);
  CHECK(search.merge.k_default == 20);
  CHECK(search.merge.k_max == 100);
  CHECK(search.merge.k_query == "size");
  CHECK(search.merge.dedup == "/id");
  const RouteConfig& rest = loaded.route(1);
  CHECK(rest.name == "rest");
  CHECK(rest.timeout == Millis(1000));
  CHECK(rest.attempts == 2);
  CHECK(rest.select == SelectPolicy::random);
  CHECK_FALSE(rest.hedge.enabled);
  CHECK(rest.merge.kind == MergeKind::concat);
  CHECK(rest.merge.separator == "\n");
  CHECK(rest.headers.empty());
  REQUIRE(loaded.config().leaves.size() == 2);
}

TEST_CASE("a file without routes is the one route, groups and lists included") {
  for (const char* leaves : {"leaves: [http://a, http://b]\nleaf: {timeout: 1s}\n",
                             "leaf: {timeout: 1s}\nleaves: [http://a, http://b]\n",
                             "leaf: [http://a, http://b]\nleaf-timeout: 1s\n"}) {
    CAPTURE(leaves);
    const Loaded loaded = load(std::string(leaves) +
                               "gather: {min-coverage: 50, wait-factor: [0, 1]}\n"
                               "headers: {X-A: b}\n"
                               "ok_statuses: [200]\n");
    CHECK(loaded.errors.empty());
    REQUIRE(loaded.config().leaves.size() == 2);
    REQUIRE(loaded.config().routes.size() == 1);
    CHECK(loaded.route().leaf_timeout == Millis(1000));
    CHECK(loaded.route().min_coverage == 50);
    CHECK(loaded.route().headers == std::vector<std::string>{"X-A: b"});
    CHECK(loaded.route().ok_statuses == std::vector<std::uint32_t>{200});
  }
}

TEST_CASE("routes may be a map by name, and the first one that fits counts") {
  const Loaded loaded = load(kLeaves +
                             "routes:\n"
                             "  one: {match: GET /a/*}\n"
                             "  two: {match: POST /a/b}\n");
  CHECK(loaded.errors.empty());
  REQUIRE(loaded.config().routes.size() == 2);
  CHECK(loaded.route(0).name == "one");
  CHECK(loaded.route(1).name == "two");
  CHECK(loaded.route(0).match.takes("GET", "/a/b"));
  CHECK(loaded.route(0).match.takes("HEAD", "/a/b"));
  CHECK_FALSE(loaded.route(0).match.takes("POST", "/a/b"));
  CHECK_FALSE(loaded.route(0).match.takes("GET", "/ab"));
  CHECK(loaded.route(1).match.takes("POST", "/a/b"));
  CHECK_FALSE(loaded.route(1).match.takes("POST", "/a/b/c"));
}

TEST_CASE("a merge of one's own, by its carriers") {
  const Loaded http = load(kLeaves + "merge: {url: 'http://m:1/x', format: ndjson}\n");
  CHECK(http.errors.empty());
  CHECK(http.route().merge_url == "http://m:1/x");
  CHECK(http.route().merge_format == MergeFormat::ndjson);
  CHECK(http.route().has_external_merge());
  const Loaded exec = load(kLeaves +
                           "merge: {exec: ./m.py, files: true, cgi: true, processes: 4, "
                           "fallback: array}\n");
  CHECK(exec.errors.empty());
  CHECK(exec.warnings.empty());
  CHECK(exec.route().merge_exec == "./m.py");
  CHECK(exec.route().merge_files);
  CHECK(exec.route().merge_cgi);
  CHECK(exec.route().merge_processes == 4);
  REQUIRE(exec.route().merge_fallback.spec.has_value());
  CHECK(exec.route().merge_fallback.spec->kind == MergeKind::array);
}

TEST_CASE("a topology is told in one text or as a map") {
  const std::pair<const char*, const char*> forms[] = {
      {"topology: /etc/s.yaml\n", "/etc/s.yaml"},
      {"topology: {file: /etc/s.yaml}\n", "/etc/s.yaml"},
      {"topology: {dns: 'leaf.local:80', as: replicas}\n", "dns://leaf.local:80?as=replicas"},
      {"topology: {srv: _http._tcp.leaf.local}\n", "srv://_http._tcp.leaf.local"},
  };
  for (const auto& [text, origin] : forms) {
    CAPTURE(text);
    const Loaded loaded = load(text);
    CHECK(loaded.errors.empty());
    REQUIRE(loaded.config().topology.source.has_value());
    CHECK(loaded.config().topology.source->to_string().find(origin) != std::string::npos);
  }
}

TEST_CASE("quorum brings its own merge") {
  const Loaded loaded = flags({{"mode", "quorum"}});
  CHECK(loaded.errors.empty());
  CHECK(loaded.route().merge.kind == MergeKind::quorum);
  const Loaded pointed = flags({{"mode", "quorum"}, {"merge", "quorum:/v"}});
  CHECK(pointed.route().merge.pointer == "/v");
  CHECK(flags({{"mode", "quorum"}, {"merge-exec", "x"}})
            .error("mode quorum compares the answers itself: no merge of yours"));
}

TEST_CASE("leaves are listed or found, one of both") {
  CHECK(load("", {}).error("no leaf; give --leaf URL for each shard, or --topology"));
  CHECK(flags({{"topology", "/etc/s.yaml"}}).error("give --leaf or --topology"));
  CHECK(load("", {{"leaf", "s0=http://a"}, {"leaf", "s0=http://b"}}).error("s0"));
  CHECK_FALSE(load("", {{"leaf", "ftp://a"}}).errors.empty());
  CHECK_FALSE(load("", {{"topology", "dns://"}}).errors.empty());
}

TEST_CASE("what is out of its range is named, with its route and the remedy") {
  struct Case {
    Flag flag;
    const char* text;
  };
  const Case cases[] = {
      {{"timeout", "0s"}, "0 is out of range: it must be more than 0 and at most 10m"},
      {{"timeout", "11m"}, "11m is out of range: it must be more than 0 and at most 10m"},
      {{"connect-timeout", "0ms"}, "0 is out of range"},
      {{"attempts", "0"}, "it must be 1 to 5"},
      {{"attempts", "6"}, "6 is out of range: it must be 1 to 5"},
      {{"min-coverage", "101"}, "it must be 0 to 100 (percent)"},
      {{"min-coverage", "nan"}, ""},
      {{"path", "x"}, "must begin with \"/\" or {path}"},
      {{"path", "/{x}"}, "\"{x}\" is not one of {shard}, {index}, {shards}, {path}"},
      {{"header", "nothing"}, "\"nothing\" is not NAME: VALUE"},
      {{"ok-status", "199"}, "199 is out of range: it must be 200 to 599"},
      {{"empty-status", "600"}, "600 is out of range: it must be 200 to 599"},
      {{"merge-processes", "257"}, "it must be 0 to 256"},
      {{"merge-url", "ftp://x"}, "ftp"},
      {{"hash-tag", "abc"}, "must be two characters"},
      {{"max-fanout", "0"}, "0 is out of range: it must be 1 to 4096"},
      {{"max-fanout", "4097"}, "4097 is out of range: it must be 1 to 4096"},
      {{"max-inflight", "0"}, "it must be 1 to 1000000"},
      {{"max-inflight-per-replica", "0"}, "it must be 1 to 1000000"},
      {{"max-connections", "0"}, "it must be 1 to 1000000"},
      {{"max-header-bytes", "1000"}, "it must be 1KiB to 1MiB"},
      {{"max-header-bytes", "2MiB"}, "it must be 1KiB to 1MiB"},
      {{"mode", "some"}, "\"some\" is not one of all, first, first-n:N, majority, quorum"},
      {{"mode", "first-n:0"}, "needs a number from 1 to 4096"},
      {{"mode", "first-n:x"}, "needs a number from 1 to 4096"},
      {{"wait-factor", "1:0"}, "\"1:0\" is not LEAST:MOST"},
      {{"wait-factor", "0:2"}, "is not LEAST:MOST"},
      {{"wait-factor", "-1:1"}, "is not LEAST:MOST"},
      {{"wait-factor", "1"}, "is not LEAST:MOST"},
      {{"match", "get /x"}, "the method is one word in capitals"},
      {{"match", "x"}, "a path begins with \"/\""},
      {{"match", "GET "}, "a path begins with \"/\""},
      {{"match", "/a*b"}, "\"*\" stands only at the end, after a \"/\""},
      {{"match", "/a?b"}, "only the path is matched"},
      {{"hedge", "p101"}, "is not a percentile from p50 to p99.9"},
      {{"to", "somewhere"}, "somewhere"},
      {{"merge", "magic"}, "magic"},
      {{"merge-fallback", "magic"}, "magic"},
      {{"select", "best"}, "best"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.flag.name);
    CAPTURE(each.flag.value);
    const Loaded loaded = flags({each.flag});
    CHECK_FALSE(loaded.errors.empty());
    CHECK(loaded.error(each.text));
  }
  CHECK(flags({{"merge-url", "http://m"}, {"merge-exec", "m"}})
            .error("merge_url, merge_exec and merge_coprocess exclude each other"));
}

TEST_CASE("what has no effect is warned of") {
  CHECK(flags({{"leaf-timeout", "3s"}}).warning("leaf_timeout is longer than timeout"));
  CHECK(flags({{"merge-files", "true"}}).warning("no effect without merge_exec"));
  CHECK(flags({{"merge-cgi", "true"}}).warning("no effect without merge_exec"));
  CHECK(flags({{"merge-fallback", "array"}}).warning("no effect without a merge of yours"));
  CHECK(flags({{"leaf-timeout", "3s"}}).errors.empty());
}

TEST_CASE("flags of a route beside a file's routes are told to have no effect") {
  const std::string file = kLeaves + "timeout: 300ms\nroutes: [{match: /a}]\n";
  const Loaded loaded = load(file, {{"timeout", "100ms"}, {"merge", "deep"}});
  CHECK(loaded.errors.empty());
  REQUIRE(loaded.config().routes.size() == 1);
  CHECK(loaded.warning("--merge"));
  CHECK(loaded.warning("--timeout"));
  CHECK(load(file, {{"max-fanout", "10"}}).warnings.empty());
}

TEST_CASE("a key that nobody knows is complained of in its place, with what is near to it") {
  struct Case {
    const char* text;
    const char* said;
  };
  const Case cases[] = {
      {"scatter: {pth: /x}\n",
       "n.yml:2:11: unknown key \"pth\" in scatter (did you mean \"path\"?)"},
      {"leaf: {timout: 1s}\n", "unknown key \"timout\" in leaf (did you mean \"timeout\"?)"},
      {"gather: {min_coverge: 1}\n",
       "unknown key \"min_coverge\" in gather (did you mean \"min_coverage\"?)"},
      {"merge: {type: array, fallbck: x}\n", "unknown key \"fallbck\" in merge"},
      {"merge: {typ: array}\n", "(did you mean \"type\"?)"},
      {"merge: {type: top-k, k: {querry: size}}\n",
       "unknown key \"querry\" in k (did you mean \"query\"?)"},
      {"hedge: {percentil: 95}\n",
       "unknown key \"percentil\" in hedge (did you mean \"percentile\"?)"},
      {"timeoutt: 1s\n", "(did you mean \"timeout\"?)"},
      {"routes: [{match: /a, timeoutt: 1s}]\n", "(did you mean \"timeout\"?)"},
      {"routes: [{match: /a, leaf: {selct: random}}]\n", "(did you mean \"select\"?)"},
      {"routes: [5]\n", "a route is a map with `match` and more"},
      {"routes: [{match: /a}, {match: /a}]\n", "two routes are called \"/a\"; give them a `name`"},
      {"routes: []\n", "describe at least one route"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    const Loaded loaded = load(kLeaves + each.text);
    CHECK_FALSE(loaded.errors.empty());
    CHECK(loaded.error(each.said));
  }
}

TEST_CASE("all that is wrong in a file is told at once") {
  const Loaded loaded = load(kLeaves +
                             "timeout: soon\n"
                             "routes:\n"
                             "- {match: /a, mode: some}\n"
                             "- {match: /b, leaf: {attempts: 9}, scatter: {pth: /x}}\n");
  CHECK(loaded.errors.size() >= 3);
  CHECK(loaded.error("soon"));
  CHECK(loaded.error("some"));
  CHECK(loaded.error("pth"));
}

TEST_CASE("what the options print is what they read") {
  for (const char* text : {"GET /search", "/api/*", "*", "POST *", "/"}) {
    auto match = RouteMatch::parse(text);
    REQUIRE(match.has_value());
    CHECK(match->to_string() == text);
  }
  for (const char* text : {"all", "first", "first-n:3", "majority", "quorum"}) {
    CHECK(Mode::parse(text)->to_string() == text);
  }
  CHECK(WaitFactor::parse("0:1")->to_string() == "0:1");
  CHECK(WaitFactor::parse("0.25:0.75")->to_string() == "0.25:0.75");
}
