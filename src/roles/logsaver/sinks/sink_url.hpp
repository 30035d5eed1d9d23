// Where to save, as one text: a URL whose parameters are the sink's settings.
//
//   file:///logs/%Y-%m-%d/{file}            stdout:              null:
//   http://host:8080/ingest                 https://host/in?token_file=/run/secrets/token
//   loki+http://loki:3100?label=team=shop   es+https://es:9200/logs-app?user=u&password_file=/p
//   otlp+http://collector:4318              syslog+tls://logs:6514?app_name=shop
//   s3://bucket/prefix?endpoint=http://rgw:7480&path_style=on
//
// Names and values of parameters are percent-decoded ('+' is a plus); a file's path is taken as it
// is written, up to the '?'. Which parameters there are: sink_parameters(). Secrets do not stand in
// URLs, where `ps` shows them: they are in files.
//
//            body     coding  batch            in flight
//   file     raw      none    1 MiB, 200 ms    1           in order
//   stdout   raw      none    1 MiB, 200 ms    1
//   null     raw      none    1 MiB, 1 s       4
//   http     ndjson   gzip    1 MiB, 1 s       4
//   loki es otlp      gzip    1 MiB, 1 s       4
//   syslog            none    1 MiB, 200 ms    1
//   s3       ndjson   zstd    16 MiB, 60 s     2           one file each
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.hpp"
#include "base/error.hpp"
#include "base/options.hpp"
#include "net/url.hpp"
#include "roles/logsaver/sinks/http_sinks.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/syslog_sink.hpp"

namespace consort::logsaver {

enum class SinkKind : std::uint8_t {
  file,
  standard_output,
  null,
  http,
  loki,
  es,
  otlp,
  syslog,
  s3
};

enum class CompressChoice : std::uint8_t { automatic, none, gzip, zstd };
enum class EncodeChoice : std::uint8_t { automatic, raw, ndjson };
enum class HttpMethod : std::uint8_t { post, put };

/// What the parameters say. 0 and `automatic` stand for the kind's own.
struct SinkSettings {
  ByteSize batch_bytes{0};
  Millis batch_time{0};
  CompressChoice compress = CompressChoice::automatic;
  EncodeChoice encode = EncodeChoice::automatic;
  std::uint32_t in_flight = 0;
  Millis timeout{0};
  bool sync = true;
  bool manifest = false;  ///< where nothing is said, s3 has it and file has not
  HttpMethod method = HttpMethod::post;
  std::string query;
  std::vector<std::string> header;
  std::string token_file;
  std::string user;
  std::string password_file;
  std::vector<std::string> label;
  std::string tenant;
  LokiLate late = LokiLate::now;
  std::string index;
  std::string app_name;
  SyslogConfirm confirm = SyslogConfirm::written;
  std::string endpoint;
  std::string region;
  bool path_style = false;
  std::string key;
  std::string profile;
  std::string access_key_file;
  std::string secret_key_file;
  std::string session_token_file;
};

/// A parameter, and the kinds that have it (bits, by SinkKind).
struct SinkParameter {
  Option option;
  std::uint32_t kinds = 0;
};
std::span<const SinkParameter> sink_parameters();

class SinkUrl {
 public:
  /// Errc::invalid: what is wrong, where, and the nearest that would be right. Secrets that stand
  /// in the URL are not repeated.
  static Result<SinkUrl> parse(std::string_view text);

  /// As if the URL had said so, unless it has a say of its own or its kind has no such parameter:
  /// for flags that are meant for all sinks.
  Result<> set_default(std::string_view parameter, std::string_view text);

  SinkKind kind() const { return kind_; }
  const SinkSettings& settings() const { return settings_; }
  /// The URL without parameters but those that make it another destination (tenant, index,
  /// endpoint): what the sink is called in the journal, in logs and in metrics.
  std::string name() const;
  /// With the kind's own where nothing was said; `one_file_each` of a file sink is make_sink's.
  SinkTraits traits() const;
  BodyForm form() const;
  Millis timeout() const;
  /// --label-like parameters, split.
  std::vector<std::pair<std::string, std::string>> labels() const;
  http1::Headers headers() const;
  /// All that shapes a body but the records: equal texts, equal bytes.
  std::string body_settings() const;

  const std::string& path() const { return path_; }      ///< file; s3: the prefix
  const std::string& bucket() const { return bucket_; }  ///< s3
  const http::Url& url() const { return url_; }          ///< http, loki, es, otlp
  const Address& address() const { return address_; }    ///< syslog
  bool is_tls() const { return is_tls_; }                ///< https, syslog+tls

 private:
  Result<> parse_target(std::string_view rest);
  Result<> parse_file(std::string_view rest);
  Result<> parse_s3(std::string_view rest);
  Result<> parse_syslog(std::string_view rest);
  Result<> parse_parameters(std::string_view query);
  Result<> set(std::string_view name, std::string_view text);
  Result<> check() const;

  SinkKind kind_ = SinkKind::null;
  std::string scheme_;
  std::string base_;  ///< all before the '?'
  bool is_tls_ = false;
  std::string path_;
  std::string bucket_;
  http::Url url_;
  Address address_;
  SinkSettings settings_;
  std::set<std::string, std::less<>> given_;
};

}  // namespace consort::logsaver

namespace consort {
template <>
struct Choices<logsaver::CompressChoice> {
  static constexpr std::string_view names[] = {"auto", "none", "gzip", "zstd"};
};
template <>
struct Choices<logsaver::EncodeChoice> {
  static constexpr std::string_view names[] = {"auto", "raw", "ndjson"};
};
template <>
struct Choices<logsaver::HttpMethod> {
  static constexpr std::string_view names[] = {"post", "put"};
};
}  // namespace consort
