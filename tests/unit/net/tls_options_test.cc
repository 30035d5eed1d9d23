#include "net/tls_options.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace consort;

namespace {

void set(TlsOptions& options, std::string_view name, std::string_view text) {
  for (const Option& option : kTlsOptions) {
    if (option.name == name) REQUIRE(option.set(&options, text).has_value());
  }
}

}  // namespace

TEST_CASE("the TLS options become the settings of a client, which verifies unless told otherwise") {
  TlsOptions options;
  CHECK(options.settings().verify);
  CHECK(options.settings().ca_file.empty());
  set(options, "ca-file", "/ca.pem");
  set(options, "client-cert", "/me.pem");
  set(options, "client-key", "/me.key");
  set(options, "insecure-skip-verify", "true");
  const io::TlsSettings settings = options.settings();
  CHECK(settings.ca_file == "/ca.pem");
  CHECK(settings.client_cert_file == "/me.pem");
  CHECK(settings.client_key_file == "/me.key");
  CHECK_FALSE(settings.verify);
}
