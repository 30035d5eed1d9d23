#include "wire/http1.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace consort::http1 {
namespace {

constexpr std::string_view kHost = "Host: a\r\n";

/// What the parser makes of the bytes: one text per message, then the outcome.
struct Reading {
  std::vector<Message> messages;
  int status = 0;  ///< of the refusal; 0: none
  Errc code = Errc::internal;
  std::string why;
  bool idle = false;
};

Reading read(std::string_view bytes, std::size_t piece = ~std::size_t{0}, Limits limits = {}) {
  RequestParser parser(limits);
  Reading out;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (!part.empty()) {
      const Step step = parser.parse(part);
      if (step.progress == Progress::error) {
        out.status = parser.status();
        out.code = parser.error().code();
        out.why = parser.error().text();
        return out;
      }
      part.remove_prefix(step.used);
      if (step.progress == Progress::done) out.messages.push_back(parser.take());
    }
  }
  out.idle = parser.idle();
  return out;
}

/// A request with these header lines; \r\n is added to each.
std::string get(std::vector<std::string> lines) {
  std::string out = "GET / HTTP/1.1\r\n" + std::string(kHost);
  for (const std::string& line : lines) out += line + "\r\n";
  return out + "\r\n";
}

/// The status of the refusal; 0 when the bytes are fine.
int status_of(std::string_view bytes, Limits limits = {}) {
  return read(bytes, ~std::size_t{0}, limits).status;
}

TEST_CASE("a plain request is read with its parts") {
  const Reading out = read("GET /a?b=c HTTP/1.1\r\nHost: a:1\r\nX-Thing:  two words \t\r\n\r\n");
  REQUIRE(out.messages.size() == 1);
  const Message& message = out.messages[0];
  CHECK(message.method == "GET");
  CHECK(message.target == "/a?b=c");
  CHECK(message.minor_version == 1);
  CHECK(message.keep_alive);
  CHECK(message.body.empty());
  REQUIRE(message.headers.size() == 2);
  CHECK(find_header(message.headers, "host") == "a:1");
  CHECK(find_header(message.headers, "x-thing") == "two words");
  CHECK(find_header(message.headers, "absent").empty());
  CHECK(out.idle);
}

TEST_CASE("any split of the bytes gives the same messages") {
  const std::string bytes =
      "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      "\r\n"
      "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;x=y\r\nabc\r\n002\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
      "GET /3 HTTP/1.0\r\nEmpty:\r\n\r\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    CAPTURE(piece);
    const Reading out = read(bytes, piece);
    CHECK(out.status == 0);
    REQUIRE(out.messages.size() == 3);
    CHECK(out.messages[0].body == "hello");
    CHECK(out.messages[1].body == "abcde");
    CHECK(out.messages[1].headers.size() == 2);
    CHECK(out.messages[2].target == "/3");
    CHECK_FALSE(out.messages[2].keep_alive);
    CHECK(out.idle);
  }
}

TEST_CASE("the parser stops at each message's end") {
  RequestParser parser{Limits()};
  const std::string one = get({});
  const Step step = parser.parse(one + "GET /next");
  CHECK(step.progress == Progress::done);
  CHECK(step.used == one.size());
  CHECK(parser.parse("GET /next").used == 0);
  parser.take();
  CHECK(parser.idle());
}

TEST_CASE("a truncated request is never done") {
  const std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    const Reading out = read(std::string_view(bytes).substr(0, length));
    CHECK(out.messages.empty());
    CHECK(out.status == 0);
    CHECK(out.idle == (length == 0));
  }
}

TEST_CASE("an error is final") {
  RequestParser parser{Limits()};
  CHECK(parser.parse("\x16\x03\x01").progress == Progress::error);
  CHECK(parser.status() == 400);
  CHECK(parser.parse(get({})).progress == Progress::error);
}

TEST_CASE("blank lines before a request do not count as its beginning") {
  CHECK(read("\r\n\r\n").idle);
  CHECK(read("\r\n\r\n" + get({})).messages.size() == 1);
  CHECK_FALSE(read("\r").idle);
}

TEST_CASE("Connection and the version decide about keep-alive") {
  const auto keep_alive = [](std::string_view bytes) {
    return read(bytes).messages.at(0).keep_alive;
  };
  CHECK(keep_alive(get({})));
  CHECK_FALSE(keep_alive(get({"Connection: close"})));
  CHECK_FALSE(keep_alive(get({"Connection: keep-alive, CLOSE"})));
  CHECK_FALSE(keep_alive(get({"Connection: x", "Connection: close"})));
  CHECK(keep_alive(get({"Connection: closed"})));
  CHECK_FALSE(keep_alive("GET / HTTP/1.0\r\n\r\n"));
  CHECK(keep_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

TEST_CASE("an offered upgrade is ignored and what follows is the next request") {
  const std::string bytes = get({"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"});
  CHECK(read(bytes + get({})).messages.size() == 2);
}

TEST_CASE("a request that waits for 100 Continue says so until its body is there") {
  RequestParser parser{Limits()};
  parser.parse("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n");
  CHECK_FALSE(parser.wants_continue());
  CHECK(parser.parse("\r\n").progress == Progress::more);
  CHECK(parser.wants_continue());
  CHECK(parser.parse("x").progress == Progress::done);
  CHECK_FALSE(parser.wants_continue());
}

TEST_CASE("expectations other than 100-continue are 417, and none counts in HTTP/1.0") {
  CHECK(status_of(get({"Expect: coffee"})) == 417);
  RequestParser parser{Limits()};
  parser.parse("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  CHECK_FALSE(parser.wants_continue());
}

// --- The request line ---------------------------------------------------------------------------

TEST_CASE("a malformed request line is 400") {
  for (std::string_view line :
       {"GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / HTTP/1.1x", " GET / HTTP/1.1",
        "GET /a b HTTP/1.1", "GET /\xc3\xa4 HTTP/1.1", "GET /#x HTTP/1.1", "G@T / HTTP/1.1",
        "GET /\tHTTP/1.1", "GET / http/1.1", "GET / HTTP/11", "GET HTTP/1.1", "GET\t/ HTTP/1.1"}) {
    CAPTURE(line);
    CHECK(status_of(std::string(line) + "\r\nHost: a\r\n\r\n") == 400);
  }
}

TEST_CASE("unknown methods, CONNECT and RTSP's are 501") {
  for (std::string_view method : {"FETCH", "get", "CONNECT", "GETX", "SETUP", "DESCRIBE", "PRI"}) {
    CAPTURE(method);
    CHECK(status_of(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n") == 501);
  }
}

TEST_CASE("versions other than 1.0 and 1.1 are 505") {
  for (std::string_view version : {"0.9", "1.2", "2.0", "9.9"}) {
    CAPTURE(version);
    CHECK(status_of("GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n\r\n") == 505);
  }
  CHECK(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505);
  CHECK(status_of("GET /\r\n") == 400);
}

// --- Limits -------------------------------------------------------------------------------------

TEST_CASE("a request line over the limit is 414, at exactly one byte too many") {
  const std::string line = "GET /" + std::string(100, 'x') + " HTTP/1.1\r\n";
  Limits limits{.header_bytes = line.size()};
  CHECK(status_of(line, limits) == 0);
  --limits.header_bytes;
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, line.size()}) {
    const Reading out = read(line, piece, limits);
    CHECK(out.status == 414);
    CHECK(out.code == Errc::limit);
  }
  CHECK(status_of(std::string(5000, 'G'), limits) == 414);
}

TEST_CASE("headers over the limit are 431, at exactly one byte too many") {
  const std::string bytes = get({"X: " + std::string(200, 'x')});
  Limits limits{.header_bytes = bytes.size()};
  CHECK(read(bytes, bytes.size(), limits).messages.size() == 1);
  --limits.header_bytes;
  CHECK(status_of(bytes, limits) == 431);
  CHECK(read(bytes, 1, limits).code == Errc::limit);
}

TEST_CASE("more headers than the limit are 431") {
  const std::string bytes = get({"A: 1", "B: 2"});
  CHECK(status_of(bytes, {.header_count = 3}) == 0);
  CHECK(status_of(bytes, {.header_count = 2}) == 431);
}

TEST_CASE("each message has the whole header budget") {
  const std::string one = get({});
  std::string many;
  for (int i = 0; i < 50; ++i) many += one;
  CHECK(read(many, 3, {.header_bytes = one.size()}).messages.size() == 50);
}

TEST_CASE("a body over the limit is 413 before a byte of it has come") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  CHECK(status_of(head + "Content-Length: 10\r\n\r\n", {.body_bytes = 10}) == 0);
  CHECK(status_of(head + "Content-Length: 11\r\n\r\n", {.body_bytes = 10}) == 413);
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n";
  CHECK(status_of(chunked + "4\r\nghij\r\n0\r\n\r\n", {.body_bytes = 10}) == 0);
  CHECK(status_of(chunked + "5\r\n", {.body_bytes = 10}) == 413);
  CHECK(status_of(chunked + "ffffffffffffffff\r\n", {.body_bytes = 10}) == 413);
}

TEST_CASE("chunk extensions and trailers are limited") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(status_of(head + "1;" + std::string(kMaxChunkLine, 'x') + "\r\n") == 400);
  CHECK(status_of(head + std::string(kMaxChunkLine, '0') + "1\r\n") == 400);
  const std::string trailer = "0\r\nT: " + std::string(300, 'x') + "\r\n\r\n";
  CHECK(status_of(head + trailer) == 0);
  CHECK(status_of(head + trailer, {.header_bytes = 300}) == 431);
  CHECK(status_of(head + "0\r\nA: 1\r\nB: 2\r\n\r\n", {.header_count = 3}) == 431);
}

// --- Smuggling: whatever two readers could understand differently
// ---------------------------------

TEST_CASE("smuggling: Content-Length beside Transfer-Encoding") {
  CHECK(status_of(get({"Content-Length: 5", "Transfer-Encoding: chunked"})) == 400);
  CHECK(status_of(get({"Transfer-Encoding: chunked", "Content-Length: 5"})) == 400);
}

TEST_CASE("smuggling: an empty Transfer-Encoding beside Content-Length") {
  CHECK(status_of(get({"Transfer-Encoding:", "Content-Length: 5"})) == 400);
  CHECK(status_of(get({"Content-Length: 5", "Transfer-Encoding: \t"})) == 400);
  CHECK(status_of(get({"Transfer-Encoding:"})) == 400);
}

TEST_CASE("smuggling: Content-Length twice, equal or not, as list or as lines") {
  CHECK(status_of(get({"Content-Length: 5", "Content-Length: 6"})) == 400);
  CHECK(status_of(get({"Content-Length: 5", "Content-Length: 5"})) == 400);
  CHECK(status_of(get({"Content-Length: 5, 5"})) == 400);
}

TEST_CASE("smuggling: a Content-Length that is not plain digits") {
  for (std::string_view value : {"", "+5", "-5", "0x5", "5 5", "5;", "1e3", "5\t",
                                 "18446744073709551621", "99999999999999999999999999", "\xb2"}) {
    CAPTURE(value);
    CHECK(status_of(get({"Content-Length: " + std::string(value)})) >= 400);
  }
}

TEST_CASE("smuggling: Transfer-Encoding twice or with more than chunked") {
  CHECK(status_of(get({"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"})) == 400);
  CHECK(status_of(get({"Transfer-Encoding: chunked", "Transfer-Encoding: identity"})) == 400);
  CHECK(status_of(get({"Transfer-Encoding: chunked, identity"})) == 400);
  CHECK(status_of(get({"Transfer-Encoding: gzip, chunked"})) == 501);
  CHECK(status_of(get({"Transfer-Encoding: identity"})) == 501);
  CHECK(status_of(get({"Transfer-Encoding: xchunked"})) == 501);
  CHECK(status_of(get({"Transfer-Encoding: \"chunked\""})) == 501);
}

TEST_CASE("smuggling: Transfer-Encoding in HTTP/1.0") {
  CHECK(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
}

TEST_CASE("smuggling: the case of letters does not hide chunked") {
  const Reading out =
      read("POST / HTTP/1.1\r\nHost: a\r\ntRANSFER-eNCODING: ChUnKeD\r\n\r\n1\r\nx\r\n0\r\n\r\n");
  REQUIRE(out.messages.size() == 1);
  CHECK(out.messages[0].body == "x");
}

TEST_CASE("smuggling: blanks around a header name") {
  CHECK(status_of(get({"Transfer-Encoding : chunked"})) == 400);
  CHECK(status_of(get({" Transfer-Encoding: chunked"})) == 400);
  CHECK(status_of(get({"\tTransfer-Encoding: chunked"})) == 400);
  CHECK(status_of("GET / HTTP/1.1\r\n Host: a\r\n\r\n") == 400);
}

TEST_CASE("smuggling: an empty or malformed header name, and a line without a colon") {
  CHECK(status_of(get({": value"})) == 400);
  CHECK(status_of(get({"na me: value"})) == 400);
  CHECK(status_of(get({"n\xc3\xa4me: value"})) == 400);
  CHECK(status_of(get({"no colon"})) == 400);
  CHECK(status_of(get({"(x): value"})) == 400);
}

TEST_CASE("smuggling: a folded header line") {
  CHECK(read(get({"X: a", " b"})).why == "a folded header line");
  CHECK(status_of(get({"Transfer-Encoding:", " chunked"})) == 400);
}

TEST_CASE("smuggling: a bare CR or LF, anywhere in the head") {
  CHECK(status_of("GET / HTTP/1.1\nHost: a\r\n\r\n") == 400);
  CHECK(read("GET / HTTP/1.1\r\nHost: a\n\r\n").why == "a line that does not end in CRLF");
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\n\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n") == 400);
  CHECK(status_of("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\n\r\r") == 400);
}

TEST_CASE("smuggling: NUL and other control bytes in the head") {
  using namespace std::string_literals;
  CHECK(status_of(get({"X: a\0b"s})) == 400);
  CHECK(status_of(get({"X: a\x0b"s})) == 400);
  CHECK(status_of(get({"X: a\x7f"s})) == 400);
  CHECK(status_of(get({"Transfer-Encoding: \x0b"
                       "chunked"s})) == 400);
}

TEST_CASE("smuggling: no Host in HTTP/1.1, two, or a malformed one") {
  CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(status_of(get({"Host: a"})) == 400);
  CHECK(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.0\r\n\r\n") == 0);
  for (std::string_view host : {"a b", "a/b", "a,b", "user@a", "a?b", "\xc3\xa4"}) {
    CAPTURE(host);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n") == 400);
  }
  CHECK(status_of("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n") == 0);
}

TEST_CASE("smuggling: a malformed chunk") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::string_view body : {"\r\n",
                                "x\r\n",
                                "-1\r\n",
                                "0x1\r\na\r\n",
                                "+1\r\na\r\n",
                                " 1\r\na\r\n",
                                "1 \r\na\r\n",
                                "1\na\r\n",
                                "1\r\nab\r\n",
                                "1\r\na\n0\r\n\r\n",
                                "1\r\naX",
                                "1;\r\na\r\n",
                                "1; a\r\na\r\n",
                                "1\r;a\r\na\r\n",
                                "10000000000000001\r\na",
                                "0\r\n folded\r\n\r\n",
                                "0\r\n: x\r\n\r\n",
                                "0\r\n\rX",
                                "0\r\nT: a\rb\r\n\r\n",
                                "0\n\n"}) {
    CAPTURE(body);
    CHECK(status_of(head + std::string(body)) == 400);
  }
}

TEST_CASE("smuggling: headers in trailers change nothing") {
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\nContent-Length: 30\r\nHost: evil\r\nConnection: close\r\n\r\n";
  const Reading out = read(bytes + get({}));
  REQUIRE(out.messages.size() == 2);
  CHECK(find_header(out.messages[0].headers, "host") == "a");
  CHECK(out.messages[0].keep_alive);
}

}  // namespace
}  // namespace consort::http1
