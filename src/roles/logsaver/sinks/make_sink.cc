#include "roles/logsaver/sinks/make_sink.hpp"

#include <string>
#include <utility>

#include "roles/logsaver/sinks/file_sink.hpp"
#include "roles/logsaver/sinks/http_sinks.hpp"
#include "roles/logsaver/sinks/otlp_encoding.hpp"
#include "roles/logsaver/sinks/s3_key.hpp"
#include "roles/logsaver/sinks/s3_sink.hpp"
#include "roles/logsaver/sinks/stream_sinks.hpp"
#include "roles/logsaver/sinks/syslog_sink.hpp"

namespace consort::logsaver {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kNdjson = "application/x-ndjson";
/// Of a _bulk answer, only what is read.
constexpr std::string_view kBulkQuery = "?filter_path=errors,items.*.status,items.*.error";

Result<io::TlsClient*> tls_for(const SinkUrl& url, const SinkWorld& world) {
  if (!url.is_tls()) return nullptr;
  Result<io::TlsClient*> tls = world.tls();
  if (!tls) return fail(std::move(tls.error()).in(url.name()));
  return tls;
}

Result<std::unique_ptr<Sink>> make_file(const SinkUrl& url, const SinkWorld& world) {
  std::string path = url.path();
  const Result<io::FileStat> stat = world.disk.stat(path);
  const bool is_directory = stat && stat->kind == io::FileKind::directory;
  if (is_directory && !path.ends_with('/')) path += '/';
  if (path.ends_with('/')) path += "{file}";
  Result<PathTemplate> made = PathTemplate::parse(path);
  if (!made) return fail(std::move(made.error()).in(url.name()));
  FileSink::Settings settings{.name = url.name(),
                              .traits = url.traits(),
                              .path = std::move(*made),
                              .form = url.form(),
                              .sync = url.settings().sync,
                              .timeout = url.timeout()};
  settings.traits.one_file_each = settings.path.has_file();
  return std::make_unique<FileSink>(world, std::move(settings));
}

StreamSettings stream_settings(const SinkUrl& url) {
  return {.name = url.name(), .traits = url.traits(), .form = url.form(), .timeout = url.timeout()};
}

HttpDelivery::Settings http_settings(const SinkUrl& url) {
  HttpDelivery::Settings settings;
  settings.name = url.name();
  settings.traits = url.traits();
  HttpTarget& target = settings.target;
  target.url = url.url();
  target.headers = url.headers();
  target.timeout = url.timeout();
  target.auth = {.token_file = url.settings().token_file,
                 .user = url.settings().user,
                 .password_file = url.settings().password_file};
  return settings;
}

std::unique_ptr<Sink> make_http(const SinkUrl& url, const SinkWorld& world, io::TlsClient* tls) {
  HttpDelivery::Settings settings = http_settings(url);
  settings.shape = std::make_unique<LineShape>();
  settings.target.method = url.settings().method == HttpMethod::put ? "PUT" : "POST";
  if (!url.settings().query.empty()) settings.target.target = "?" + url.settings().query;
  settings.target.content_type = url.form() == BodyForm::raw ? "text/plain" : kNdjson;
  settings.target.has_idempotency_key = true;
  return std::make_unique<HttpSink>(world, std::move(settings), tls, url.form());
}

std::unique_ptr<Sink> make_loki(const SinkUrl& url, const SinkWorld& world, io::TlsClient* tls) {
  HttpDelivery::Settings settings = http_settings(url);
  settings.shape = std::make_unique<LokiShape>();
  // Whoever writes the whole path means it.
  if (!url.url().path_prefix.ends_with("/push")) settings.target.target = "/loki/api/v1/push";
  settings.target.content_type = kJson;
  const std::string& tenant = url.settings().tenant;
  if (!tenant.empty()) settings.target.headers.emplace_back("X-Scope-OrgID", tenant);
  LokiSink::Rules rules{.labels = url.labels(), .late = url.settings().late};
  return std::make_unique<LokiSink>(world, std::move(settings), tls, std::move(rules));
}

std::unique_ptr<Sink> make_es(const SinkUrl& url, const SinkWorld& world, io::TlsClient* tls) {
  HttpDelivery::Settings settings = http_settings(url);
  settings.shape = std::make_unique<LineShape>(2);
  const std::string& index = url.settings().index;
  if (!index.empty()) settings.target.target = "/" + index;
  settings.target.target.append("/_bulk").append(kBulkQuery);
  settings.target.content_type = kNdjson;
  return std::make_unique<EsSink>(world, std::move(settings), tls);
}

std::unique_ptr<Sink> make_otlp(const SinkUrl& url, const SinkWorld& world, io::TlsClient* tls) {
  HttpDelivery::Settings settings = http_settings(url);
  settings.shape = std::make_unique<OtlpShape>();
  if (!url.url().path_prefix.ends_with("/v1/logs")) settings.target.target = "/v1/logs";
  settings.target.content_type = kJson;
  settings.target.judge = judge_otlp_status;
  return std::make_unique<OtlpSink>(world, std::move(settings), tls, url.labels());
}

std::unique_ptr<Sink> make_syslog(const SinkUrl& url, const SinkWorld& world, io::TlsClient* tls) {
  SyslogSink::Settings settings{.name = url.name(),
                                .traits = url.traits(),
                                .address = url.address(),
                                .tls = tls,
                                .app_name = url.settings().app_name,
                                .confirm = url.settings().confirm,
                                .timeout = url.timeout()};
  return std::make_unique<SyslogSink>(world, std::move(settings));
}

Result<std::unique_ptr<Sink>> make_s3(const SinkUrl& url, const SinkWorld& world) {
  const SinkSettings& set = url.settings();
  Result<S3KeyTemplate> key =
      S3KeyTemplate::parse(set.key.empty() ? S3KeyTemplate::kDefault : std::string_view(set.key));
  if (!key) return fail(std::move(key.error()).in(url.name() + ": key"));
  S3Sink::Settings settings;
  settings.name = url.name();
  settings.traits = url.traits();
  settings.form = url.form();
  settings.timeout = url.timeout();
  settings.place = s3_place(url);
  settings.prefix = url.path();
  settings.key = std::move(*key);
  return S3Sink::create(world, std::move(settings));
}

}  // namespace

Result<std::unique_ptr<Sink>> make_sink(const SinkUrl& url, const SinkWorld& world) {
  Result<io::TlsClient*> tls = tls_for(url, world);
  if (!tls) return fail(std::move(tls.error()));
  switch (url.kind()) {
    case SinkKind::file:
      return make_file(url, world);
    case SinkKind::standard_output:
      return std::make_unique<StdoutSink>(world, stream_settings(url));
    case SinkKind::null:
      return std::make_unique<NullSink>(world, stream_settings(url));
    case SinkKind::http:
      return make_http(url, world, *tls);
    case SinkKind::loki:
      return make_loki(url, world, *tls);
    case SinkKind::es:
      return make_es(url, world, *tls);
    case SinkKind::otlp:
      return make_otlp(url, world, *tls);
    case SinkKind::syslog:
      return make_syslog(url, world, *tls);
    case SinkKind::s3:
      return make_s3(url, world);
  }
  return fail(Errc::unavailable, url.name() + ": this kind of sink is not in this program");
}

}  // namespace consort::logsaver
