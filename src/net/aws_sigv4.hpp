// Signing requests for AWS and everything that speaks its protocols (Signature Version 4).
//
//   canonical request = method LF path LF query LF *(name ":" value LF) LF names LF payload-hash
//   string to sign    = "AWS4-HMAC-SHA256" LF time LF scope LF hex(sha256(canonical request))
//   scope             = yyyymmdd "/" region "/" service "/aws4_request"
//   key               = hmac(hmac(hmac(hmac("AWS4" secret, date), region), service),
//   "aws4_request") Authorization     = "AWS4-HMAC-SHA256 Credential=" id "/" scope ",
//   SignedHeaders=" names
//                       ", Signature=" hex(hmac(key, string to sign))
//
// Source: "Signature Version 4 signing process" (AWS General Reference) and "Authenticating
// Requests" (Amazon S3 API Reference). Pure: the time is a parameter. What is signed is what is
// sent: path and query come in encoded, by the functions below, and go onto the wire as they are.
// S3 signs a path as it stands; other services sign the one of normalize_path() (and would encode
// one with escapes a second time, which is not done here: theirs are "/").
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/http1.hpp"

namespace consort::aws {

/// Milliseconds since 1970, of keys that never expire.
inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
/// SHA-256 of nothing: the payload hash of a request without body.
inline constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a request is signed with. Never part of an error or a log line, but for `source`.
struct Keys {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  ///< empty for keys of long life
  std::int64_t expires_at_ms = kNever;
  std::string source;  ///< where they came from, for people
};

enum class Slash : std::uint8_t { keep, escape };
/// All but A-Z a-z 0-9 - . _ ~ (RFC 3986, 2.3) as %XX in capitals.
std::string uri_encode(std::string_view text, Slash slash);

using Parameters = std::vector<std::pair<std::string, std::string>>;
/// "a=1&b=": encoded, then sorted by name and value, with "=" also behind a name without value.
std::string encode_query(const Parameters& parameters);

/// Without dot segments and doubled slashes (RFC 3986, 5.2.4): not for S3, where they are names.
std::string normalize_path(std::string_view path);

struct Signable {
  std::string_view method;
  std::string_view path;   ///< encoded
  std::string_view query;  ///< of encode_query()
  /// All of them are signed; Host and X-Amz-Date must be there. Values are trimmed and their inner
  /// runs of blanks become one; several of one name are joined by commas.
  const http1::Headers* headers = nullptr;
  std::string_view payload_hash;  ///< hex(sha256(body)), or UNSIGNED-PAYLOAD
};

/// Where and when a signature counts.
struct Scope {
  std::string_view time;  ///< of amz_date()
  std::string_view region;
  std::string_view service;
};

/// "20150830T123600Z": what X-Amz-Date holds.
std::string amz_date(std::int64_t wall_ms);

std::string canonical_request(const Signable& request);
std::string string_to_sign(const Scope& scope, std::string_view canonical);
/// The value of the header Authorization.
std::string authorization(const Keys& keys, const Scope& scope, const Signable& request);

/// Milliseconds since 1970 for "2025-09-01T12:00:00Z", with or without a fraction: how AWS writes
/// when keys expire. kNever for anything else.
std::int64_t parse_expiration(std::string_view text);

}  // namespace consort::aws
