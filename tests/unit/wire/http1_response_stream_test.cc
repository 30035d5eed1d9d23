#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "wire/http1_response.hpp"

namespace consort::http1 {
namespace {

using Event = ResponseStream::Event;

/// Reads one answer, to the end of the stream when it must.
struct Reading {
  bool ok = false;
  int status = 0;
  bool keep_alive = false;
  std::string headers;
  std::string body;
  std::string rest;
  ResponseFault fault = ResponseFault::none;
};

Reading read(std::string_view bytes, AnswerTo request = AnswerTo::other,
             std::size_t piece = ~std::size_t{0}, Limits limits = {}) {
  ResponseStream stream(limits);
  stream.begin(request);
  Reading out;
  Event event = Event::more;
  while (!bytes.empty() && event != Event::done && event != Event::error) {
    std::string_view part = bytes.substr(0, piece);
    const std::size_t size = part.size();
    do {
      const auto item = stream.next(part);
      event = item.event;
      out.body += item.body;
    } while (event == Event::head || event == Event::body);
    bytes.remove_prefix(size - part.size());
  }
  if (event == Event::more) event = stream.finish();
  out.ok = event == Event::done;
  out.fault = stream.fault();
  out.rest = bytes;
  if (!out.ok) return out;
  out.status = stream.head().status();
  out.keep_alive = stream.keep_alive();
  for (std::size_t i = 0; i < stream.head().size(); ++i) {
    const HeaderView header = stream.head()[i];
    out.headers.append(header.name).append("=").append(header.value).append(";");
  }
  return out;
}

TEST_CASE("an answer is the same however its bytes are split") {
  for (std::string_view bytes :
       {"HTTP/1.1 200 OK\r\nA:  b c \r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 100\r\n\r\nHTTP/1.1 200\r\nA:\tb c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab"
        "\r\n1;x=\"y z\";w\r\nc\r\n0\r\nT: u\r\n\r\n",
        "HTTP/1.0 200 Fine thing\r\na:b c\t\r\n\r\nabc"}) {
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
      const Reading out = read(bytes, AnswerTo::other, piece);
      REQUIRE(out.ok);
      CHECK(out.status == 200);
      CHECK(out.body == "abc");
      CHECK(out.headers.substr(1, 5) == "=b c;");
    }
  }
}

TEST_CASE("headers are found in any case of letters, the first one first") {
  ResponseStream stream{Limits()};
  stream.begin(AnswerTo::other);
  std::string_view bytes = "HTTP/1.1 200 OK\r\nX-a: 1\r\nx-A: 2\r\nE:\r\nContent-Length: 0\r\n\r\n";
  CHECK(stream.untouched());
  CHECK(stream.next(bytes).event == Event::head);
  CHECK_FALSE(stream.untouched());
  CHECK(stream.head().find("X-A") == "1");
  CHECK(stream.head().find("e").empty());
  CHECK(stream.head().find("x").empty());
  CHECK(stream.next(bytes).event == Event::done);
}

TEST_CASE("a header is found among others of its length, without the blanks around its value") {
  ResponseStream stream{Limits()};
  stream.begin(AnswerTo::other);
  const std::string long_name(70, 'n');  // shares its place among the lengths with six letters
  std::string bytes =
      "HTTP/1.1 200 OK\r\nServer: a\r\nVia:b \t\r\nX^Y~z`: \t c\td \r\nContent-Typo: e\r\n"
      "CONTENT-type:\tf\r\nContent-Length: 0\r\nBlanks: \t \r\n" +
      long_name + ": g\r\n\r\n";
  std::string_view rest = bytes;
  REQUIRE(stream.next(rest).event == Event::head);
  const ResponseHead& head = stream.head();
  CHECK(head.find("server") == "a");
  CHECK(head.find("via") == "b");
  CHECK(head.find("Cookie").empty());
  CHECK(head.find("x^y~Z`") == "c\td");
  CHECK(head.find("x~y^z@").empty());
  CHECK(head.find("content-type") == "f");
  CHECK(head.find("content-tape").empty());
  CHECK(head.find("blanks").empty());
  CHECK(head.find(long_name) == "g");
  CHECK(head.find(std::string(70, 'm')).empty());
  CHECK(head.find("").empty());
  CHECK(head[6].name == "Blanks");
  CHECK(head[6].value.empty());
  CHECK(head[2].name == "X^Y~z`");
  CHECK(head[2].value == "c\td");
}

TEST_CASE("the headers of an interim answer are not those of the answer") {
  ResponseStream stream{Limits()};
  stream.begin(AnswerTo::other);
  std::string_view rest =
      "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\nX-Y: b\r\n\r\n";
  REQUIRE(stream.next(rest).event == Event::head);
  CHECK(stream.head().size() == 1);
  CHECK(stream.head().find("link").empty());
  CHECK(stream.head().find("x-y") == "b");
}

TEST_CASE("a head that was taken out outlives the next answer") {
  ResponseStream stream{Limits()};
  ResponseHead head;
  for (std::string_view value : {"1", "2"}) {
    stream.begin(AnswerTo::other);
    const std::string bytes = "HTTP/1.1 204 No\r\nX: " + std::string(value) +
                              "\r\nLong: " + std::string(99, 'y') + "\r\n\r\n";
    std::string_view rest = bytes;
    CHECK(stream.next(rest).event == Event::head);
    stream.swap_head(head);
  }
  stream.begin(AnswerTo::other);
  CHECK(head.find("x") == "2");
}

TEST_CASE("body bytes are handed on as they lie in the input") {
  const std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP";
  ResponseStream stream{Limits()};
  stream.begin(AnswerTo::other);
  std::string_view rest = bytes;
  CHECK(stream.next(rest).event == Event::head);
  CHECK(stream.length_left() == 5);
  const auto item = stream.next(rest);
  CHECK(item.event == Event::body);
  CHECK(item.body.data() == bytes.data() + bytes.find("hello"));
  CHECK(item.body == "hello");
  CHECK(stream.length_left() == 0);
  CHECK(stream.next(rest).event == Event::done);
  CHECK(stream.next(rest).event == Event::done);
  CHECK(rest == "HTTP");
}

TEST_CASE("answers to HEAD, 204 and 304 have no body whatever they say") {
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  CHECK(read(ok, AnswerTo::head).ok);
  CHECK(read(ok).fault == ResponseFault::closed);
  for (std::string_view status : {"204", "304"}) {
    const Reading out =
        read("HTTP/1.1 " + std::string(status) + "\r\nTransfer-Encoding: chunked\r\n\r\nxx");
    CHECK(out.ok);
    CHECK(out.body.empty());
    CHECK(out.rest == "xx");
  }
}

TEST_CASE("what the connection is good for afterwards") {
  const auto keeps = [](std::string_view version, std::string_view lines) {
    return read("HTTP/" + std::string(version) + " 200 OK\r\nContent-Length: 0\r\n" +
                std::string(lines) + "\r\n")
        .keep_alive;
  };
  CHECK(keeps("1.1", ""));
  CHECK(keeps("1.1", "Connection: keep-alive\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps("1.1", "connection: x, CLOSE\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  CHECK_FALSE(keeps("1.0", ""));
  CHECK(keeps("1.0", "Connection: Keep-Alive\r\n"));
  CHECK(keeps("1.0", "Connection: x , keep-alive\r\n"));
  CHECK_FALSE(read("HTTP/1.1 200 OK\r\n\r\nabc").keep_alive);
}

TEST_CASE("what is malformed or ambiguous is refused") {
  for (std::string_view line :
       {"HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 20x OK", "HTTP/1.1  200 OK", "HTTP/1.1",
        "HTTP/1.1 ", "HTTP/1.1 099 OK", "HTTP/2.0 200 OK", "HTTP/1.2 200 OK", "http/1.1 200 OK",
        "ICY 200 OK", "HTTP/1.1 200OK", "", "HTTP/1.1 101 Switching", "HTTP/1.1 200 a\rb"}) {
    CAPTURE(line);
    const Reading out = read(std::string(line) + "\r\nContent-Length: 0\r\n\r\n");
    CHECK_FALSE(out.ok);
    CHECK(out.fault == ResponseFault::protocol);
  }
  for (std::string_view lines : {"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                                 "Content-Length: 1\r\nContent-Length: 1\r\n",
                                 "Content-Length: 1\r\nContent-Length: 2\r\n",
                                 "Content-Length: x\r\n",
                                 "Content-Length: -1\r\n",
                                 "Content-Length: 1, 1\r\n",
                                 "Content-Length:\r\n",
                                 "Content-Length: 9999999999999999999\r\n",
                                 "Content-Length: 1\t\r\n",
                                 "Transfer-Encoding: chunked\t\r\n",
                                 "Transfer-Encoding: gzip\r\n",
                                 "Transfer-Encoding: gzip, chunked\r\n",
                                 "Transfer-Encoding: \r\n",
                                 "Content-Length: 1\r\nTransfer-Encoding:\r\n",
                                 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                 "X: a\r\n b\r\n",
                                 " X: a\r\n",
                                 ": x\r\n",
                                 "X : a\r\n",
                                 "X\r\n",
                                 "X: a\nY: b\r\n",
                                 "X: a\x7f\r\n",
                                 "X: a\x01\r\n",
                                 "X: a\r\r\n",
                                 "X\x80: a\r\n"}) {
    CAPTURE(lines);
    const Reading out = read("HTTP/1.1 200 OK\r\n" + std::string(lines) + "\r\nx");
    CHECK_FALSE(out.ok);
    CHECK(out.fault == ResponseFault::protocol);
  }
  CHECK_FALSE(read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").ok);
  CHECK(read("HTTP/1.1 200 OK\r\nX: \x80\xff\ta\r\nContent-Length: 0\r\n\r\n").ok);
}

TEST_CASE("chunks are sizes, extensions of RFC 9112, and CRLF") {
  const auto reads = [](std::string_view body) {
    return read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body)).ok;
  };
  for (std::string_view line : {"1", "01", "1;a", "1;a=b", "1;a=b;c", "1;a=\"b;\";c=\"\"",
                                "0000000000000000000000000001"}) {
    CAPTURE(line);
    CHECK(reads(std::string(line) + "\r\nx\r\n0\r\n\r\n"));
  }
  for (std::string_view line :
       {"", "x", "0x1", "-1", "1 ", " 1", "1;", "1;;a", "1;=b", "1;a=", "1; a", "1 ;a", "1;a=\"b",
        "1;a=\"b\"c", "1;a=\"\\\"\"", "ffffffffffffffffffff", "10000000000000001"}) {
    CAPTURE(line);
    CHECK_FALSE(reads(std::string(line) + "\r\nx\r\n0\r\n\r\n"));
  }
  CHECK_FALSE(reads("1\r\nxy\r\n0\r\n\r\n"));
  CHECK_FALSE(reads("1\r\nx\n0\r\n\r\n"));
  CHECK_FALSE(reads("1\nx\r\n0\r\n\r\n"));
  CHECK_FALSE(reads("0\r\nContent-Length: 1\r\n\r\n"));
  CHECK_FALSE(reads("0\r\n a: b\r\n\r\n"));
  CHECK_FALSE(reads("0\r\nnothing\r\n\r\n"));
  CHECK(reads("0\r\nA: b\r\n\r\n"));
  CHECK_FALSE(reads("1;" + std::string(kMaxChunkLine, 'a') + "\r\nx\r\n0\r\n\r\n"));
}

TEST_CASE("limits hold to the byte, through interim answers and trailers too") {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string trailer = "A: b\r\n\r\n";
  const std::string whole = interim + head + "1\r\nx\r\n0\r\n" + trailer;
  const std::size_t bytes = interim.size() + head.size() + trailer.size();
  for (std::size_t piece : {std::size_t{1}, whole.size()}) {
    CHECK(read(whole, AnswerTo::other, piece, {.header_bytes = bytes}).ok);
    CHECK(read(whole, AnswerTo::other, piece, {.header_bytes = bytes - 1}).fault ==
          ResponseFault::header_limit);
    CHECK(read(whole, AnswerTo::other, piece, {.header_count = 2}).ok);
    CHECK(read(whole, AnswerTo::other, piece, {.header_count = 1}).fault ==
          ResponseFault::header_limit);
    CHECK(read(whole, AnswerTo::other, piece, {.body_bytes = 1}).ok);
    CHECK(read(whole, AnswerTo::other, piece, {.body_bytes = 0}).fault ==
          ResponseFault::body_limit);
  }
  const std::string endless = "HTTP/1.1 200 OK\r\n\r\nabcd";
  CHECK(read(endless, AnswerTo::other, 1, {.body_bytes = 4}).ok);
  CHECK(read(endless, AnswerTo::other, 1, {.body_bytes = 3}).fault == ResponseFault::body_limit);
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", AnswerTo::other, 99, {.body_bytes = 3})
            .fault == ResponseFault::body_limit);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += interim;
  CHECK(read(many).fault == ResponseFault::header_limit);
}

TEST_CASE("an end before the message's end is told") {
  const std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const Reading out = read(std::string_view(bytes).substr(0, length));
    CHECK_FALSE(out.ok);
    CHECK(out.fault == ResponseFault::closed);
  }
}

TEST_CASE("the server's own idle time is read where it is well-formed") {
  const auto timeout = [](std::string_view value) {
    ResponseStream stream{Limits()};
    stream.begin(AnswerTo::other);
    const std::string bytes = "HTTP/1.1 204 No\r\nKeep-Alive: " + std::string(value) + "\r\n\r\n";
    std::string_view rest = bytes;
    CHECK(stream.next(rest).event == Event::head);
    return stream.keep_alive_timeout_s();
  };
  CHECK(timeout("timeout=5") == 5);
  CHECK(timeout("max=100 , TIMEOUT=75") == 75);
  CHECK(timeout("timeout=9, timeout=3") == 3);
  for (std::string_view bad : {"", "timeout", "timeout=", "timeout=x", "timeout=5s", "timeout=-1",
                               "timeout=99999999999", "xtimeout=5"}) {
    CHECK_FALSE(timeout(bad));
  }
}

}  // namespace
}  // namespace consort::http1
