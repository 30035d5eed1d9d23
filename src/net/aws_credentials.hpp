// Where the keys come from that requests to S3 are signed with, and when to get new ones.
//
//   aws::Credentials credentials(settings, world);
//   std::shared_ptr<const aws::Keys> keys = co_await try_(credentials.get(deadline));
//   ... 403: credentials.refresh();  the next get() looks again
//
//   none --get()--> looking --found--> held --5 min before the end, or refresh()--> looking
//                      \--nothing, or a source that is broken--> an error; or the held ones, while
//                         they last, and another look after 30 s
//
// The sources in order; the first that is configured counts, and when it is broken none after it is
// asked, for its owner would not learn of it:
//   1. the settings: values, or files that are read at each look
//   2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   3. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: a pod's identity, by way of STS
//   4. AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI, with AWS_CONTAINER_AUTHORIZATION_TOKEN
//      or ..._TOKEN_FILE: EKS pod identity, ECS
//   5. the profile AWS_PROFILE ("default") of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials);
//      of keys that it holds itself: no roles, no processes
//   6. the instance metadata service, version 2, unless AWS_EC2_METADATA_DISABLED is true
// Errors name the source and the remedy and never hold a secret. Belongs to the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "io/dns.hpp"
#include "io/files.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "io/tls.hpp"
#include "net/aws_sigv4.hpp"

namespace consort::aws {

/// Milliseconds since 1970, injected.
using WallClock = std::function<std::int64_t()>;
using Environment = io::TlsClient::Environment;

struct CredentialSettings {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  /// Used instead of the values above; read anew at each look, so that keys can be rotated.
  std::string access_key_id_file;
  std::string secret_access_key_file;
  std::string session_token_file;
  std::string profile;  ///< instead of AWS_PROFILE
  std::string region;   ///< instead of AWS_REGION
};

/// All effects; they outlive whoever is given them.
struct CredentialWorld {
  io::Loop& loop;
  io::Network& network;
  io::Dns& dns;
  io::Files& files;
  io::TlsClient* tls;  ///< null: a source behind https is an error
  Environment environment;
  WallClock wall_ms;
};

/// The option, AWS_REGION, AWS_DEFAULT_REGION, the profile's in AWS_CONFIG_FILE (~/.aws/config) or
/// among its keys, else "us-east-1".
std::string find_region(const CredentialSettings& settings, const CredentialWorld& world);

class Credentials {
 public:
  /// Keys are replaced this long before they end.
  static constexpr std::chrono::milliseconds kEarly{5 * 60 * 1000};
  /// After a look that failed while the held keys still last.
  static constexpr std::chrono::milliseconds kNextLook{30 * 1000};

  Credentials(CredentialSettings settings, CredentialWorld world);
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  /// The keys to sign with now. One look at a time: who comes meanwhile waits for it. Errors:
  /// Errc::denied (a source refuses), invalid (its settings are wrong), not_found (there is none),
  /// or what fetch() says.
  Task<Result<std::shared_ptr<const Keys>>> get(Deadline deadline);
  /// A server does not like them (403): the next get() looks again.
  void refresh() { is_stale_ = true; }
  /// Why the last look failed; empty after one that did not.
  const std::string& last_error() const { return last_error_; }

 private:
  bool is_due() const;
  Task<Result<std::shared_ptr<const Keys>>> look(Deadline deadline);

  const CredentialSettings settings_;
  const CredentialWorld world_;
  std::shared_ptr<const Keys> keys_;
  std::string last_error_;
  std::uint64_t next_look_ms_ = 0;  ///< not before, while the held keys last
  bool is_stale_ = false;
  bool is_looking_ = false;
};

}  // namespace consort::aws
