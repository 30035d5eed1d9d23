// The merges of a route's own, made from its options; and TLS for leaves and merges that need it.
#pragma once

#include <memory>

#include "io/tls.hpp"
#include "manage/role.hpp"
#include "net/tls_options.hpp"
#include "roles/gather/config.hpp"
#include "roles/gather/external_merge.hpp"

namespace consort::gather {

/// OpenSSL costs memory and start-up time: it is touched when the first https URL is met.
class LazyTls {
 public:
  /// Makes the client, once. Errors name the file that is wrong.
  Result<> ready(const Services& services, const TlsOptions& options);
  /// Null before ready().
  io::TlsClient* get() const { return client_.get(); }

 private:
  std::unique_ptr<io::TlsClient> client_;
};

/// Null when the route has a built-in merge.
Result<std::unique_ptr<ExternalMerge>> make_external_merge(const Services& services,
                                                           const RouteConfig& route, LazyTls& tls,
                                                           const TlsOptions& tls_options);

}  // namespace consort::gather
