// The options of every role that opens TLS connections: one more table beside its own.
#pragma once

#include <span>
#include <string>

#include "base/options.hpp"
#include "io/tls.hpp"

namespace consort {

struct TlsOptions {
  std::string ca_file;
  std::string client_cert;
  std::string client_key;
  bool insecure_skip_verify = false;

  io::TlsSettings settings() const {
    return {.ca_file = ca_file,
            .client_cert_file = client_cert,
            .client_key_file = client_key,
            .verify = !insecure_skip_verify};
  }
};

extern const std::span<const Option> kTlsOptions;

}  // namespace consort
