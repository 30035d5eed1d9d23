#include "net/url.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace consort::http {
namespace {

TEST_CASE("a URL is scheme, address, prefix and the Host that goes with it") {
  struct Case {
    std::string_view text;
    Url::Scheme scheme;
    std::string_view address;
    std::string_view prefix;
    std::string_view host;
    std::string_view shown;
  };
  using enum Url::Scheme;
  for (const Case& c : {
           Case{"http://leaf", http, "leaf:80", "", "leaf", "http://leaf"},
           Case{"http://leaf/", http, "leaf:80", "", "leaf", "http://leaf"},
           Case{"HTTP://leaf:80/a/b/", http, "leaf:80", "/a/b/", "leaf", "http://leaf/a/b/"},
           Case{"http://10.0.0.1:8080/x%20y", http, "10.0.0.1:8080", "/x%20y", "10.0.0.1:8080",
                "http://10.0.0.1:8080/x%20y"},
           Case{"https://leaf.local", https, "leaf.local:443", "", "leaf.local",
                "https://leaf.local"},
           Case{"https://leaf:80", https, "leaf:80", "", "leaf:80", "https://leaf:80"},
           Case{"http://[::1]", http, "[::1]:80", "", "[::1]", "http://[::1]"},
           Case{"http://[::1]:81/a", http, "[::1]:81", "/a", "[::1]:81", "http://[::1]:81/a"},
           Case{"unix:/run/leaf.sock", unix_socket, "unix:/run/leaf.sock", "", "localhost",
                "unix:/run/leaf.sock"},
           Case{"unix:@leaf", unix_socket, "unix:@leaf", "", "localhost", "unix:@leaf"},
       }) {
    CAPTURE(c.text);
    const Result<Url> url = Url::parse(c.text);
    REQUIRE(url);
    CHECK(url->scheme == c.scheme);
    CHECK(url->address.to_string() == c.address);
    CHECK(url->path_prefix == c.prefix);
    CHECK(url->host_header == c.host);
    CHECK(url->to_string() == c.shown);
    CHECK(*Url::parse(url->to_string()) == *url);
  }
}

TEST_CASE("what is no URL of ours is refused with the remedy") {
  for (const auto& [text, reason] :
       {std::pair<std::string_view, std::string_view>{"leaf:8080", "is not a URL (try http://"},
        {"", "is not a URL"},
        {"ftp://leaf", "is not a URL"},
        {"http:/leaf", "is not a URL"},
        {"http://", "has no host"},
        {"http:///a", "has no host"},
        {"http://:8080", "has no host"},
        {"http://user@leaf", "no user information, query or fragment"},
        {"http://user:word@leaf/", "no user information, query or fragment"},
        {"http://leaf?q", "no user information, query or fragment"},
        {"http://leaf/a?q=1", "no user information, query or fragment"},
        {"http://leaf/#x", "no user information, query or fragment"},
        {"http://leaf:0", "port between 1 and 65535"},
        {"http://leaf:", "port"},
        {"http://leaf:99999", "port"},
        {"http://::1", "try [::1]:8080"},
        {"http://[::1", "bracket"},
        {"http://[::1]x", "port"},
        {"http://le af", "host name"},
        {"http://10.0.0.256", "IPv4"},
        {"http://leaf/a b", "%XX"},
        {"http://leaf/%zz", "%XX"},
        {"http://leaf/\xc3\xa4", "%XX"},
        {"unix:relative", "unix address"},
        {"unix:", "unix address"}}) {
    CAPTURE(text);
    const Result<Url> url = Url::parse(text);
    REQUIRE_FALSE(url);
    CHECK(url.error().code() == Errc::invalid);
    CAPTURE(url.error().text());
    CHECK(url.error().text().find(reason) != std::string::npos);
  }
  CHECK_FALSE(Url::parse("http://leaf/" + std::string(10'000, 'a')));
}

TEST_CASE("prefix and target are joined by one slash") {
  CHECK(Url::parse("http://a")->target("/x?y") == "/x?y");
  CHECK(Url::parse("http://a")->target("") == "/");
  CHECK(Url::parse("http://a/p")->target("/x") == "/p/x");
  CHECK(Url::parse("http://a/p/")->target("/x") == "/p/x");
  CHECK(Url::parse("http://a/p/")->target("") == "/p/");
  CHECK(Url::parse("http://a/p")->target("") == "/p");
}

}  // namespace
TEST_CASE("the certificate must be for the host, whatever the port and the address") {
  CHECK(Url::parse("https://api.local:8443/x")->server_name() == "api.local");
  CHECK(Url::parse("https://[::1]:8443")->server_name() == "::1");
  Url found = *Url::parse("https://api.local");
  found.address.host = "10.0.0.1";
  CHECK(found.server_name() == "api.local");
}

}  // namespace consort::http
