#include "roles/logsaver/config.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "roles/logsaver/explain.hpp"
#include "roles/logsaver/sinks/manifest_file.hpp"

namespace consort {
template <>
struct Choices<logsaver::LogFormat> {
  static constexpr std::string_view names[] = {"raw", "cri", "docker"};
};
template <>
struct Choices<logsaver::StartFrom> {
  static constexpr std::string_view names[] = {"start", "end"};
};
template <>
struct Choices<logsaver::PollMode> {
  static constexpr std::string_view names[] = {"auto", "always", "never"};
};
}  // namespace consort

namespace consort::logsaver {
namespace {

constexpr std::uint64_t kLeastRecord = 1024;
constexpr std::uint64_t kMostRecord = 16ULL << 20;
constexpr Millis kLongest{3'600'000};
constexpr std::string_view kStart = "start:";

Result<> check_record(const ByteSize& size) {
  if (size.bytes >= kLeastRecord && size.bytes <= kMostRecord) return {};
  return fail(Errc::invalid, "must be from 1KiB to 16MiB");
}
/// What a maker says of its one argument, for the place where it stands.
template <class Made>
Result<> verdict_of(Result<Made> made) {
  return made ? Result<>() : fail(std::move(made.error()));
}
Result<> check_regex(const std::string& text) {
  return verdict_of(Regex::compile(text, {}));
}
Result<> check_multiline(const std::string& text) {
  if (text.starts_with(kStart)) return check_regex(text.substr(kStart.size()));
  if (multiline_kind(text)) return {};
  constexpr std::string_view kKinds[] = {"java",   "python", "go",    "ruby",
                                         "nodejs", "dotnet", "indent"};
  const std::string_view meant = nearest(text, kKinds);
  return fail(Errc::invalid,
              in_quotes(text) +
                  " is none of java, python, go, ruby, nodejs, dotnet, indent, start:REGEX" +
                  (meant.empty() ? "" : " (did you mean " + in_quotes(meant) + "?)"));
}
Result<> check_glob(const std::string& text) {
  if (text.empty()) return fail(Errc::invalid, "a file or a glob is missing");
  return verdict_of(Glob::compile(text));
}
Result<> check_redaction(const std::string& text) {
  return verdict_of(Redaction::make({&text, 1}));
}
Result<> check_parse(const std::string& text) {
  return verdict_of(FieldParser::make(text, ""));
}
Result<> check_sink(const std::string& text) {
  return verdict_of(SinkUrl::parse(text));
}
Result<> check_state_dir(const std::string& text) {
  if (!text.empty()) return {};
  return fail(Errc::invalid, "a directory is missing (or \"none\", with which nothing survives)");
}
Result<> check_explain(const std::string& text) {
  return text.empty() ? fail(Errc::invalid, "a path is missing") : Result<>();
}
Result<> check_batch_bytes(const ByteSize& size) {
  if (size.bytes == 0 || (size.bytes >= 1024 && size.bytes <= 256ULL << 20)) return {};
  return fail(Errc::invalid, "must be from 1KiB to 256MiB, or 0 for each sink's own");
}
Result<> check_batch_time(const Millis& time) {
  if (time <= kLongest) return {};
  return fail(Errc::invalid, "must be from 1ms to 1h, or 0 for each sink's own");
}
Result<> check_in_flight(const std::uint32_t& count) {
  if (count <= 64) return {};
  return fail(Errc::invalid, "must be from 1 to 64, or 0 for each sink's own");
}
Result<> check_wait(const Millis& wait) {
  if (wait >= Millis(1) && wait <= kLongest) return {};
  return fail(Errc::invalid, "must be from 1ms to 1h");
}
Result<> check_percent(const std::uint32_t& percent) {
  if (percent >= 1 && percent <= 100) return {};
  return fail(Errc::invalid, "must be from 1 to 100 percent");
}
Result<> check_label(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0) return {};
  return fail(Errc::invalid, in_quotes(text) + " is not NAME=VALUE");
}

using Config = LogsaverConfig;
constexpr Option kTable[] = {
    option<&Config::path, check_glob>(
        "path", "file or glob to follow: * ? [a-z] {a,b} and ** for any directories"),
    option<&Config::exclude, check_glob>("exclude",
                                         "glob of files to leave out; one without / is for names"),
    option<&Config::sink, check_sink>(
        "sink",
        "where to save: file:///PATH, s3://BUCKET/PREFIX, http(s)://.., loki+http://.., "
        "es+http://.., otlp+http://.., syslog+tcp://HOST:PORT, syslog+tls://.., stdout:, null:; "
        "settings of its own behind a ?; of several each gets everything",
        kRequired),
    option<&Config::state_dir, check_state_dir>(
        "state-dir",
        "what must survive a restart: a directory of its own on a volume that does, or none"),
    option<&Config::from>("from", "of files that are there at the very first start"),
    option<&Config::once>("once", "save what is there to its end, and exit", kFlagOnly),
    option<&Config::standard_input>(
        "stdin", "save the lines of standard input instead of files', and exit when it ends",
        kFlagOnly),
    option<&Config::replay>(
        "replay",
        "send what destinations have refused (STATE/dead) to them again, and exit: 0 when all of "
        "it was taken",
        kFlagOnly),
    option<&Config::explain, check_explain>(
        "explain", "say why a path is or is not followed, and exit", kFlagOnly),
    option<&Config::format>("format", "what the container runtime puts around each line"),
    option<&Config::parse, check_parse>(
        "parse",
        "what the application's lines are: none, json, logfmt or regex:PATTERN with "
        "named groups"),
    option<&Config::time_key>("time-key", "field that holds a record's time"),
    option<&Config::multiline, check_multiline>(
        "multiline",
        "join lines of stack traces: java, python, go, ruby, nodejs, dotnet, indent, or "
        "start:REGEX for lines that begin a record"),
    option<&Config::multiline_timeout>("multiline-timeout",
                                       "a record that may go on ends after so much silence"),
    option<&Config::record_max, check_record>("record-max", "longer records are cut in parts"),
    option<&Config::include_lines, check_regex>("include-lines",
                                                "keep only records that match this pattern"),
    option<&Config::exclude_lines, check_regex>("exclude-lines",
                                                "drop records that match this pattern"),
    option<&Config::redact, check_redaction>(
        "redact",
        "hide in records: email, ipv4, creditcard, bearer, aws-key, jwt, or NAME=PATTERN"),
    option<&Config::label, check_label>("label", "NAME=VALUE for every record"),
    option<&Config::kubernetes>("kubernetes",
                                "label records with namespace, pod and container, where their path "
                                "is one of Kubernetes' (needs no API server)"),
    option<&Config::host>("host", "what this machine is called in labels; default its host name"),
    option<&Config::invalid_utf8>("invalid-utf8", "bytes that are no text, where only text goes"),
    option<&Config::encode>("encode", "default for sinks that take both"),
    option<&Config::compress>("compress", "default for sinks that can"),
    option<&Config::batch_bytes, check_batch_bytes>(
        "batch-bytes", "a batch is sent at that size; 0 is the sink's own"),
    option<&Config::batch_time, check_batch_time>("batch-time",
                                                  "or when that old; 0 is the sink's own"),
    option<&Config::in_flight, check_in_flight>("in-flight",
                                                "most batches under way per sink; 0 is its own"),
    option<&Config::retry_base, check_wait>("retry-base",
                                            "first bound of the random wait before a retry"),
    option<&Config::retry_cap, check_wait>("retry-cap",
                                           "largest bound of that wait, the first one included"),
    option<&Config::scavenger>(
        "scavenger",
        "take only what others leave: idle scheduling of processor and disk, and no reading while "
        "they wait for either"),
    option<&Config::scavenger_pressure, check_percent>(
        "scavenger-pressure",
        "percent of time that some process has to wait, of the last ten seconds, from which on "
        "nothing is read; until half of that"),
    option<&Config::scavenger_delay>(
        "scavenger-delay", "what is unread for longer is read all the same, a little at a time"),
    option<&Config::poll>("poll", "look at files instead of being told by the kernel"),
    option<&Config::rotate_wait>("rotate-wait",
                                 "how long a renamed or deleted file is still read after its last "
                                 "byte"),
    option<&Config::spool_max>(
        "spool-max",
        "most bytes of deleted files that are saved in the state directory; 0 "
        "for none"),
};

/// As fluent-bit, filebeat, promtail and Vector have them.
constexpr ForeignName kForeign[] = {
    {"paths", "use --path GLOB"},
    {"include", "use --path GLOB"},
    {"input", "use --path GLOB"},
    {"exclude-path", "use --exclude GLOB"},
    {"exclude-files", "use --exclude GLOB"},
    {"output", "use --sink URL"},
    {"db", "use --state-dir DIR"},
    {"storage.path", "use --state-dir DIR"},
    {"data-dir", "use --state-dir DIR"},
    {"positions", "use --state-dir DIR"},
    {"ephemeral", "use --state-dir none"},
    {"read-from-head", "use --from start"},
    {"read-from-tail", "use --from end"},
    {"read-from", "use --from start|end"},
    {"tail-files", "use --from end"},
    {"ignore-older", "use --from end; or --exclude what is old"},
    {"refresh-interval", "nothing to set: the kernel tells (see --poll)"},
    {"scan-frequency", "nothing to set: the kernel tells (see --poll)"},
    {"inotify-watcher", "use --poll auto|always|never"},
    {"mem-buf-limit", "nothing to set: the files are the queue; --spool-max bounds the disk"},
    {"storage.type", "nothing to set: the files are the queue; --spool-max bounds the disk"},
    {"spool-limit", "use --spool-max SIZE"},
    {"buffer-max-size", "use --record-max SIZE"},
    {"buffer-chunk-size", "nothing to set; longer lines: --record-max SIZE"},
    {"max-line-bytes", "use --record-max SIZE"},
    {"max-bytes", "use --record-max SIZE"},
    {"skip-long-lines", "nothing to set: longer lines are cut in parts (--record-max)"},
    {"close-inactive", "use --rotate-wait DURATION; other files need not be closed"},
    {"flush", "use --batch-time DURATION"},
    {"flush-interval", "use --batch-time DURATION"},
    {"batch-age", "use --batch-time DURATION"},
    {"concurrency", "use --in-flight NUMBER"},
    {"workers", "use --in-flight NUMBER"},
    {"retry-limit", "nothing to set: it tries for ever (see --retry-cap)"},
    {"parser", "use --format for the runtime's frame, --parse for fields"},
    {"multiline.parser", "use --multiline KIND, and --format for cri and docker"},
    {"key-include", "use --include-lines PATTERN"},
    {"grep", "use --include-lines PATTERN, --exclude-lines PATTERN"},
    {"labels", "use --label NAME=VALUE"},
    {"tag", "use --label NAME=VALUE"},
    {"k8s", "it is on (--kubernetes)"},
    {"dry-run", "use --check-config"},
};

/// Whether something was said of that option already: what was refused is not missing as well.
bool is_told(const Problems& problems, std::string_view key) {
  const std::string in_file = std::string(key) + ": ";
  std::string in_environment = in_file;
  for (char& c : in_environment) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return std::ranges::any_of(problems.errors(), [&](const std::string& error) {
    return error.find(in_file) != error.npos || error.find(in_environment) != error.npos;
  });
}

std::string working_directory() {
  std::array<char, 4096> buffer{};
  return ::getcwd(buffer.data(), buffer.size()) == nullptr ? "/" : std::string(buffer.data());
}

/// A --path without wildcards means that very file, so what it comes to is told.
void check_fixed_paths(const LogsaverConfig& config, const Selection& selected,
                       const std::string& here, Problems& problems) {
  for (const std::string& path : config.path) {
    if (path.find_first_of("*?[{\\") != path.npos) continue;
    const std::string absolute = path.starts_with('/') ? path : here + "/" + path;
    struct stat status{};
    if (selected.ask(absolute).verdict == Selection::Verdict::own) {
      problems.error("--path " + path +
                     ": consort writes it itself (the state directory, or a file sink's)");
    } else if (::stat(absolute.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      problems.warn("--path " + path + ": it is a directory; for all files in it write '" + path +
                    "/*'");
    }
  }
}

}  // namespace

std::vector<BoundTable> LogsaverConfig::tables() {
  return {{kTable, this, kForeign}, {kTlsOptions, &tls}};
}

void LogsaverConfig::validate(Problems& problems) {
  if (path.empty() && !standard_input && !replay && !is_told(problems, "path")) {
    problems.error("--path is required: a file or a glob to follow (or --stdin)");
  }
  if (standard_input && !path.empty()) {
    problems.error("--stdin and --path: only one of them, as --stdin exits when its input ends");
  }
  if (replay && !has_state()) {
    problems.error("--replay: without --state-dir nothing that was refused is kept");
  }
  if (replay && standard_input) problems.error("--replay and --stdin: only one of them");
  if (!problems.ok()) return;
  const std::string here = working_directory();
  if (auto selected = selection(here); selected) {
    check_fixed_paths(*this, *selected, here, problems);
  } else {
    problems.error(selected.error().message());
  }
  RecordRules rules;
  if (auto filled = fill(rules); !filled) problems.error(filled.error().message());
  if (auto urls = sinks(); !urls) problems.error(urls.error().message());
}

std::optional<int> LogsaverConfig::answer(std::string& out) const {
  if (explain.empty()) return std::nullopt;
  return explain_path(*this, working_directory(), explain, out);
}

Result<std::vector<SinkUrl>> LogsaverConfig::sinks() const {
  std::vector<SinkUrl> urls;
  for (const std::string& text : sink) {
    auto url = SinkUrl::parse(text);
    if (!url) return fail(std::move(url.error()).in("--sink"));
    const std::pair<std::string_view, std::string> defaults[] = {
        {"encode", encode == EncodeChoice::automatic ? "" : Text<EncodeChoice>::print(encode)},
        {"compress",
         compress == CompressChoice::automatic ? "" : Text<CompressChoice>::print(compress)},
        {"batch_bytes", batch_bytes.bytes == 0 ? "" : Text<ByteSize>::print(batch_bytes)},
        {"batch_time", batch_time.count() == 0 ? "" : Text<Millis>::print(batch_time)},
        {"in_flight", in_flight == 0 ? "" : std::to_string(in_flight)},
    };
    for (const auto& [name, value] : defaults) {
      if (value.empty()) continue;
      if (auto set = url->set_default(name, value); !set) {
        return fail(std::move(set.error()).in("--sink " + url->name()));
      }
    }
    for (const SinkUrl& other : urls) {
      if (other.name() == url->name()) {
        return fail(Errc::invalid, "--sink: " + in_quotes(url->name()) +
                                       " is there twice (parameters do not tell sinks apart)");
      }
    }
    urls.push_back(std::move(*url));
  }
  return urls;
}

Result<Selection> LogsaverConfig::selection(std::string_view here,
                                            const std::string& input_glob) const {
  Selection::Rules rules{.include = path, .exclude = exclude, .own = {}};
  if (!input_glob.empty()) {
    rules.include = {input_glob};
  } else if (has_state()) {
    rules.own.push_back(state_dir);
  }
  for (const std::string& text : sink) {
    auto url = SinkUrl::parse(text);
    if (!url || url->kind() != SinkKind::file) continue;
    // Up to where the name is not fixed; what lies there is ours.
    const std::string_view target = url->path();
    rules.own.emplace_back(target.substr(0, target.find_first_of("{%")));
    while (rules.own.back().size() > 1 && rules.own.back().ends_with('/')) {
      rules.own.back().pop_back();
    }
    rules.own.push_back(rules.own.back() + std::string(kManifestSuffix));
  }
  auto made = Selection::make(std::move(rules), here);
  return made;
}

Result<> LogsaverConfig::fill(RecordRules& rules) const {
  using Format = AssemblerRules::Format;
  constexpr Format kFormats[] = {Format::raw, Format::cri, Format::docker};
  rules.assembler.format = kFormats[static_cast<std::size_t>(format)];
  rules.assembler.record_bytes_max = record_max.bytes;
  for (const std::string& text : multiline) {
    if (auto kind = multiline_kind(text)) {
      rules.assembler.multiline.kinds.push_back(*kind);
      continue;
    }
    auto pattern = Regex::compile(std::string_view(text).substr(kStart.size()), {});
    if (!pattern) return fail(std::move(pattern.error()).in("--multiline"));
    // A line for which the pattern hits its limits goes on with the record before.
    rules.assembler.multiline.is_start =
        [regex = std::make_shared<Regex>(std::move(*pattern))](std::string_view line) {
          return regex->match(line) == Regex::Verdict::yes;
        };
  }
  auto redaction = Redaction::make(redact);
  if (!redaction) return fail(std::move(redaction.error()).in("--redact"));
  rules.redaction = std::move(*redaction);
  auto fields = FieldParser::make(parse, time_key);
  if (!fields) return fail(std::move(fields.error()).in("--parse"));
  rules.fields = std::move(*fields);
  auto filter = LineFilter::make(include_lines, exclude_lines);
  if (!filter) return fail(std::move(filter.error()).in("--include-lines, --exclude-lines"));
  rules.filter = std::move(*filter);
  return {};
}

std::vector<std::pair<std::string, std::string>> LogsaverConfig::labels() const {
  std::vector<std::pair<std::string, std::string>> made;
  for (const std::string& text : label) {
    const std::size_t equals = text.find('=');
    made.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return made;
}

std::string LogsaverConfig::record_settings(std::string_view host_name) const {
  std::string text = Text<LogFormat>::print(format) + "\n" + parse + "\n" + time_key + "\n" +
                     Text<ByteSize>::print(record_max) + "\n" + std::string(host_name) + "\n" +
                     Text<InvalidUtf8>::print(invalid_utf8) + (kubernetes ? "\nk8s\n" : "\n-\n");
  for (const auto* list : {&multiline, &include_lines, &exclude_lines, &redact, &label}) {
    for (const std::string& each : *list) text.append(each).append("\n");
    text += "\n";
  }
  return text;
}

}  // namespace consort::logsaver
