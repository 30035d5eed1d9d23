// The TLS client of a role's options, made when the first connection needs it: OpenSSL costs memory
// and start-up time.
#pragma once

#include <memory>

#include "base/error.hpp"
#include "base/log.hpp"
#include "io/tls.hpp"
#include "net/tls_options.hpp"

namespace consort {

class LazyTls {
 public:
  /// Made at the first call, and kept; says there what the options give away. Errors name the file
  /// that is wrong.
  Result<io::TlsClient*> make(const TlsOptions& options, Logger& log);

 private:
  std::unique_ptr<io::TlsClient> client_;
};

}  // namespace consort
