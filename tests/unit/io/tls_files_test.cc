// Files that the client reads, and where authorities come from.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "io/tls/ca_bundle.hpp"
#include "io/tls/pem.hpp"
#include "io/tls/sessions.hpp"
#include "io/tls/trust.hpp"
#include "tls_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;

namespace {

std::string refusal(const TlsSettings& settings) {
  auto made = TlsClient::create(settings, no_environment);
  return made ? "none" : made.error().message();
}

}  // namespace

TEST_CASE("authorities come from the option, the environment, the system, then the executable") {
  start_openssl();
  const Identity ca = Identity::authority();
  const TempFile first(ca.cert_pem());
  const TempFile second(ca.cert_pem() + ca.cert_pem());
  const TempFile empty("");
  const auto environment = [&](const std::string& name) {
    return name == "SSL_CERT_FILE" ? std::optional(second.path()) : std::nullopt;
  };
  const char* usual[] = {"/nonexistent/ca.pem", empty.path().c_str(), first.path().c_str()};
  auto named = choose_trust(first.path(), environment, usual);
  REQUIRE(named.has_value());
  CHECK(named->source == first.path());
  CHECK(named->authorities.size() == 1);
  auto from_environment = choose_trust("", environment, usual);
  REQUIRE(from_environment.has_value());
  CHECK(from_environment->source == "SSL_CERT_FILE (" + second.path() + ")");
  CHECK(from_environment->authorities.size() == 2);
  auto system = choose_trust("", no_environment, usual);
  REQUIRE(system.has_value());
  CHECK(system->source == first.path());
  CHECK_FALSE(system->is_embedded);
  auto embedded = choose_trust("", no_environment, {});
  REQUIRE(embedded.has_value());
  CHECK(embedded->is_embedded);
  CHECK(embedded->source == "embedded (no bundle on this system)");
  CHECK(embedded->authorities.size() > 100);
}

TEST_CASE("the embedded bundle makes a client of its own") {
  CHECK(embedded_ca_bundle().starts_with("-----BEGIN CERTIFICATE-----\n"));
  CHECK(embedded_ca_bundle().ends_with("-----END CERTIFICATE-----\n"));
  auto client = OpenSslClient::create({}, no_environment, {});
  REQUIRE(client.has_value());
  CHECK((*client)->is_embedded());
  auto other = OpenSslClient::create({.verify = false}, no_environment, {});
  REQUIRE(other.has_value());
  CHECK_FALSE((*other)->is_embedded());
}

TEST_CASE("a named authority file must be there and hold certificates") {
  const Identity ca = Identity::authority();
  CHECK(refusal({.ca_file = "/nonexistent/ca.pem"}) ==
        "--ca-file: /nonexistent/ca.pem: No such file or directory");
  const TempFile empty("");
  CHECK(refusal({.ca_file = empty.path()}) ==
        "--ca-file: " + empty.path() + ": no certificate in it: it is empty");
  const TempFile key(ca.key_pem());
  CHECK(refusal({.ca_file = key.path()}) ==
        "--ca-file: " + key.path() +
            ": no certificate in it: expected PEM text with a line \"-----BEGIN ...\"");
  const TempFile der("\x30\x82\x01");
  CHECK(refusal({.ca_file = der.path()}) ==
        "--ca-file: " + der.path() +
            ": no certificate in it: it looks like DER; convert it to PEM with openssl");
  const auto environment = [&](const std::string&) { return std::optional(empty.path()); };
  auto made = TlsClient::create({}, environment);
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().message() ==
        "SSL_CERT_FILE: " + empty.path() + ": no certificate in it: it is empty");
}

TEST_CASE("a broken certificate is named by its line") {
  const Identity ca = Identity::authority();
  std::string good = ca.cert_pem();
  std::string broken = good;
  broken.replace(broken.size() / 2, 1, "*");
  const TempFile file("# ours\n" + good + "# theirs\n\n" + broken);
  const auto line = std::count(good.begin(), good.end(), '\n') + 4;
  CHECK(refusal({.ca_file = file.path()}) == "--ca-file: " + file.path() + ": line " +
                                                 std::to_string(line) +
                                                 ": this certificate cannot be read (bad base64 "
                                                 "decode)");
}

TEST_CASE("a client certificate needs its own key, readable by nobody's hand") {
  const Identity ca = Identity::authority();
  const Identity mine = ca.issue({});
  const TempFile ca_file(ca.cert_pem());
  const TempFile cert(mine.cert_pem());
  const TempFile key(mine.key_pem());
  const TempFile other(ca.key_pem());
  const TempFile locked(mine.key_pem("secret"));
  const TempFile torn("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  TlsSettings settings{.ca_file = ca_file.path()};
  const auto with = [&](const std::string& cert_path, const std::string& key_path) {
    settings.client_cert_file = cert_path;
    settings.client_key_file = key_path;
    return refusal(settings);
  };
  CHECK(with(cert.path(), key.path()) == "none");
  CHECK(with("", key.path()) ==
        "--client-key needs --client-cert with the certificate for the key");
  CHECK(with(cert.path(), other.path()) == "--client-key: the key in " + other.path() +
                                               " does not belong to the certificate in " +
                                               cert.path() + " (its first one must be our own)");
  CHECK(with(cert.path(), "") ==
        "--client-cert: " + cert.path() +
            ": no private key in it: expected PEM text with a line \"-----BEGIN ...\"");
  CHECK(with(cert.path(), locked.path()) ==
        "--client-key: " + locked.path() +
            ": the key has a passphrase; take it off with openssl pkey -in FILE");
  CHECK(with(cert.path(), torn.path())
            .starts_with("--client-key: " + torn.path() + ": the private key cannot be read ("));
  CHECK(with("/nonexistent", key.path()) ==
        "--client-cert: /nonexistent: No such file or directory");
}

TEST_CASE("sessions are bounded, and those of TLS 1.3 are used once") {
  const auto session = [](int version) {
    SessionPtr made(SSL_SESSION_new());
    SSL_SESSION_set_protocol_version(made.get(), version);
    return made;
  };
  TlsSessions sessions;
  CHECK(sessions.take("a") == nullptr);
  for (int i = 0; i < 5; ++i) sessions.add("a", session(TLS1_3_VERSION));
  for (std::size_t i = 0; i < TlsSessions::kPerNameMax; ++i) CHECK(sessions.take("a") != nullptr);
  CHECK(sessions.take("a") == nullptr);
  sessions.add("old", session(TLS1_2_VERSION));
  const SessionPtr once = sessions.take("old");
  const SessionPtr twice = sessions.take("old");
  CHECK(once == twice);
  for (std::size_t i = 0; i < TlsSessions::kNamesMax + 10; ++i) {
    sessions.add("name" + std::to_string(i), session(TLS1_2_VERSION));
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < TlsSessions::kNamesMax + 10; ++i) {
    if (sessions.take("name" + std::to_string(i)) != nullptr) ++kept;
  }
  CHECK(kept <= TlsSessions::kNamesMax);
  CHECK(kept >= TlsSessions::kNamesMax - 1);
}
