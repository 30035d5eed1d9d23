// Whom the client trusts, and what it says when it does not.
#include <doctest/doctest.h>

#include <string>

#include "tls_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;

TEST_CASE("each bad certificate is denied with a text that names the fault") {
  TlsFixture tls;
  const auto failure = [&](const CertificateSpec& spec) {
    return tls.failure({.identity = tls.ca.issue(spec)});
  };
  CHECK(failure({.not_after = "20240501120000Z"}) ==
        "end:denied; certificate of api.local has expired (since 2024-05-01T12:00:00Z)");
  CHECK(failure({.not_before = "20980501120000Z"}) ==
        "end:denied; certificate of api.local is not valid before 2098-05-01T12:00:00Z: compare "
        "the clocks of both machines");
  CHECK(failure({.alt_names = "DNS:other.local"}) ==
        "end:denied; the certificate is for other.local, not api.local");
  CHECK(failure({.alt_names = "DNS:a,DNS:b,IP:10.0.0.9,IP:fd00::1,DNS:e,DNS:f"}) ==
        "end:denied; the certificate is for a, b, 10.0.0.9, fd00:0:0:0:0:0:0:1 and 2 more, not "
        "api.local");
  CHECK(failure({.alt_names = ""}) ==
        "end:denied; the certificate of api.local names no server in subjectAltName (its subject "
        "\"api.local\" does not count): make one with subjectAltName");
  CHECK(failure({.usage = "clientAuth"}) ==
        "end:denied; certificate of api.local is not made for servers (extendedKeyUsage without "
        "serverAuth)");
}

TEST_CASE("authorities that nobody knows are named") {
  TlsFixture tls;
  const Identity stranger = Identity::authority("Strange\x01 Authority");
  const std::string unknown =
      "end:denied; certificate of api.local is signed by an unknown authority (\"Strange? "
      "Authority\"): pass --ca-file with that authority's certificate";
  const Identity leaf = stranger.issue({});
  CHECK(tls.failure({.identity = leaf}) == unknown);
  CHECK(tls.failure({.identity = leaf, .chain = {stranger}}) == unknown);
  CHECK(tls.failure({.identity = Identity::make({})}) ==
        "end:denied; certificate of api.local is signed by itself, not by a known authority: pass "
        "--ca-file with it");
}

TEST_CASE("an intermediate authority is followed, and its own faults are told") {
  TlsFixture tls;
  const CertificateSpec spec{.common_name = "Middle", .alt_names = "", .is_authority = true};
  const Identity middle = tls.ca.issue(spec);
  CHECK(tls.failure({.identity = middle.issue({}), .chain = {middle}}) == "open; ");
  CHECK(tls.failure({.identity = middle.issue({})}) ==
        "end:denied; certificate of api.local is signed by an unknown authority (\"Middle\"): "
        "pass --ca-file with that authority's certificate");
  CertificateSpec old = spec;
  old.not_after = "20240501120000Z";
  const Identity expired = tls.ca.issue(old);
  CHECK(tls.failure({.identity = expired.issue({}), .chain = {expired}}) ==
        "end:denied; certificate of the authority \"Middle\" behind api.local has expired (since "
        "2024-05-01T12:00:00Z)");
}

TEST_CASE("an intermediate authority may be all that is trusted") {
  TlsFixture tls;
  const Identity middle =
      tls.ca.issue({.common_name = "Middle", .alt_names = "", .is_authority = true});
  const TempFile file(middle.cert_pem());
  tls.use({.ca_file = file.path()});
  CHECK(tls.failure({.identity = middle.issue({})}) == "open; ");
  CHECK(tls.failure({.identity = tls.ca.issue({})}).starts_with("end:denied; "));
}

TEST_CASE("a self-signed certificate is fine once it is the authority") {
  TlsFixture tls;
  const Identity own = Identity::make({});
  const TempFile file(own.cert_pem());
  tls.use({.ca_file = file.path()});
  CHECK(tls.failure({.identity = own}) == "open; ");
}

TEST_CASE("a wildcard matches one label, a name is looked for without its last dot") {
  TlsFixture tls;
  const ServerSpec wild{.identity = tls.ca.issue({.alt_names = "DNS:*.pod.local"})};
  CHECK(tls.failure(wild, "api.pod.local") == "open; ");
  CHECK(tls.failure(wild, "api.pod.local.") == "open; ");
  CHECK(tls.server.last().sni() == "api.pod.local");
  CHECK(tls.failure(wild, "a.b.pod.local") ==
        "end:denied; the certificate is for *.pod.local, not a.b.pod.local");
}

TEST_CASE("an address is looked for among the addresses, and asks for no name") {
  TlsFixture tls;
  const ServerSpec spec{.identity = tls.ca.issue({.alt_names = "IP:10.0.0.1,IP:fe80::1"})};
  CHECK(tls.failure(spec, "10.0.0.1") == "open; ");
  CHECK(tls.server.last().sni().empty());
  CHECK(tls.failure(spec, "fe80::1%eth0") == "open; ");
  CHECK(tls.failure(spec, "10.0.0.2") ==
        "end:denied; the certificate is for 10.0.0.1, fe80:0:0:0:0:0:0:1, not 10.0.0.2");
  // A name that looks like the address does not count.
  CHECK(tls.failure({.identity = tls.ca.issue({.alt_names = "DNS:10.0.0.1"})}, "10.0.0.1") ==
        "end:denied; the certificate is for 10.0.0.1, not 10.0.0.1");
}

TEST_CASE("a name that cannot be asked for is refused by ourselves") {
  TlsFixture tls;
  for (const std::string& name : {std::string(), std::string("a\0b", 3), std::string(300, 'x')}) {
    TlsHandler& client = tls.opened(name);
    CHECK(client.log == "end:invalid;");
  }
}

TEST_CASE("without verification any certificate will do") {
  TlsFixture tls;
  tls.use({.verify = false});
  CHECK(tls.failure({.identity = Identity::make({.alt_names = "DNS:other.local",
                                                 .not_after = "20240501120000Z"})}) == "open; ");
  CHECK(tls.client->ca_source() == "none (certificates are not verified)");
}

TEST_CASE("a server that asks for a client certificate gets ours, or we say what is missing") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    // TLS 1.3 servers judge after the client believes itself connected.
    const std::string open = version == TLS1_3_VERSION ? "open;" : "";
    TlsFixture tls;
    const ServerSpec asking{
        .identity = tls.ca.issue({}), .version = version, .client_authority = tls.ca};
    CHECK(tls.failure(asking) ==
          open +
              "end:denied; the server asks for a client certificate: pass --client-cert and "
              "--client-key");
    const Identity mine = tls.ca.issue({.common_name = "me", .alt_names = ""});
    const TempFile cert(mine.cert_pem());
    const TempFile key(mine.key_pem());
    tls.use({.ca_file = tls.ca_file.path(),
             .client_cert_file = cert.path(),
             .client_key_file = key.path()});
    CHECK(tls.failure(asking) == "open; ");
    CHECK(tls.server.last().has_client_cert());
    const Identity foreign = Identity::authority("Foreign").issue({});
    const TempFile both(foreign.key_pem() + foreign.cert_pem());
    tls.use({.ca_file = tls.ca_file.path(), .client_cert_file = both.path()});
    CHECK(tls.failure(asking) ==
          open + "end:denied; the server refuses our client certificate (tlsv1 alert unknown ca)");
  }
}

TEST_CASE("a server that does not speak TLS is told from one that speaks an old one") {
  TlsFixture tls;
  CHECK(tls.failure({.identity = tls.ca.issue({}), .version = TLS1_1_VERSION}) ==
        "end:protocol; the server speaks no TLS 1.2 or 1.3, and older versions are not safe");
  tls.server.raw().on_data = [](sim::SimPeer& peer) {
    if (!peer.take().empty()) peer.send("HTTP/1.1 400 Bad Request\r\n\r\nwhat is this or that?");
  };
  TlsHandler& plain = tls.opened();
  CHECK(plain.log == "end:protocol;");
  CHECK(plain.text ==
        "the server does not speak TLS (it answers \"HTTP/1.1 400 Bad Request\\r\\n\\r\\nwhat is "
        "this\"): is it the right port?");
  tls.server.raw().on_data = [](sim::SimPeer& peer) { peer.close(); };
  TlsHandler& cut = tls.opened();
  CHECK(cut.log == "end:protocol;");
  CHECK(cut.text == "the server closed the connection during the TLS handshake");
  tls.server.raw().on_data = [](sim::SimPeer& peer) {
    if (!peer.take().empty()) peer.send({"\x15\x03\x03\x00\x02\x01\x00", 7});  // close_notify
  };
  TlsHandler& dismissed = tls.opened();
  CHECK(dismissed.log == "end:protocol;");
  CHECK(dismissed.text == cut.text);
  tls.server.raw().on_data = [](sim::SimPeer& peer) {
    if (!peer.take().empty()) peer.send({"\x15\x03\x03\x00\x02\x02\x70", 7});  // unrecognized_name
  };
  CHECK(tls.opened().text == "the server knows no site named api.local");
}

TEST_CASE("a server's answer to the handshake may be any bytes") {
  Random random(7);
  for (int i = 0; i < 300; ++i) {
    TlsFixture tls;
    std::string noise(1 + random.below(200), ' ');
    for (char& c : noise) c = static_cast<char>(random.below(256));
    if (random.below(2) == 0) noise.replace(0, 1, "\x16\x03\x03");
    tls.server.raw().on_data = [&](sim::SimPeer& peer) {
      if (peer.take().empty()) return;
      peer.send(noise);
      peer.close();
    };
    TlsHandler& client = tls.opened();
    CHECK(client.log == "end:protocol;");
    CHECK_FALSE(client.text.empty());
  }
}

TEST_CASE("what TLS itself sends is bounded when the peer does not read") {
  TlsFixture tls(1, {.window_bytes = 600});
  const Identity mine = tls.ca.issue({.common_name = "me", .alt_names = ""});
  std::string chain = mine.cert_pem();
  for (int i = 0; i < 1000; ++i) chain += tls.ca.cert_pem();
  const TempFile both(chain + mine.key_pem());
  tls.use({.ca_file = tls.ca_file.path(), .client_cert_file = both.path()});
  CHECK(tls.failure({.identity = tls.ca.issue({}), .client_authority = tls.ca}) ==
        "end:limit; the peer does not read what TLS itself has to send");
}
