#include "roles/logsaver/sinks/sink_url.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "net/s3_client.hpp"
#include "roles/logsaver/manifest.hpp"
#include "roles/logsaver/sinks/path_template.hpp"
#include "roles/logsaver/sinks/s3_key.hpp"
#include "wire/http1_text.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kUrlBytesMax = 8000;

struct Scheme {
  std::string_view name;
  SinkKind kind;
  std::string_view below{};  ///< the scheme of the URL that is left
};
constexpr Scheme kSchemes[] = {
    {"file", SinkKind::file},
    {"stdout", SinkKind::standard_output},
    {"null", SinkKind::null},
    {"http", SinkKind::http, "http"},
    {"https", SinkKind::http, "https"},
    {"s3", SinkKind::s3},
    {"loki+http", SinkKind::loki, "http"},
    {"loki+https", SinkKind::loki, "https"},
    {"es+http", SinkKind::es, "http"},
    {"es+https", SinkKind::es, "https"},
    {"otlp+http", SinkKind::otlp, "http"},
    {"otlp+https", SinkKind::otlp, "https"},
    {"syslog+tcp", SinkKind::syslog},
    {"syslog+tls", SinkKind::syslog},
};

struct Defaults {
  SinkTraits traits;
  BodyForm form = BodyForm::raw;
};

Defaults defaults_of(SinkKind kind) {
  Defaults made;
  switch (kind) {
    case SinkKind::syslog:
      // Of each batch the confirmation is waited for, and kernels delay it by up to 40 ms.
      made.traits.batch_bytes = {2UL * 1024 * 1024};
      [[fallthrough]];
    case SinkKind::file:
    case SinkKind::standard_output:
      made.traits.batch_time = Millis(200);
      made.traits.in_flight_max = 1;
      break;
    case SinkKind::null:
      break;
    case SinkKind::s3:
      made.traits.batch_bytes = {16UL * 1024 * 1024};
      made.traits.batch_time = Millis(60'000);
      made.traits.coding = Coding::zstd;
      made.traits.in_flight_max = 2;
      made.traits.one_file_each = true;
      made.form = BodyForm::ndjson;
      break;
    default:
      made.traits.coding = Coding::gzip;
      made.form = BodyForm::ndjson;
  }
  return made;
}

tl::unexpected<Error> wrong(std::string_view what, std::string_view reason) {
  return fail(Errc::invalid, in_quotes(what).append(" ").append(reason));
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> names) {
  const std::string_view near = nearest(word, names);
  if (!near.empty()) return " (did you mean \"" + std::string(near) + "\"?)";
  std::string all = " (there are ";
  for (std::size_t i = 0; i < names.size(); ++i) all.append(i > 0 ? ", " : "").append(names[i]);
  return all + ")";
}

/// What is most likely meant by what is no URL of ours.
std::string hint_for(std::string_view text, std::string_view scheme) {
  std::vector<std::string_view> names;
  for (const Scheme& each : kSchemes) {
    // loki for loki+http
    if (each.name.starts_with(scheme) && each.name.substr(scheme.size()).starts_with('+')) {
      return " (did you mean \"" + std::string(each.name) + "\"?)";
    }
    names.push_back(each.name);
  }
  const std::string_view rest = text.substr(std::min(scheme.size() + 1, text.size()));
  if (nearest(scheme, names).empty()) {
    const bool is_path = scheme.size() == text.size() && text.find_first_of("/.") != text.npos;
    if (is_path || text.starts_with('/')) return " (for a file write file:///PATH)";
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
      return " (for a server write its kind first, as in http://" + std::string(text) + ")";
    }
  }
  return did_you_mean(scheme, names);
}

/// Where a person's password may stand: between "//" and '@'.
bool has_user_information(std::string_view rest) {
  if (!rest.starts_with("//")) return false;
  const std::string_view authority = rest.substr(2, rest.find_first_of("/?#", 2) - 2);
  return authority.find('@') != authority.npos;
}

bool looks_secret(std::string_view name) {
  for (const std::string_view each :
       {"password", "passwd", "token", "secret", "api_key", "access_key", "secret_key",
        "secret_access_key", "session_token"}) {
    if (http1::equals_ignoring_case(name, each)) return true;
  }
  return false;
}

Result<> check_header(std::string_view header) {
  const std::size_t colon = header.find(':');
  if (colon == header.npos || colon == 0)
    return wrong(header, "is no header (try header=NAME:VALUE)");
  const std::string_view name = header.substr(0, colon);
  for (const std::string_view secret : {"authorization", "proxy-authorization", "cookie"}) {
    if (!http1::equals_ignoring_case(name, secret)) continue;
    return fail(Errc::invalid, std::string(name) +
                                   " is a secret, and `ps` shows URLs: use token_file=FILE, or "
                                   "user=NAME and password_file=FILE");
  }
  for (const std::string_view ours : {"host", "content-length", "transfer-encoding", "connection",
                                      "content-type", "content-encoding", "idempotency-key"}) {
    if (http1::equals_ignoring_case(name, ours)) return wrong(name, "is a header of our own");
  }
  const auto is_bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(header.begin(), header.end(), is_bad) ||
      name.find_first_of(" \t\"(),/;<=>?@[\\]{}") != name.npos) {
    return wrong(header,
                 "is no header: no control characters, and a name of letters, digits and '-'");
  }
  return {};
}

}  // namespace

Result<SinkUrl> SinkUrl::parse(std::string_view text) {
  if (text.size() > kUrlBytesMax) return wrong(text.substr(0, 60), "is too long for a sink's URL");
  const std::size_t colon = text.find(':');
  const std::string_view scheme = text.substr(0, std::min(colon, text.size()));
  const auto* const found =
      std::find_if(std::begin(kSchemes), std::end(kSchemes),
                   [&](const Scheme& each) { return each.name == scheme && colon != text.npos; });
  if (found == std::end(kSchemes)) {
    return wrong(scheme, "is no kind of sink" + hint_for(text, scheme));
  }
  const std::string_view rest = text.substr(colon + 1);
  if (has_user_information(rest)) {
    return fail(Errc::invalid, std::string(scheme) +
                                   "://...@...: a URL is no place for credentials, `ps` shows it: "
                                   "use ?user=NAME&password_file=FILE or ?token_file=FILE");
  }
  const std::size_t question = std::min(text.find('?'), text.size());
  SinkUrl made;
  made.kind_ = found->kind;
  made.scheme_ = scheme;
  made.base_ = text.substr(0, question);
  made.is_tls_ = found->below == "https" || scheme == "syslog+tls";
  const std::string_view target = rest.substr(0, question - colon - 1);
  Result<> done = found->below.empty() ? made.parse_target(target) : Result<>();
  if (!found->below.empty()) {
    Result<http::Url> url = http::Url::parse(std::string(found->below).append(":").append(target));
    if (!url) return fail(std::move(url.error()));
    made.url_ = std::move(*url);
  }
  if (done && question < text.size()) done = made.parse_parameters(text.substr(question + 1));
  if (done) done = made.check();
  if (!done) return fail(std::move(done.error()).in(made.base_));
  return made;
}

Result<> SinkUrl::parse_target(std::string_view rest) {
  if (kind_ == SinkKind::file) return parse_file(rest);
  if (kind_ == SinkKind::s3) return parse_s3(rest);
  if (kind_ == SinkKind::syslog) return parse_syslog(rest);
  if (rest.empty() || rest == "//") return {};
  return wrong(rest, "says more than there is to say: it is \"" + scheme_ + ":\"");
}

Result<> SinkUrl::parse_file(std::string_view rest) {
  if (rest.starts_with("//")) rest.remove_prefix(2);
  if (rest.starts_with("localhost/")) rest.remove_prefix(9);
  if (rest.empty() || (!rest.starts_with('/') && base_.find("//") != base_.npos)) {
    return fail(Errc::invalid, "a file's URL has a path (try file:///var/log/saved.log)");
  }
  path_ = rest;
  Result<PathTemplate> path = PathTemplate::parse(path_);
  if (!path) return fail(std::move(path.error()));
  return {};
}

Result<> SinkUrl::parse_s3(std::string_view rest) {
  if (rest.starts_with("//")) rest.remove_prefix(2);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  bucket_ = rest.substr(0, slash);
  path_ = rest.substr(std::min(slash + 1, rest.size()));
  while (path_.ends_with('/')) path_.pop_back();
  if (bucket_.empty()) return fail(Errc::invalid, "the bucket is missing (try s3://bucket/prefix)");
  return {};
}

Result<> SinkUrl::parse_syslog(std::string_view rest) {
  if (rest.starts_with("//")) rest.remove_prefix(2);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string text(rest);
  const std::size_t host_end = rest.starts_with('[') ? rest.find(']') : 0;
  if (rest.empty() || host_end == rest.npos || rest.find('/') != rest.npos) {
    return fail(Errc::invalid, "a host is missing (try " + scheme_ + "://logs.local:514)");
  }
  if (rest.find(':', host_end) == rest.npos) text += is_tls_ ? ":6514" : ":514";
  Result<Address> address = Address::parse(text);
  if (!address) return fail(std::move(address.error()));
  if (address->is_unix() || address->host.empty() || address->port == 0) {
    return wrong(rest, "is no HOST:PORT");
  }
  address_ = std::move(*address);
  return {};
}

Result<> SinkUrl::parse_parameters(std::string_view query) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    Result<std::string> name = http1::percent_decode(pair.substr(0, equals), http1::Plus::keep);
    if (!name) return fail(std::move(name.error()));
    // First, so that no message repeats what stands behind it.
    if (looks_secret(*name)) {
      const bool is_s3 = kind_ == SinkKind::s3;
      return wrong(*name, std::string("would show a secret in `ps`: use ") +
                              (is_s3 ? "access_key_file=FILE and secret_key_file=FILE"
                                     : "token_file=FILE or password_file=FILE"));
    }
    if (equals == pair.size()) return wrong(*name, "has no value (try " + *name + "=VALUE)");
    Result<std::string> value = http1::percent_decode(pair.substr(equals + 1), http1::Plus::keep);
    if (!value) return fail(std::move(value.error()).in(*name));
    if (Result<> done = set(*name, *value); !done) return done;
  }
  return {};
}

Result<> SinkUrl::set(std::string_view name, std::string_view text) {
  std::vector<std::string_view> names;
  for (const SinkParameter& each : sink_parameters()) {
    if ((each.kinds & (1U << static_cast<unsigned>(kind_))) == 0) continue;
    names.push_back(each.option.name);
    if (each.option.name != name) continue;
    if (!given_.emplace(name).second && !each.option.repeats) {
      return wrong(name, "stands twice");
    }
    Result<> done = each.option.set(&settings_, text);
    if (!done) return fail(std::move(done.error()).in(name));
    return {};
  }
  return wrong(name, "is no parameter of " + scheme_ + did_you_mean(name, names));
}

Result<> SinkUrl::set_default(std::string_view parameter, std::string_view text) {
  if (given_.contains(parameter)) return {};
  for (const SinkParameter& each : sink_parameters()) {
    if (each.option.name != parameter) continue;
    if ((each.kinds & (1U << static_cast<unsigned>(kind_))) == 0) return {};
    Result<> done = each.option.set(&settings_, text);
    if (!done) return fail(std::move(done.error()).in(parameter));
    return check();
  }
  return wrong(parameter, "is no parameter of any sink");
}

Result<> SinkUrl::check() const {
  const SinkSettings& set = settings_;
  if (set.user.empty() != set.password_file.empty()) {
    return fail(Errc::invalid, "user and password_file belong together");
  }
  if (!set.token_file.empty() && !set.user.empty()) {
    return fail(Errc::invalid, "token_file and user exclude each other");
  }
  if (set.access_key_file.empty() != set.secret_key_file.empty()) {
    return fail(Errc::invalid, "access_key_file and secret_key_file belong together");
  }
  if (!set.session_token_file.empty() && set.access_key_file.empty()) {
    return fail(Errc::invalid, "session_token_file goes with access_key_file and secret_key_file");
  }
  // The sink's name has the endpoint: before it is shown to anybody.
  if (has_user_information(
          set.endpoint.substr(std::min(set.endpoint.find("//"), set.endpoint.size())))) {
    return fail(Errc::invalid,
                "endpoint: a URL is no place for credentials, `ps` shows it: use "
                "access_key_file=FILE and secret_key_file=FILE");
  }
  for (const std::string& header : set.header) {
    if (Result<> fine = check_header(header); !fine) return fine;
  }
  const bool is_text_only =
      kind_ == SinkKind::loki || kind_ == SinkKind::es || kind_ == SinkKind::otlp;
  if (is_text_only && set.compress == CompressChoice::zstd) {
    return fail(Errc::invalid, "compress: " + scheme_ + " receivers read gzip or none, not zstd");
  }
  if (kind_ == SinkKind::s3 && !set.key.empty()) {
    auto key = S3KeyTemplate::parse(set.key);
    if (!key) return fail(std::move(key.error()).in("key"));
  }
  if (kind_ == SinkKind::s3) {
    const std::string region = set.region.empty() ? "us-east-1" : set.region;
    const auto style = set.path_style ? s3::Style::path : s3::Style::automatic;
    auto place = s3::find_place(set.endpoint, bucket_, region, style);
    if (!place) return fail(std::move(place.error()));
  }
  if (kind_ == SinkKind::es && set.index.empty() && url_.path_prefix.empty()) {
    return fail(Errc::invalid, "the index is missing (try " + base_ + "/logs-app)");
  }
  return {};
}

std::string SinkUrl::name() const {
  std::string made = base_;
  char mark = '?';
  const std::pair<std::string_view, const std::string*> parts[] = {
      {"tenant", &settings_.tenant},
      {"index", &settings_.index},
      {"endpoint", &settings_.endpoint}};
  for (const auto& [key, value] : parts) {
    if (value->empty()) continue;
    made.append(1, mark).append(key).append("=").append(*value);
    mark = '&';
  }
  return made;
}

SinkTraits SinkUrl::traits() const {
  SinkTraits made = defaults_of(kind_).traits;
  if (settings_.batch_bytes.bytes > 0) made.batch_bytes = settings_.batch_bytes;
  if (settings_.batch_time > Millis(0)) made.batch_time = settings_.batch_time;
  if (settings_.in_flight > 0) made.in_flight_max = settings_.in_flight;
  if (settings_.compress == CompressChoice::none) made.coding = Coding::none;
  if (settings_.compress == CompressChoice::gzip) made.coding = Coding::gzip;
  if (settings_.compress == CompressChoice::zstd) made.coding = Coding::zstd;
  made.has_line_each = form() == BodyForm::ndjson;
  const bool has_manifest =
      given_.contains("manifest") ? settings_.manifest : kind_ == SinkKind::s3;
  if (has_manifest) {
    made.manifest_bytes_max =
        kind_ == SinkKind::s3 ? kObjectManifestBytesMax : kFileManifestBytesMax;
  }
  return made;
}

BodyForm SinkUrl::form() const {
  if (settings_.encode == EncodeChoice::raw) return BodyForm::raw;
  if (settings_.encode == EncodeChoice::ndjson) return BodyForm::ndjson;
  return defaults_of(kind_).form;
}

Millis SinkUrl::timeout() const {
  if (settings_.timeout > Millis(0)) return settings_.timeout;
  return Millis(kind_ == SinkKind::file || kind_ == SinkKind::s3 ? 60'000 : 30'000);
}

std::vector<std::pair<std::string, std::string>> SinkUrl::labels() const {
  std::vector<std::pair<std::string, std::string>> made;
  for (const std::string& label : settings_.label) {
    const std::size_t equals = label.find('=');
    made.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
  return made;
}

http1::Headers SinkUrl::headers() const {
  http1::Headers made;
  for (const std::string& header : settings_.header) {
    const std::size_t colon = header.find(':');
    const std::size_t value = std::min(header.find_first_not_of(' ', colon + 1), header.size());
    made.emplace_back(header.substr(0, colon), header.substr(value));
  }
  return made;
}

std::string SinkUrl::body_settings() const {
  const Coding coding = traits().coding;
  std::string made = scheme_;
  made += form() == BodyForm::raw ? " raw " : " ndjson ";
  made += compressor_version(coding);
  for (const std::string& label : settings_.label) made.append(" label ").append(label);
  if (!settings_.app_name.empty()) made.append(" app ").append(settings_.app_name);
  return made;
}

}  // namespace consort::logsaver
