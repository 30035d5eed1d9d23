#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "roles/logsaver/sinks/path_template.hpp"
#include "roles/logsaver/sinks/sink_url.hpp"

namespace consort::logsaver {
namespace {

SinkUrl url_of(std::string_view text) {
  Result<SinkUrl> url = SinkUrl::parse(text);
  if (!url) FAIL(std::string(text), ": ", url.error().text());
  return std::move(*url);
}

std::string error_of(std::string_view text) {
  const Result<SinkUrl> url = SinkUrl::parse(text);
  return url ? "it is fine" : url.error().text();
}

TEST_CASE("each kind of sink has its defaults") {
  struct Row {
    std::string url;
    SinkKind kind;
    Coding coding;
    std::uint64_t batch_bytes;
    int batch_ms;
    std::uint32_t in_flight;
    BodyForm form;
  };
  constexpr std::uint64_t kMiB = 1024 * 1024;
  using enum SinkKind;
  for (const Row& row :
       std::vector<Row>{{"file:///a/b", file, Coding::none, kMiB, 200, 1, BodyForm::raw},
                        {"stdout:", standard_output, Coding::none, kMiB, 200, 1, BodyForm::raw},
                        {"null:", null, Coding::none, kMiB, 1000, 4, BodyForm::raw},
                        {"http://h:1/x", http, Coding::gzip, kMiB, 1000, 4, BodyForm::ndjson},
                        {"https://h/x", http, Coding::gzip, kMiB, 1000, 4, BodyForm::ndjson},
                        {"loki+http://h:3100", loki, Coding::gzip, kMiB, 1000, 4, BodyForm::ndjson},
                        {"es+https://h/i", es, Coding::gzip, kMiB, 1000, 4, BodyForm::ndjson},
                        {"otlp+http://h:4318", otlp, Coding::gzip, kMiB, 1000, 4, BodyForm::ndjson},
                        {"syslog+tcp://h", syslog, Coding::none, 2 * kMiB, 200, 1, BodyForm::raw},
                        {"s3://b/p", s3, Coding::zstd, 16 * kMiB, 60'000, 2, BodyForm::ndjson}}) {
    CAPTURE(row.url);
    const SinkUrl url = url_of(row.url);
    CHECK(url.kind() == row.kind);
    CHECK(url.name() == row.url);
    CHECK(url.traits().coding == row.coding);
    CHECK(url.traits().batch_bytes.bytes == row.batch_bytes);
    CHECK(url.traits().batch_time == Millis(row.batch_ms));
    CHECK(url.traits().in_flight_max == row.in_flight);
    CHECK((url.form() == row.form));
    CHECK(url.traits().one_file_each == (row.kind == s3));
  }
}

TEST_CASE("parameters are the sink's settings") {
  const SinkUrl url = url_of(
      "loki+https://h/prefix?batch_bytes=64KiB&batch_time=5s&compress=none&in_flight=9&timeout=3s"
      "&header=X-A:b&header=X-C:%20d%26e&token_file=/run/t&label=a=b=c&label=d=&tenant=t%31"
      "&late=dlq");
  CHECK(url.is_tls());
  CHECK(url.url().to_string() == "https://h/prefix");
  CHECK(url.traits().batch_bytes.bytes == 65536);
  CHECK(url.traits().batch_time == Millis(5000));
  CHECK(url.traits().coding == Coding::none);
  CHECK(url.traits().in_flight_max == 9);
  CHECK(url.timeout() == Millis(3000));
  CHECK(url.headers() == http1::Headers{{"X-A", "b"}, {"X-C", "d&e"}});
  CHECK(url.labels() == std::vector<std::pair<std::string, std::string>>{{"a", "b=c"}, {"d", ""}});
  CHECK(url.settings().late == LokiLate::dlq);
  CHECK(url.name() == "loki+https://h/prefix?tenant=t1");
}

TEST_CASE("files, addresses and buckets") {
  CHECK(url_of("file:///var/log/%Y/{file}?sync=off").path() == "/var/log/%Y/{file}");
  CHECK_FALSE(url_of("file:///a?sync=off").settings().sync);
  CHECK(url_of("file:/a/b").path() == "/a/b");
  CHECK(url_of("file:a/b").path() == "a/b");
  CHECK(url_of("syslog+tcp://h").address().to_string() == "h:514");
  CHECK(url_of("syslog+tls://h/").address().to_string() == "h:6514");
  CHECK(url_of("syslog+tls://[::1]").address().to_string() == "[::1]:6514");
  CHECK(url_of("syslog+tcp://10.0.0.1:99?confirm=close").address().port == 99);
  const SinkUrl s3 = url_of("s3://bucket/a/b/?endpoint=http://h:1&path_style=on&region=r");
  CHECK(s3.bucket() == "bucket");
  CHECK(s3.path() == "a/b");
  CHECK(s3.settings().path_style);
  CHECK(s3.name() == "s3://bucket/a/b/?endpoint=http://h:1");
}

TEST_CASE("keys for S3 are in files, an id and its secret, and never in the URL") {
  const SinkUrl url =
      url_of("s3://b?access_key_file=/run/id&secret_key_file=/run/key&session_token_file=/run/t");
  CHECK(url.settings().access_key_file == "/run/id");
  CHECK(url.settings().secret_key_file == "/run/key");
  CHECK(url.settings().session_token_file == "/run/t");
  for (const char* half : {"access_key_file=/run/id", "secret_key_file=/run/key"}) {
    CHECK(error_of(std::string("s3://b?") + half) ==
          "s3://b: access_key_file and secret_key_file belong together");
  }
  CHECK(error_of("s3://b?session_token_file=/run/t") ==
        "s3://b: session_token_file goes with access_key_file and secret_key_file");
  for (const char* name : {"access_key", "secret_key", "secret_access_key", "session_token"}) {
    const std::string error = error_of(std::string("s3://b?") + name + "=hush");
    CHECK(error.find("use access_key_file=FILE and secret_key_file=FILE") != error.npos);
    CHECK(error.find("hush") == error.npos);
  }
  const std::string error = error_of("s3://b?endpoint=http://me:hush@store:9000");
  CHECK(error.starts_with("s3://b: endpoint: a URL is no place for credentials"));
  CHECK(error.find("hush") == error.npos);
}

TEST_CASE("what is wrong is named, with the nearest that would be right") {
  CHECK(error_of("htp://h") == "\"htp\" is no kind of sink (did you mean \"http\"?)");
  CHECK(error_of("nonsense").starts_with("\"nonsense\" is no kind of sink (there are file, "));
  CHECK(error_of("http://h/x?batchbytes=1MiB") ==
        "http://h/x: \"batchbytes\" is no parameter of http (did you mean \"batch_bytes\"?)");
  CHECK(error_of("http://h/x?app_name=y").find("is no parameter of http") != std::string::npos);
  CHECK(error_of("file:///a?in_flight=4").find("is no parameter of file") != std::string::npos);
  CHECK(error_of("http://h/x?batch_bytes=1") ==
        "http://h/x: batch_bytes: 1 is not between 1KiB and 256MiB");
  CHECK(error_of("http://h/x?batch_time=5").find("batch_time: ") != std::string::npos);
  CHECK(error_of("http://h/x?in_flight=65").find("between 1 and 64") != std::string::npos);
  CHECK(error_of("http://h/x?timeout") ==
        "http://h/x: \"timeout\" has no value (try timeout=VALUE)");
  CHECK(error_of("http://h/x?tenant=%zz").find("it is fine") == std::string::npos);
  CHECK(error_of("http://h/x?timeout=1s&timeout=2s").find("stands twice") != std::string::npos);
  CHECK(error_of("loki+http://h?compress=zstd").find("gzip or none") != std::string::npos);
  CHECK(error_of("loki+http://h?label=x").find("NAME=VALUE") != std::string::npos);
  CHECK(error_of("es+http://h").find("the index is missing") != std::string::npos);
  CHECK(error_of("s3:///x").find("the bucket is missing") != std::string::npos);
  CHECK(error_of("syslog+tcp://").find("a host is missing") != std::string::npos);
  CHECK(error_of("stdout:/x").find("says more than there is to say") != std::string::npos);
  CHECK(error_of("file://host/x").find("a file's URL has a path") != std::string::npos);
  CHECK(error_of("file:///x/{pod}").find("{host}, {file}") != std::string::npos);
  CHECK(error_of("file:///x/%q").find("\"%q\" is no place") != std::string::npos);
  CHECK(error_of("http://h/x?header=Host:%20b").find("a header of our own") != std::string::npos);
  CHECK(error_of("http://h/x?header=a%0d%0ab:c").find("control characters") != std::string::npos);
  CHECK(error_of("http://h/x?user=u").find("belong together") != std::string::npos);
  CHECK(error_of("http://h/x?user=u&password_file=/p&token_file=/t").find("exclude") !=
        std::string::npos);
  CHECK(error_of("http://" + std::string(9000, 'h')).find("too long") != std::string::npos);
}

TEST_CASE("secrets do not stand in URLs, and messages do not repeat them") {
  for (const std::string url :
       {"http://bob:hunter2@h/x", "es+https://hunter2@h/i", "http://h/x?password=hunter2",
        "http://h/x?token=hunter2", "http://h/x?secret=hunter2",
        "http://h/x?header=Authorization:%20Bearer%20hunter2", "s3://key:hunter2@b/p",
        "syslog+tls://u:hunter2@h:1"}) {
    CAPTURE(url);
    const std::string error = error_of(url);
    CHECK(error.find("hunter2") == error.npos);
    CHECK(error.find("_file=FILE") != error.npos);
  }
}

TEST_CASE("defaults for all sinks reach those that have the parameter and say nothing") {
  SinkUrl http = url_of("http://h/x?batch_time=3s");
  CHECK(http.set_default("batch_time", "9s"));
  CHECK(http.set_default("compress", "zstd"));
  CHECK(http.set_default("sync", "off"));  // not a parameter of http
  CHECK(http.traits().batch_time == Millis(3000));
  CHECK(http.traits().coding == Coding::zstd);
  SinkUrl loki = url_of("loki+http://h");
  CHECK_FALSE(loki.set_default("compress", "zstd"));
  CHECK_FALSE(http.set_default("nonsense", "1"));
  CHECK_FALSE(http.set_default("in_flight", "none"));
}

TEST_CASE("what shapes a body is told apart, and nothing else is") {
  const auto settings = [](std::string_view url) { return url_of(url).body_settings(); };
  CHECK(settings("http://h/x") == settings("http://h/x?timeout=1s&token_file=/t"));
  CHECK(settings("http://h/x") != settings("http://h/x?encode=raw"));
  CHECK(settings("http://h/x") != settings("http://h/x?compress=zstd"));
  CHECK(settings("loki+http://h") != settings("loki+http://h?label=a=b"));
  CHECK(settings("syslog+tcp://h") != settings("syslog+tcp://h?app_name=b"));
}

TEST_CASE("paths are made from host, file and time") {
  const auto path = [](std::string_view text, std::string_view file = "/var/log/app.log") {
    return PathTemplate::parse(text)->path(
        {.host = "web/1", .file = file, .created_ms = 1'714'565'045'123});
  };
  CHECK(path("/l/%Y-%m-%d/%H%M%S/{host}-{file}.gz") ==
        "/l/2024-05-01/120405/web_1-var_log_app.log.gz");
  CHECK(path("100%%") == "100%");
  CHECK(path("/l/{file}", "..") == "/l/_..");
  CHECK(path("/l/{file}", "/") == "/l/_");
  const std::string deep = "/" + std::string(300, 'd');
  const std::string name = path("/l/{file}", deep);
  CHECK(name.size() == 3 + 255);
  CHECK(name != path("/l/{file}", deep + "e"));
  CHECK(PathTemplate::parse("/a/{host}")->is_fixed());
  CHECK_FALSE(PathTemplate::parse("/a/{file}")->is_fixed());
  CHECK_FALSE(PathTemplate::parse("/a/%H")->is_fixed());
  CHECK(PathTemplate::parse("/a/b/x%H/c")->fixed_directory() == "/a/b");
  CHECK(PathTemplate::parse("/%H")->fixed_directory() == "/");
  CHECK(PathTemplate::parse("x%H")->fixed_directory().empty());
}

}  // namespace
}  // namespace consort::logsaver
