#include "wire/resp.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace consort::resp;
using Words = std::vector<std::string>;

struct Request {
  Progress progress;
  Words words;
  std::size_t size;
  std::string error;
};

/// Parses the first request, giving the parser `step` bytes more at a time.
Request parse(const std::string& bytes, std::size_t step) {
  RequestParser parser;
  Request result{Progress::more, {}, 0, {}};
  for (std::size_t end = 0; end < bytes.size() && result.progress == Progress::more;) {
    end = std::min(end + step, bytes.size());
    // A buffer of its own: reading past its end is seen, and so is a pointer kept to the last one.
    const std::string piece = bytes.substr(0, end);
    result.progress = parser.parse(piece);
    if (result.progress != Progress::done) continue;
    for (std::size_t i = 0; i < parser.argc(); ++i) result.words.emplace_back(parser.arg(i, piece));
  }
  result.size = parser.size();
  result.error = parser.error();
  return result;
}

Words words_of(const std::string& bytes) {
  const Request whole = parse(bytes, bytes.size());
  REQUIRE(whole.progress == Progress::done);
  CHECK(whole.size == bytes.size());
  const Request dripped = parse(bytes, 1);
  CHECK(dripped.words == whole.words);
  CHECK(dripped.size == whole.size);
  return whole.words;
}

std::string error_of(const std::string& bytes) {
  const Request whole = parse(bytes, bytes.size());
  const Request dripped = parse(bytes, 1);
  CHECK(dripped.error == whole.error);
  CHECK((whole.progress == Progress::error) == !whole.error.empty());
  return whole.error;
}

const std::string kProtocol = "ERR Protocol error: ";

}  // namespace

TEST_CASE("a request is an array of bulk strings, however it arrives") {
  CHECK(words_of("*2\r\n$3\r\nGET\r\n$16\r\nuser:1000000:abc\r\n") ==
        Words{"GET", "user:1000000:abc"});
  CHECK(words_of("*1\r\n$0\r\n\r\n") == Words{""});
  const std::string binary("\r\n\0\n", 4);
  CHECK(words_of("*2\r\n$4\r\nECHO\r\n$4\r\n" + binary + "\r\n") == Words{"ECHO", binary});
}

TEST_CASE("empty requests are skipped") {
  for (const char* empty :
       {"*0\r\n", "*-1\r\n", "*-9223372036854775808\r\n", "\r\n", "\n", "  \n"}) {
    CHECK(words_of(empty).empty());
  }
}

TEST_CASE("a pipeline is taken one request at a time") {
  std::string bytes = "PING\r\n*1\r\n$4\r\nPING\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  RequestParser parser;
  std::vector<std::size_t> sizes;
  for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(parser.size())) {
    parser.reset();
    REQUIRE(parser.parse(rest) == Progress::done);
    sizes.push_back(parser.size());
  }
  CHECK(sizes == std::vector<std::size_t>{6, 14, 2, 20});
}

TEST_CASE("the parser looks only at what is new") {
  const std::string body(1 << 20, 'x');
  const std::string bytes = "*2\r\n$3\r\nSET\r\n$1048576\r\n" + body + "\r\n";
  RequestParser parser;
  CHECK(parser.parse(std::string_view(bytes).substr(0, 100)) == Progress::more);
  // The head is overwritten: if it were read again, the request would be refused.
  std::string moved = bytes;
  moved.replace(0, 23, std::string(23, '!'));
  CHECK(parser.parse(moved) == Progress::done);
  CHECK(parser.arg(1, bytes) == body);
}

TEST_CASE("ill-formed requests get the server's words") {
  CHECK(error_of("*a\r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*\r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*01\r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*-0\r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*+1\r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*1 \r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*1048577\r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*99999999999999999999\r\n") == kProtocol + "invalid multibulk length");
  CHECK(error_of("*1\r\n+4\r\n") == kProtocol + "expected '$', got '+'");
  CHECK(error_of("*1\r\n\r\n") == kProtocol + "expected '$', got ' '");
  CHECK(error_of("*1\r\n$-1\r\n") == kProtocol + "invalid bulk length");
  CHECK(error_of("*1\r\n$\r\n") == kProtocol + "invalid bulk length");
  CHECK(error_of("*1\r\n$04\r\nPING\r\n") == kProtocol + "invalid bulk length");
  CHECK(error_of("*1\r\n$536870913\r\n") == kProtocol + "invalid bulk length");
  CHECK(error_of("*1\r\n$99999999999999999999\r\n") == kProtocol + "invalid bulk length");
  CHECK(error_of("ECHO \"a\r\n") == kProtocol + "unbalanced quotes in request");
  CHECK(error_of("ECHO 'a\r\n") == kProtocol + "unbalanced quotes in request");
  CHECK(error_of("ECHO \"a\"b\r\n") == kProtocol + "unbalanced quotes in request");
}

TEST_CASE("limits hold to the byte") {
  const std::string digits(kMaxInline, '1');
  CHECK(error_of("*" + digits) == kProtocol + "too big mbulk count string");
  CHECK(error_of("*1\r\n$" + digits) == kProtocol + "too big bulk count string");
  CHECK(error_of(digits + "1") == kProtocol + "too big inline request");
  CHECK(parse(digits, 1000).progress == Progress::more);
  CHECK(words_of(digits + "\n") == Words{digits});
  CHECK(parse("*1\r\n$536870912\r\n", 5).progress == Progress::more);
  CHECK(parse("*1048576\r\n", 5).progress == Progress::more);
}

TEST_CASE("a header's type byte is judged when its line is whole") {
  CHECK(parse("*1\r\nX", 1).progress == Progress::more);
  CHECK(parse("*1\r\nXYZ\r", 1).progress == Progress::more);
}

TEST_CASE("the bytes where line ends should be are not looked at, as in the server") {
  CHECK(words_of("*1\rX$4\rYPINGzz") == Words{"PING"});
}

TEST_CASE("a NUL hides a line end, so that the line never ends") {
  const std::string line("ECHO a\0b\r\n", 10);
  CHECK(parse(line, 3).progress == Progress::more);
  CHECK(parse(std::string("*1\0\r\n", 5), 1).progress == Progress::more);
  CHECK(error_of(line + std::string(kMaxInline, '\n')) == kProtocol + "too big inline request");
}

TEST_CASE("inline words follow the server's quoting") {
  CHECK(words_of("  PING  \r\n") == Words{"PING"});
  CHECK(words_of("SET k \"a b\"\r\n") == Words{"SET", "k", "a b"});
  CHECK(words_of("ECHO \"\\x41\\n\\r\\t\\b\\a\\q\\\"\"\n") == Words{"ECHO", "A\n\r\t\b\aq\""});
  CHECK(words_of("ECHO \"\\x4\" \"\\xZZ\"\n") == Words{"ECHO", "x4", "xZZ"});
  CHECK(words_of("ECHO 'a\\'b\\n' '' \"\"\n") == Words{"ECHO", "a'b\\n", "", ""});
  CHECK(words_of("ECHO a\"b c\"\td\n") == Words{"ECHO", "ab c", "d"});
  CHECK(words_of("\vECHO a\vb\n") == Words{"ECHO", "a\vb"});
  CHECK(words_of("$4\r\n") == Words{"$4"});
}

TEST_CASE("every kind of reply is skipped, however it arrives") {
  const std::string replies[] = {
      "+OK\r\n",
      "-ERR no\r\n",
      ":-12\r\n",
      "$5\r\nhello\r\n",
      "$0\r\n\r\n",
      "$4\r\n\r\n\r\n\r\n",
      "$-1\r\n",
      "*-1\r\n",
      "*0\r\n",
      "_\r\n",
      "#t\r\n",
      ",1.5e3\r\n",
      "(3492890328409238509324850943850943825024385\r\n",
      "!21\r\nSYNTAX invalid syntax\r\n",
      "=15\r\ntxt:Some string\r\n",
      "*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n",
      "%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n",
      "~3\r\n:1\r\n:2\r\n:3\r\n",
      ">3\r\n+message\r\n+c\r\n$1\r\nx\r\n",
      "|1\r\n+ttl\r\n:3600\r\n$1\r\na\r\n",
      "*2\r\n|1\r\n+x\r\n*0\r\n:1\r\n:2\r\n",
      "|0\r\n+OK\r\n",
  };
  for (const std::string& reply : replies) {
    CAPTURE(reply);
    const std::string stream = reply + "+NEXT\r\n";
    ReplyScanner scanner;
    const ReplyScanner::Step whole = scanner.scan(stream);
    CHECK(whole.progress == Progress::done);
    CHECK(whole.used == reply.size());
    CHECK(scanner.idle());
    for (std::size_t i = 0; i < reply.size(); ++i) {
      const std::string byte = stream.substr(i, 1);
      const ReplyScanner::Step step = scanner.scan(byte);
      CHECK(step.used == 1);
      CHECK(step.progress == (i + 1 == reply.size() ? Progress::done : Progress::more));
      CHECK(scanner.idle() == (i + 1 == reply.size()));
    }
  }
}

TEST_CASE("the type of a reply is that of the value, not of its attribute") {
  ReplyScanner scanner;
  CHECK(scanner.type() == 0);
  scanner.scan("|1\r\n+a\r\n*1\r\n:1\r\n>1\r\n+x\r\n");
  CHECK(scanner.type() == '>');
  scanner.scan("$-1\r\n");
  CHECK(scanner.type() == '$');
}

TEST_CASE("replies that break the protocol are errors") {
  for (const char* reply : {"x\r\n",
                            "\r\n",
                            "$x\r\n",
                            "$?\r\n",
                            "*?\r\n",
                            "$-2\r\n",
                            "%-1\r\n",
                            "=-1\r\n",
                            "$\r\n",
                            "*\r\n",
                            "$1\nab",
                            "$1\r\nabc",
                            "$0\r\nxx",
                            "+OK\n",
                            "+\n",
                            "$1\r\na\rb",
                            "*99999999999999999999\r\n",
                            "$99999999999999999999\r\n",
                            "$1x\r\n",
                            "$0000000000000000000001"}) {
    CAPTURE(reply);
    CHECK(ReplyScanner().scan(reply).progress == Progress::error);
    ReplyScanner dripped;
    Progress progress = Progress::more;
    for (const char* c = reply; *c != '\0' && progress == Progress::more; ++c) {
      progress = dripped.scan({c, 1}).progress;
    }
    CHECK(progress == Progress::error);
  }
}

TEST_CASE("nesting is limited, lengths are not trusted") {
  std::string deep;
  for (std::size_t i = 0; i < ReplyScanner::kMaxDepth; ++i) deep += "*1\r\n";
  CHECK(ReplyScanner().scan(deep + ":1\r\n").progress == Progress::done);
  CHECK(ReplyScanner().scan(deep + "*1\r\n:1\r\n").progress == Progress::error);
  ReplyScanner dripped;
  for (const char& c : deep) REQUIRE(dripped.scan({&c, 1}).progress == Progress::more);
  CHECK(dripped.scan(":1\r\n+OK\r\n").used == 4);
  CHECK(dripped.scan("+OK\r\n").progress == Progress::done);
  CHECK(ReplyScanner().scan("*1000000000000\r\n:1\r\n").progress == Progress::more);
  CHECK(ReplyScanner().scan("$1000000000000\r\n").progress == Progress::more);
}

TEST_CASE("an array's elements come out whole") {
  ArrayReader array("*4\r\n$1\r\na\r\n*1\r\n:1\r\n$-1\r\n-ERR x\r\n");
  CHECK(array.is_array());
  CHECK(array.size() == 4);
  CHECK(array.next() == "$1\r\na\r\n");
  CHECK(array.next() == "*1\r\n:1\r\n");
  CHECK(array.next() == "$-1\r\n");
  CHECK(array.next() == "-ERR x\r\n");
  CHECK(array.next().empty());
  ArrayReader decorated("|1\r\n+a\r\n:1\r\n~1\r\n+x\r\n");
  CHECK(decorated.is_array());
  CHECK(decorated.next() == "+x\r\n");
  for (const char* other : {"", "*-1\r\n", "$1\r\na\r\n", "%1\r\n+a\r\n+b\r\n", "-ERR\r\n"}) {
    CHECK(!ArrayReader(other).is_array());
  }
}

TEST_CASE("integers are read strictly") {
  std::int64_t value = 0;
  CHECK(read_integer(":-42\r\n", value));
  CHECK(value == -42);
  for (const char* other : {"", ":\r\n", ":1", ":1x\r\n", "+1\r\n", ":99999999999999999999\r\n"}) {
    CHECK(!read_integer(other, value));
  }
}

TEST_CASE("requests are written in the server's form") {
  std::string out;
  append_array_header(out, 2);
  append_bulk(out, "GET");
  append_bulk(out, "");
  CHECK(out == "*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
}
