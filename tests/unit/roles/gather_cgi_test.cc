#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "roles/gather/cgi.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

std::string value_in(const std::vector<std::string>& environment, const std::string& name) {
  for (const std::string& each : environment) {
    if (each.starts_with(name + "=")) return each.substr(name.size() + 1);
  }
  return "none";
}

std::string refusal(std::string_view output) {
  const auto parsed = parse_cgi_answer(output);
  return parsed ? "accepted" : parsed.error().message();
}

}  // namespace

TEST_CASE("a request becomes the variables of RFC 3875") {
  const http1::Headers headers = {{"accept", "a"},
                                  {"x-b", "1"},
                                  {"accept", "b"},
                                  {"cookie", "a=1"},
                                  {"cookie", "b=2"},
                                  {"proxy", "evil:1"},
                                  {"a_b", "1"},
                                  {"authorization", "x"},
                                  {"content-type", "x/y"},
                                  {"content-length", "9"},
                                  {"consort-shard", "s0"}};
  const std::vector<std::string> environment = cgi_environment({.method = "POST",
                                                                .path = "/a b",
                                                                .query = "q=a&b",
                                                                .headers = &headers,
                                                                .content_type = "x/y",
                                                                .content_length = 9,
                                                                .has_body = true});
  CHECK(value_in(environment, "REQUEST_METHOD") == "POST");
  CHECK(value_in(environment, "PATH_INFO") == "/a b");
  CHECK(value_in(environment, "QUERY_STRING") == "q=a&b");
  CHECK(value_in(environment, "CONTENT_TYPE") == "x/y");
  CHECK(value_in(environment, "CONTENT_LENGTH") == "9");
  CHECK(value_in(environment, "GATEWAY_INTERFACE") == "CGI/1.1");
  CHECK(value_in(environment, "HTTP_ACCEPT") == "a, b");
  CHECK(value_in(environment, "HTTP_COOKIE") == "a=1; b=2");
  CHECK(value_in(environment, "HTTP_X_B") == "1");
  CHECK(value_in(environment, "HTTP_CONSORT_SHARD") == "s0");
  for (const char* name : {"HTTP_PROXY", "HTTP_A_B", "HTTP_AUTHORIZATION", "HTTP_CONTENT_TYPE",
                           "HTTP_CONTENT_LENGTH"}) {
    CHECK(value_in(environment, name) == "none");
  }
}

TEST_CASE("a request without a body has no variables for it") {
  const std::vector<std::string> environment = cgi_environment({.method = "GET", .path = "/"});
  CHECK(value_in(environment, "CONTENT_TYPE") == "none");
  CHECK(value_in(environment, "CONTENT_LENGTH") == "none");
  CHECK(value_in(environment, "QUERY_STRING").empty());
}

TEST_CASE("an answer's headers end with an empty line, of either kind") {
  for (const std::string end : {"\n", "\r\n"}) {
    const std::string output = "Status: 404 Not Found" + end + "content-type:text/x " + end +
                               "X-A: 1" + end + "Connection: close" + end + "Content-Length: 7" +
                               end + "X-A: 2" + end + end + "body\n\nmore";
    const auto parsed = parse_cgi_answer(output);
    REQUIRE(parsed.has_value());
    CHECK(parsed->status == 404);
    CHECK(parsed->content_type == "text/x");
    const http1::Headers expected = {{"X-A", "1"}, {"X-A", "2"}};
    CHECK(parsed->headers == expected);
    CHECK(parsed->body == "body\n\nmore");
  }
}

TEST_CASE("an answer may have no headers at all, and a Location says 302") {
  const auto none = parse_cgi_answer("\nbody");
  REQUIRE(none.has_value());
  CHECK(none->status == 200);
  CHECK(none->body == "body");
  CHECK(parse_cgi_answer("Location: /x\n\n")->status == 302);
  CHECK(parse_cgi_answer("Status: 201\nLocation: /x\n\n")->status == 201);
}

TEST_CASE("what is no block of headers says where") {
  CHECK(refusal("") == "its headers have no empty line at their end");
  CHECK(refusal("X-A: 1\n") == "its headers have no empty line at their end");
  CHECK(refusal("X-A: 1\n{\"a\":1}\n\n") ==
        "line 2 of its headers: \"{\\\"a\\\":1}\" is no header");
  CHECK(refusal("hello\n\n") == "line 1 of its headers: \"hello\" is no header");
  CHECK(refusal("X A: 1\n\n") == "line 1 of its headers: \"X A: 1\" is no header");
  CHECK(refusal("Status: 99\n\n") == "line 1 of its headers: \"99\" is no status (200 to 599)");
  CHECK(refusal("Status: 100\n\n") == "line 1 of its headers: \"100\" is no status (200 to 599)");
  CHECK(refusal("Status: OK\n\n") == "line 1 of its headers: \"OK\" is no status (200 to 599)");
  CHECK(refusal("X: a\rb\n\n") == "line 1 of its headers: control characters in a value");
  CHECK(refusal("X: " + std::string(kCgiHeaderBytesMax, 'a') + "\n\n") ==
        "its headers are larger than 32KiB");
}

TEST_CASE("output that nobody named is JSON or plain text") {
  CHECK(guess_content_type("{\"a\":1}\n") == "application/json");
  CHECK(guess_content_type("3") == "application/json");
  CHECK(guess_content_type("hello\n") == "text/plain; charset=utf-8");
  CHECK(guess_content_type("") == "text/plain; charset=utf-8");
}
