// logsaver's configuration, from flags and files, through the loader that every role has.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manage/config.hpp"
#include "roles/logsaver/config.hpp"
#include "roles/logsaver/role.hpp"

using namespace consort;
using namespace consort::logsaver;

namespace {

/// One loading: what came out, and what was said about it.
struct Loaded {
  std::unique_ptr<RoleConfig> role;
  std::vector<std::string> errors;
  std::vector<std::string> warnings;

  const LogsaverConfig& config() const { return static_cast<const LogsaverConfig&>(*role); }
};

Loaded load(const std::string& file, std::vector<Flag> flags = {}) {
  ConfigSources sources;
  if (!file.empty()) flags.push_back({"config", "save.yaml"});
  sources.flags = std::move(flags);
  sources.environment = [](const std::string&) -> std::optional<std::string> {
    return std::nullopt;
  };
  sources.read_file = [&file](const std::string&) { return Result<std::string>(file); };
  Problems problems;
  LoadedConfig loaded = load_config(kLogsaver, sources, problems);
  return {std::move(loaded.role), problems.errors(), problems.warnings()};
}

/// Flags on top of one file and one sink.
Loaded flags(std::vector<Flag> more) {
  more.insert(more.begin(), {{"path", "/logs/app.log"}, {"sink", "null:"}});
  return load("", std::move(more));
}

/// What is said of one more flag; empty for nothing.
std::string said_of(std::string name, std::string value) {
  const Loaded loaded = flags({{std::move(name), std::move(value)}});
  std::string all;
  for (const std::string& error : loaded.errors) all += (all.empty() ? "" : "\n") + error;
  return all;
}

}  // namespace

TEST_CASE("a path and a sink are enough, and the rest has its defaults") {
  const Loaded loaded = flags({});
  CHECK(loaded.errors.empty());
  CHECK(loaded.config().kubernetes);
  CHECK(loaded.config().has_state());
  CHECK(loaded.config().from == StartFrom::beginning);
  REQUIRE(loaded.config().sinks());
}

TEST_CASE("every mistake of a file is told at once and once, with its place") {
  const Loaded loaded = load(
      "path: [\"/logs/[a\", /logs/b.log]\n"
      "sink: 'null:'\n"
      "exclude_lines: \"(a\"\n"
      "redact: emial\n"
      "parse: \"regex:(\"\n"
      "multiline: jva\n"
      "retry_base: 0\n"
      "state_dir: \"\"\n"
      "Read_from_Head: true\n");
  REQUIRE_EQ(loaded.errors.size(), 8);
  const auto has = [&](std::string_view start, std::string_view part) {
    return std::ranges::count_if(loaded.errors, [&](const std::string& error) {
      return error.starts_with(start) && error.find(part) != error.npos;
    });
  };
  CHECK_EQ(has("save.yaml:1:8: path: ", "a [ is not closed"), 1);
  CHECK_EQ(has("save.yaml:3:16: exclude_lines: ", "is not a pattern"), 1);
  CHECK_EQ(has("save.yaml:4:9: redact: ", "did you mean \"email\"?"), 1);
  CHECK_EQ(has("save.yaml:5:8: parse: ", "is not a pattern"), 1);
  CHECK_EQ(has("save.yaml:6:12: multiline: ", "did you mean \"java\"?"), 1);
  CHECK_EQ(has("save.yaml:7:13: retry_base: ", "must be from 1ms to 1h"), 1);
  CHECK_EQ(has("save.yaml:8:12: state_dir: ", "a directory is missing"), 1);
  CHECK_EQ(has("save.yaml:9:1: unknown key \"Read_from_Head\"", "(use --from start)"), 1);
}

TEST_CASE("a path that was refused is not called missing as well") {
  const Loaded loaded = load("", {{"path", "/logs/[a"}, {"sink", "null:"}});
  REQUIRE_EQ(loaded.errors.size(), 1);
  CHECK(loaded.errors[0].starts_with("--path: \"/logs/[a\" is not a pattern"));
  const Loaded none = load("", {{"sink", "null:"}});
  REQUIRE_EQ(none.errors.size(), 1);
  CHECK(none.errors[0].starts_with("--path is required"));
}

TEST_CASE("numbers have bounds, and 0 a meaning or none") {
  CHECK_EQ(said_of("in-flight", "0"), "");
  CHECK_EQ(said_of("in-flight", "64"), "");
  CHECK_EQ(said_of("in-flight", "65"),
           "--in-flight: must be from 1 to 64, or 0 for each sink's own");
  CHECK_EQ(said_of("batch-bytes", "0"), "");
  CHECK_EQ(said_of("batch-bytes", "1023"),
           "--batch-bytes: must be from 1KiB to 256MiB, or 0 for each sink's own");
  CHECK_EQ(said_of("batch-time", "61m"),
           "--batch-time: must be from 1ms to 1h, or 0 for each sink's own");
  CHECK_EQ(said_of("retry-base", "0"), "--retry-base: must be from 1ms to 1h");
  CHECK_EQ(said_of("retry-cap", "0"), "--retry-cap: must be from 1ms to 1h");
  CHECK_EQ(said_of("retry-cap", "100ms"), "");  // below --retry-base: the first wait's bound too
  CHECK_EQ(said_of("spool-max", "0"), "");
}

TEST_CASE("an empty value is no value") {
  CHECK_EQ(said_of("explain", ""), "--explain: a path is missing");
  CHECK_EQ(said_of("path", ""), "--path: a file or a glob is missing");
  CHECK_EQ(said_of("state-dir", ""),
           "--state-dir: a directory is missing (or \"none\", with which nothing survives)");
}

TEST_CASE("a default that a sink cannot take is told with the sink's name") {
  const Loaded loaded = flags({{"sink", "loki+http://loki:3100"}, {"compress", "zstd"}});
  REQUIRE_EQ(loaded.errors.size(), 1);
  CHECK(loaded.errors[0].starts_with("--sink loki+http://loki:3100: compress: "));
}

TEST_CASE("a sink that is there twice is told once") {
  CHECK_EQ(said_of("sink", "null:?batch_time=1s"),
           "--sink: \"null:\" is there twice (parameters do not tell sinks apart)");
}

TEST_CASE("what is wrong with a bucket, a key or an endpoint is known before the start") {
  CHECK(said_of("sink", "s3://logs?key={foo}").find("key: \"{foo}\" is no place") !=
        std::string::npos);
  CHECK(said_of("sink", "s3://logs?endpoint=rgw").find("\"rgw\" is not a URL") !=
        std::string::npos);
  CHECK(said_of("sink", "s3://LOGS!").find("is not a bucket's name") != std::string::npos);
}

TEST_CASE("what is no sink's URL is answered with what it may have been meant to be") {
  CHECK_EQ(said_of("sink", "/var/saved.log"),
           "--sink: \"/var/saved.log\" is no kind of sink (for a file write file:///PATH)");
  CHECK_EQ(said_of("sink", "loki:3100"),
           "--sink: \"loki\" is no kind of sink (did you mean \"loki+http\"?)");
  CHECK_EQ(said_of("sink", "logs:8080"),
           "--sink: \"logs\" is no kind of sink (for a server write its kind first, as in "
           "http://logs:8080)");
  CHECK(said_of("sink", "kafka://broker").find("(there are file, stdout, ") != std::string::npos);
}

TEST_CASE("a file that consort writes itself is not followed by that very name") {
  const Loaded loaded = load("", {{"path", "/logs/saved.log"}, {"sink", "file:///logs/saved.log"}});
  REQUIRE_EQ(loaded.errors.size(), 1);
  CHECK(loaded.errors[0].starts_with("--path /logs/saved.log: consort writes it itself"));
  // A glob passes it by.
  CHECK(load("", {{"path", "/logs/*.log"}, {"sink", "file:///logs/saved.log"}}).errors.empty());
}

TEST_CASE("a directory in a file's place deserves a warning, for a file may come there") {
  const Loaded loaded = load("", {{"path", "/"}, {"path", "/tmp"}, {"sink", "null:"}});
  REQUIRE_EQ(loaded.errors.size(), 1);
  CHECK(loaded.errors[0].starts_with("--path: \"/\" is not a pattern"));
  const Loaded warned = load("", {{"path", "/tmp"}, {"sink", "null:"}});
  CHECK(warned.errors.empty());
  REQUIRE_EQ(warned.warnings.size(), 1);
  CHECK_EQ(warned.warnings[0],
           "--path /tmp: it is a directory; for all files in it write '/tmp/*'");
}
