#include "net/lazy_tls.hpp"

#include <utility>

#include "io/own_process.hpp"

namespace consort {

Result<io::TlsClient*> LazyTls::make(const TlsOptions& options, Logger& log) {
  if (client_) return client_.get();
  auto made = io::TlsClient::create(options.settings(), io::environment);
  if (!made) return fail(std::move(made.error()));
  client_ = std::move(*made);
  if (options.insecure_skip_verify) {
    log.warn("tls.unverified", {{"hint", "--insecure-skip-verify takes any certificate"}});
  } else if (client_->is_embedded()) {
    log.warn("tls.embedded_authorities",
             {{"source", client_->ca_source()},
              {"hint", "as old as this program; give --ca-file or install ca-certificates"}});
  }
  return client_.get();
}

}  // namespace consort
