// The judgement of s3_client.hpp, and where a bucket is.
#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/options.hpp"
#include "net/s3_client.hpp"

namespace consort::s3 {
namespace {

struct CodeMeaning {
  std::string_view code;
  Verdict verdict;
};
/// Where the code says more than the status. Source: "Error responses", Amazon S3 API Reference;
/// QuotaExceeded is Ceph's.
constexpr CodeMeaning kMeanings[] = {
    {"AuthorizationHeaderMalformed", Verdict::hold_bucket},  // of another region
    {"BadDigest", Verdict::retry},
    {"ConditionalRequestConflict", Verdict::retry},
    {"EntityTooLarge", Verdict::too_large},
    {"ExpiredToken", Verdict::hold_credentials},
    {"IllegalLocationConstraintException", Verdict::hold_bucket},
    {"InternalError", Verdict::retry},
    {"InvalidAccessKeyId", Verdict::hold_credentials},
    {"InvalidBucketName", Verdict::hold_bucket},
    {"InvalidPart", Verdict::retry},  // a part is gone: the whole upload once more
    {"InvalidToken", Verdict::hold_credentials},
    {"MaxMessageLengthExceeded", Verdict::too_large},
    {"NoSuchBucket", Verdict::hold_bucket},
    {"NoSuchKey", Verdict::absent},
    {"NoSuchUpload", Verdict::absent},
    {"NotImplemented", Verdict::unsupported},
    {"OperationAborted", Verdict::retry},
    {"PreconditionFailed", Verdict::exists},
    {"QuotaExceeded", Verdict::hold_bucket},
    {"RequestTimeout", Verdict::retry},
    {"ServiceUnavailable", Verdict::retry},
    {"SlowDown", Verdict::retry},
    {"TokenRefreshRequired", Verdict::hold_credentials},
    {"XAmzContentSHA256Mismatch", Verdict::retry},
};

Verdict judge_status(int status) {
  switch (status) {
    case 301:
    case 302:
    case 307:
    case 308:
      return Verdict::hold_bucket;
    case 401:
    case 403:
      return Verdict::hold_credentials;
    case 404:
      return Verdict::absent;
    case 412:
      return Verdict::exists;
    case 413:
      return Verdict::too_large;
    case 501:
      return Verdict::unsupported;
    case 408:
    case 409:
    case 425:
    case 429:
      return Verdict::retry;
    default:
      return status >= 500 ? Verdict::retry : Verdict::hold_request;
  }
}

bool is_bucket(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

std::string aws_endpoint(std::string_view region) {
  std::string out = "https://s3.";
  out.append(region).append(".amazonaws.com");
  if (region.starts_with("cn-")) out += ".cn";
  return out;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::delivered:
      return "delivered";
    case Verdict::exists:
      return "exists";
    case Verdict::absent:
      return "absent";
    case Verdict::retry:
      return "retry";
    case Verdict::hold_credentials:
      return "credentials";
    case Verdict::hold_bucket:
      return "bucket";
    case Verdict::hold_request:
      return "request";
    case Verdict::too_large:
      return "too large";
    case Verdict::unsupported:
      return "unsupported";
    case Verdict::conflict:
      return "conflict";
  }
  return "unknown";
}

Verdict judge(int status, std::string_view code) {
  if (status >= 200 && status < 300 && code.empty()) return Verdict::delivered;
  for (const CodeMeaning& each : kMeanings) {
    if (each.code == code) return each.verdict;
  }
  // An error that the server noticed after it had begun to answer with 200.
  if (status >= 200 && status < 300) return Verdict::retry;
  return judge_status(status);
}

Result<Place> find_place(std::string_view endpoint, std::string_view bucket,
                         std::string_view region, Style style) {
  if (!is_bucket(bucket)) return fail(Errc::invalid, in_quotes(bucket) + " is not a bucket's name");
  if (!is_bucket(region)) return fail(Errc::invalid, in_quotes(region) + " is not a region's name");
  const bool is_own = !endpoint.empty();
  Result<http::Url> url = http::Url::parse(is_own ? std::string(endpoint) : aws_endpoint(region));
  if (!url) return fail(std::move(url.error()).in("the S3 endpoint"));
  // A wildcard certificate covers one label only.
  const bool has_dot = bucket.find('.') != bucket.npos;
  bool path_style = style == Style::path || (style == Style::automatic && (is_own || has_dot));
  if (!path_style &&
      (url->scheme == http::Url::Scheme::unix_socket || is_ip_literal(url->address.host))) {
    if (style == Style::virtual_host) {
      return fail(Errc::invalid,
                  "the S3 endpoint " + url->to_string() +
                      " has no name that a bucket could stand before: use path style");
    }
    path_style = true;
  }
  Place place{.url = std::move(*url), .path_style = path_style};
  if (!path_style) {
    place.url.address.host.insert(0, std::string(bucket) + ".");
    place.url.host_header.insert(0, std::string(bucket) + ".");
  }
  return place;
}

}  // namespace consort::s3
