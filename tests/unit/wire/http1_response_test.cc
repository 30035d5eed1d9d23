// Responses, the writers and the small grammars of wire/http1*.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

#include "wire/http1.hpp"
#include "wire/http1_text.hpp"

namespace consort::http1 {
namespace {

/// Reads to the end of the stream; the error's text in `why`.
struct Reading {
  bool ok = false;
  Message message;
  Errc code = Errc::internal;
  std::string why;
  std::size_t used = 0;
};

Reading read(std::string_view bytes, std::string_view method = "GET",
             std::size_t piece = ~std::size_t{0}, Limits limits = {}) {
  ResponseParser parser(limits, method);
  Reading out;
  Progress progress = Progress::more;
  while (!bytes.empty() && progress == Progress::more) {
    const std::string_view part = bytes.substr(0, piece);
    const Step step = parser.parse(part);
    progress = step.progress;
    out.used += step.used;
    bytes.remove_prefix(part.size());
  }
  if (progress == Progress::more) progress = parser.finish();
  out.ok = progress == Progress::done;
  if (out.ok) {
    out.message = parser.take();
  } else {
    out.code = parser.error().code();
    out.why = parser.error().text();
  }
  return out;
}

TEST_CASE("a response's body is bounded by length, by chunks or by the end, however split") {
  for (std::string_view bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\n"
        "c\r\n0\r\n\r\n",
        "HTTP/1.0 200 Fine thing\r\nServer: x\r\n\r\nabc"}) {
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
      const Reading out = read(bytes, "GET", piece);
      CHECK(out.ok);
      CHECK(out.message.status == 200);
      CHECK(out.message.body == "abc");
    }
  }
}

TEST_CASE("a response that runs until the end cannot keep the connection alive") {
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").message.keep_alive);
  CHECK_FALSE(read("HTTP/1.1 200 OK\r\n\r\nabc").message.keep_alive);
}

TEST_CASE("answers to HEAD, 204 and 304 have no body whatever they say") {
  const std::string_view length = "\r\nContent-Length: 5\r\n\r\n";
  const std::string_view chunked = "\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::string_view rest : {length, chunked}) {
    const std::string ok = "HTTP/1.1 200 OK" + std::string(rest);
    CHECK(read(ok, "HEAD").ok);
    CHECK_FALSE(read(ok, "GET").ok);
    for (std::string_view status : {"204", "304"}) {
      const Reading out = read("HTTP/1.1 " + std::string(status) + std::string(rest) + "xxxxx");
      CHECK(out.ok);
      CHECK(out.message.body.empty());
      CHECK(out.used == 12 + rest.size());
    }
  }
}

TEST_CASE("interim answers are skipped, but not without end") {
  const std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
  const std::string final_answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
  const Reading out = read("HTTP/1.1 100 Continue\r\n\r\n" + interim + final_answer);
  CHECK(out.ok);
  CHECK(out.message.status == 200);
  CHECK(out.message.body == "x");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += interim;
  CHECK(read(many).code == Errc::limit);
}

TEST_CASE("a switch of protocols that nobody asked for is refused") {
  CHECK(read("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").code ==
        Errc::protocol);
}

TEST_CASE("a malformed status line is refused") {
  for (std::string_view line :
       {"HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 20x OK", "HTTP/1.1  200 OK", "HTTP/1.1",
        "HTTP/1.1 ", "HTTP/1.1 099 OK", "HTTP/1.1 -20 OK", "HTTP/2.0 200 OK", "HTTP/1.2 200 OK",
        "http/1.1 200 OK", "ICY 200 OK", "HTTP/1.1 200OK", "HTTP/1.1 200\tOK", ""}) {
    CAPTURE(line);
    const Reading out = read(std::string(line) + "\r\nContent-Length: 0\r\n\r\n");
    CHECK_FALSE(out.ok);
    CHECK(out.code == Errc::protocol);
  }
}

TEST_CASE("ambiguous lengths are refused in responses too") {
  for (std::string_view lines :
       {"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: x\r\n", "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: \r\n", " Folded: x\r\n",
        ": x\r\n"}) {
    CAPTURE(lines);
    const Reading out = read("HTTP/1.1 200 OK\r\n" + std::string(lines) + "\r\nx");
    CHECK_FALSE(out.ok);
    CHECK(out.code == Errc::protocol);
  }
  CHECK_FALSE(read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").ok);
}

TEST_CASE("a response over a limit is refused") {
  CHECK(read("HTTP/1.1 200 OK\r\n\r\nabcd", "GET", 1, {.body_bytes = 3}).code == Errc::limit);
  CHECK(read("HTTP/1.1 200 OK\r\n\r\nabc", "GET", 1, {.body_bytes = 3}).ok);
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "GET", 9, {.body_bytes = 3}).code ==
        Errc::limit);
  CHECK(read("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "GET", 9, {.header_bytes = 24}).code ==
        Errc::limit);
}

TEST_CASE("a response that ends too early is Errc::closed") {
  const std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    const Reading out = read(std::string_view(bytes).substr(0, length));
    CHECK_FALSE(out.ok);
    CHECK(out.code == Errc::closed);
    CHECK(out.why ==
          (length == 0 ? "the peer closed without an answer" : "the peer closed in mid-answer"));
  }
  CHECK(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").code ==
        Errc::closed);
}

// --- Writers
// --------------------------------------------------------------------------------------

TEST_CASE("a response is written head and body, with its length") {
  std::string out;
  const Headers headers{{"X-A", "b"}};
  REQUIRE(append_response(
      out, {.status = 404, .content_type = "text/plain", .headers = &headers, .body = "none\n"}));
  CHECK(out ==
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX-A: b\r\nContent-Length: 5\r\n"
        "\r\nnone\n");
}

TEST_CASE("messages are appended to what is there, whole and of any size") {
  const std::string body(3000, 'b');
  const Headers headers = {{"X-Long", std::string(400, 'v')}, {"X-Empty", ""}};
  const ResponseView response{.status = 999,
                              .content_type = "a/b",
                              .headers = &headers,
                              .body = body,
                              .persistence = Persistence::close};
  const std::string answer =
      "HTTP/1.1 999 Unknown\r\nContent-Type: a/b\r\nX-Long: " + headers[0].second +
      "\r\nX-Empty: \r\nContent-Length: 3000\r\nConnection: close\r\n\r\n" + body;
  std::string out = "before";
  CHECK(append_response(out, response));
  CHECK(append_response(out, response));
  CHECK(out == "before" + answer + answer);

  out.clear();
  CHECK(append_request(out, {.method = "POST", .target = "/", .host = "h", .close = true}));
  CHECK(out == "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_CASE("HEAD gets the length without the body; 204 and 304 get neither") {
  std::string out;
  REQUIRE(append_response(out, {.body = "12345", .to_head = true}));
  CHECK(out == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  out.clear();
  REQUIRE(append_response(out, {.status = 204, .content_type = "x/y", .body = "lost"}));
  CHECK(out == "HTTP/1.1 204 No Content\r\n\r\n");
  out.clear();
  REQUIRE(append_response(out, {.status = 304, .persistence = Persistence::close}));
  CHECK(out == "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
}

TEST_CASE("what would break the framing is not written") {
  std::string out = "before";
  for (auto header : {std::pair<std::string, std::string>("X", "a\r\nSet-Cookie: b"),
                      {"X", std::string("a\0b", 3)},
                      {"X: y\r\nZ", "a"},
                      {"", "a"},
                      {"content-LENGTH", "3"},
                      {"Transfer-Encoding", "chunked"},
                      {"Connection", "close"}}) {
    CAPTURE(header.first);
    const Headers headers{header};
    CHECK_FALSE(append_response(out, {.headers = &headers}));
    CHECK_FALSE(append_request(out, {.method = "GET", .target = "/", .headers = &headers}));
  }
  CHECK_FALSE(append_response(out, {.content_type = "a\r\nb: c"}));
  CHECK_FALSE(append_response(out, {.status = 99}));
  CHECK_FALSE(append_response(out, {.status = 101}));
  CHECK_FALSE(append_response(out, {.status = 1000}));
  CHECK_FALSE(append_request(out, {.method = "GET", .target = "/ HTTP/1.1\r\nX: y"}));
  CHECK_FALSE(append_request(out, {.method = "GET", .target = "/a b"}));
  CHECK_FALSE(append_request(out, {.method = "GET", .target = ""}));
  CHECK_FALSE(append_request(out, {.method = "G T", .target = "/"}));
  CHECK_FALSE(append_request(out, {.method = "GET", .target = "/", .host = "a\r\nb"}));
  CHECK(out == "before");
}

TEST_CASE("a request is written so that our own parser reads it back") {
  std::string out;
  const Headers headers{{"Accept", "*/*"}};
  REQUIRE(append_request(out, {.method = "POST",
                               .target = "/x?y",
                               .host = "h:1",
                               .headers = &headers,
                               .body = "ab",
                               .close = true}));
  CHECK(out ==
        "POST /x?y HTTP/1.1\r\nHost: h:1\r\nAccept: */*\r\nContent-Length: 2\r\n"
        "Connection: close\r\n\r\nab");
  RequestParser parser{Limits()};
  CHECK(parser.parse(out).progress == Progress::done);
  CHECK(parser.take().body == "ab");
}

// --- Small grammars
// -------------------------------------------------------------------------------

TEST_CASE("percent escapes are decoded, and malformed ones and NUL refused") {
  CHECK(*percent_decode("a%2Fb%20c+d", Plus::keep) == "a/b c+d");
  CHECK(*percent_decode("a%2fb+c", Plus::is_blank) == "a/b c");
  CHECK(*percent_decode("%25%41", Plus::keep) == "%A");
  for (std::string_view bad : {"%", "a%4", "%zz", "%4g", "%%41", "%00", "a%00b"}) {
    CAPTURE(bad);
    CHECK_FALSE(percent_decode(bad, Plus::keep));
  }
  CHECK_FALSE(percent_decode(std::string_view("a\0b", 3), Plus::keep));
}

TEST_CASE("a target is split into host, path and query") {
  const auto plain = parse_target("GET", "/a%20b/../c?d=%41&e?f");
  REQUIRE(plain);
  CHECK(plain->authority.empty());
  CHECK(plain->path == "/a b/../c");
  CHECK(plain->query == "d=%41&e?f");
  const auto absolute = parse_target("GET", "HTTP://host:80?q");
  REQUIRE(absolute);
  CHECK(absolute->authority == "host:80");
  CHECK(absolute->path == "/");
  CHECK(absolute->query == "q");
  CHECK(parse_target("OPTIONS", "*")->path == "*");
}

TEST_CASE("a malformed target is refused") {
  for (std::string_view bad : {"", "*", "a", "/a#b", "/%", "/%00", "/?%", "/?a=%00", "ftp://a/",
                               "http:///", "http://", "http://user@host/", "a:80"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_target("GET", bad));
  }
}

TEST_CASE("list members are found in any case and not as parts of others") {
  CHECK(list_contains("close", "close"));
  CHECK(list_contains("a, CLOSE\t,b", "close"));
  CHECK_FALSE(list_contains("closed, xclose", "close"));
  CHECK_FALSE(list_contains("", "close"));
}

}  // namespace
}  // namespace consort::http1
