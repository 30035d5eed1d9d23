// A bucket and all that is needed to ask for its objects: keys, connections, the client.
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/options.hpp"
#include "io/tls.hpp"
#include "net/aws_credentials.hpp"
#include "net/http_pool.hpp"
#include "net/s3_client.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

class SinkUrl;

/// Where, and as whom.
struct S3Place {
  std::string bucket;
  std::string endpoint;  ///< empty: AWS
  s3::Style style = s3::Style::automatic;
  aws::CredentialSettings credentials;  ///< region: empty is looked for where keys are
};
/// As an s3: URL says.
S3Place s3_place(const SinkUrl& url);

/// Belongs to the loop's thread. Stays where it is: its parts refer to each other.
class S3Access {
 public:
  static constexpr Millis kConnectTimeout{5000};

  /// Errc::invalid for a bucket, region or endpoint that cannot be; and what TLS says.
  static Result<std::unique_ptr<S3Access>> create(const SinkWorld& world, S3Place place);

  const S3Place& place() const { return place_; }  ///< with the region that was found
  aws::Credentials& credentials() { return credentials_; }
  s3::Client& client() { return client_; }

 private:
  S3Access(const SinkWorld& world, S3Place place, s3::Place found, io::TlsClient* tls);

  const S3Place place_;
  aws::Credentials credentials_;
  http::Pool pool_;
  s3::Client client_;
};

}  // namespace consort::logsaver
