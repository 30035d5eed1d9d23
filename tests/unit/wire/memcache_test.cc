#include "wire/memcache.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace consort::memcache;

/// What became of the first request of some bytes.
struct Request {
  Progress progress = Progress::more;
  std::size_t size = 0;
  std::size_t to_discard = 0;
  std::string error;
  std::string forward;
  std::vector<std::string> keys;
  Command command = Command::unknown;
  bool quiet = false;
  bool canonical = false;

  bool operator==(const Request&) const = default;
};

Request parse_in_steps(const std::string& bytes, std::size_t step) {
  RequestParser parser;
  Request result;
  std::string piece;
  for (std::size_t end = 0; end < bytes.size() && result.progress == Progress::more;) {
    end = std::min(end + step, bytes.size());
    piece = bytes.substr(0, end);
    result.progress = parser.parse(piece);
  }
  if (result.progress != Progress::done) return result;
  result.size = parser.size();
  result.to_discard = parser.to_discard();
  result.error = parser.error_reply();
  result.command = parser.command();
  result.quiet = parser.quiet();
  result.canonical = parser.is_canonical();
  if (!result.error.empty()) return result;
  parser.append_forward(result.forward, piece);
  for (std::size_t i = parser.first_key(); i < parser.last_key(); ++i) {
    result.keys.emplace_back(parser.word(i, piece));
  }
  return result;
}

Request parse(const std::string& bytes) {
  Request whole = parse_in_steps(bytes, bytes.size());
  CHECK(parse_in_steps(bytes, 1) == whole);
  return whole;
}

/// The error of a line that is refused, without its CRLF; "(silence)" where the server says
/// nothing.
std::string error_of(const std::string& line) {
  const Request request = parse(line + "\r\n");
  CHECK(request.progress == Progress::done);
  CHECK(request.size == line.size() + 2);
  if (request.error.empty()) return {};
  CHECK(request.error.ends_with("\r\n"));
  return request.quiet ? "(silence)" : request.error.substr(0, request.error.size() - 2);
}

const std::string kLongKey(251, 'k');
const std::string kKey(250, 'k');
const std::string kBadFormat = "CLIENT_ERROR bad command line format";
const std::string kBadDelete = kBadFormat + ".  Usage: delete <key> [noreply]";

ReplyScanner::Step scan_dripped(ReplyScanner& scanner, const std::string& bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const ReplyScanner::Step step = scanner.scan(std::string_view(bytes).substr(i, 1));
    if (step.progress != Progress::more) return {step.progress, i + 1};
  }
  return {Progress::more, bytes.size()};
}

}  // namespace

TEST_CASE("well-formed requests are forwarded as they are") {
  for (const std::string bytes : {"get a\r\n",
                                  "gets a b c\r\n",
                                  "gat 10 a b\r\n",
                                  "gats -1 a\r\n",
                                  "set a 0 0 2\r\nok\r\n",
                                  "add a 4294967295 -1 0\r\n\r\n",
                                  "cas a 0 0 2 18446744073709551615\r\n\r\n\r\n",
                                  "set a 0 0 2 other\r\nok\r\n",
                                  "delete a\r\n",
                                  "delete a 0\r\n",
                                  "incr a 1\r\n",
                                  "touch a -1\r\n",
                                  "mg a v t k O123 Pxyz Lfoo\r\n",
                                  "ms a 2 T0 F1\r\nok\r\n",
                                  "md a q q\r\n",
                                  "ma a MI D5\r\n",
                                  "me a\r\n",
                                  "mn\r\n",
                                  "mg a !\r\n",
                                  "flush_all\r\n",
                                  "flush_all 10\r\n",
                                  "version\r\n",
                                  "verbosity 1\r\n",
                                  "stats items\r\n",
                                  "quit\r\n",
                                  "lru tune 1 2\r\n",
                                  "slabs automove 1 x\r\n",
                                  "lru_crawler crawl 1,2\r\n",
                                  "lru_crawler enable\r\n",
                                  "extstore item_size 5\r\n",
                                  "refresh_certs\r\n",
                                  "watch fetchers evictions\r\n"}) {
    CAPTURE(bytes);
    const Request request = parse(bytes + "get next\r\n");
    CHECK(request.progress == Progress::done);
    CHECK(request.error.empty());
    CHECK(request.size == bytes.size());
    CHECK(request.canonical);
    CHECK(!request.quiet);
    CHECK(request.forward == bytes);
  }
}

TEST_CASE("requests are brought into the server's usual form") {
  CHECK(parse("  get   a  b \n").forward == "get a b\r\n");
  CHECK(parse("get a\n").forward == "get a\r\n");
  CHECK(parse(" set  a 0  0 2 \nok\r\n").forward == "set a 0 0 2\r\nok\r\n");
  CHECK(parse(std::string("set a 0 0 2\0 noreply\r\nok\r\n", 26)).forward ==
        "set a 0 0 2\r\nok\r\n");
  CHECK(!parse("get a \r\n").canonical);
  CHECK(!parse("get a\n").canonical);
}

TEST_CASE("noreply and the flag q are noticed and stripped") {
  const auto quiet = [](const std::string& bytes) {
    const Request request = parse(bytes);
    CHECK(request.quiet);
    CHECK(!request.canonical);
    return request.forward;
  };
  CHECK(quiet("set a 0 0 2 noreply\r\nok\r\n") == "set a 0 0 2\r\nok\r\n");
  CHECK(quiet("cas a 0 0 2 7 noreply\r\nok\r\n") == "cas a 0 0 2 7\r\nok\r\n");
  CHECK(quiet("delete a noreply\r\n") == "delete a\r\n");
  CHECK(quiet("delete a 0 noreply\r\n") == "delete a 0\r\n");
  CHECK(quiet("incr a 1 noreply\r\n") == "incr a 1\r\n");
  CHECK(quiet("touch a 1 noreply\r\n") == "touch a 1\r\n");
  CHECK(quiet("flush_all noreply\r\n") == "flush_all\r\n");
  CHECK(quiet("flush_all 5 noreply\r\n") == "flush_all 5\r\n");
  CHECK(quiet("verbosity 1 noreply\r\n") == "verbosity 1\r\n");
  CHECK(quiet("mg a q v\r\n") == "mg a v\r\n");
  CHECK(quiet("ms q 2 c q\r\nok\r\n") == "ms q 2 c\r\nok\r\n");
  CHECK(quiet("md a q\r\n") == "md a\r\n");
  CHECK(quiet("lru mode flat noreply\r\n") == "lru mode flat\r\n");
  CHECK(quiet("lru mode flat x noreply noreply\r\n") == "lru mode flat x\r\n");
  CHECK(quiet("slabs automove 1 noreply\r\n") == "slabs automove 1\r\n");
  CHECK(quiet("slabs automove noreply\r\n") == "slabs automove\r\n");
  CHECK(quiet("extstore item_size 5 noreply\r\n") == "extstore item_size 5\r\n");
  CHECK(!parse("mn q\r\n").quiet);
  CHECK(!parse("get noreply\r\n").quiet);
  CHECK(!parse("delete noreply\r\n").quiet);
  CHECK(!parse("set a 0 0 2 NOREPLY\r\nok\r\n").quiet);
}

TEST_CASE("keys are the words that name an item") {
  using Keys = std::vector<std::string>;
  CHECK(parse("get a b a\r\n").keys == Keys{"a", "b", "a"});
  CHECK(parse("gat 5 a b\r\n").keys == Keys{"a", "b"});
  CHECK(parse("set a 0 0 0\r\n\r\n").keys == Keys{"a"});
  CHECK(parse("delete a 0\r\n").keys == Keys{"a"});
  CHECK(parse("mg Zm9v b\r\n").keys == Keys{"Zm9v"});
  CHECK(parse("flush_all\r\n").keys.empty());
  CHECK(parse("get " + kKey + "\r\n").keys == Keys{kKey});
  std::string many = "get";
  for (int i = 0; i < 10'000; ++i) many += " key" + std::to_string(i);
  CHECK(parse_in_steps(many + "\r\n", 4096).keys.size() == 10'000);
}

// Each expected text was compared with memcached 1.6.18's reply.
TEST_CASE("a wrong number of words is ERROR, whatever the last one says") {
  for (const char* line : {"",
                           " ",
                           "\r",
                           "bogus",
                           "VERSION",
                           "get",
                           "gets",
                           "gat",
                           "get\ta",
                           "g",
                           "mx",
                           "m",
                           "mg",
                           "ms",
                           "md",
                           "ma",
                           "set a 0 0",
                           "set a 0 0 2 noreply x",
                           "set a 0 0 2 x noreply",
                           "cas a 0 0 2",
                           "incr a",
                           "incr a 1 2 3",
                           "touch",
                           "touch a",
                           "touch a 1 2 3",
                           "delete",
                           "verbosity",
                           "delete a 0 noreply x",
                           "verbosity 1 2 3",
                           "verbosity 1 x noreply",
                           "flush_all 1 2 3",
                           "flush_all 0 x noreply",
                           "cache_memlimit",
                           "cache_memlimit x",
                           "lru",
                           "lru_crawler",
                           "lru_crawler frob",
                           "lru_crawler enable x",
                           "lru_crawler enable noreply",
                           "lru_crawler sleep 100 noreply",
                           "lru_crawler metadump",
                           "slabs",
                           "slabs noreply",
                           "slabs reassign 1 2 noreply",
                           "watch frob",
                           "watch fetchers frob",
                           "watch FETCHERS",
                           "extstore"}) {
    CAPTURE(line);
    CHECK(error_of(line) == "ERROR");
  }
}

TEST_CASE("bad keys, lengths and numbers are refused in the server's words") {
  for (const std::string& line : {"get " + kLongKey,
                                  "get a " + kLongKey,
                                  "gat 1 " + kLongKey,
                                  "set " + kLongKey + " 0 0 2",
                                  "touch " + kLongKey + " 1",
                                  "delete " + kLongKey,
                                  "mg " + kLongKey,
                                  "ms " + kLongKey + " 2",
                                  "me " + kLongKey,
                                  std::string("set a 0 0 -1"),
                                  std::string("set a 0 0 abc"),
                                  std::string("set a 0 0 2147483646"),
                                  std::string("set a x 0 2"),
                                  std::string("set a -1 0 2"),
                                  std::string("set a 0 x 2"),
                                  std::string("cas a 0 0 2 x"),
                                  std::string("cas a 0 0 2 -1"),
                                  std::string("cas a 0 0 2 18446744073709551616"),
                                  std::string("ms a"),
                                  std::string("ms a abc"),
                                  std::string("ms a -1"),
                                  std::string("me"),
                                  std::string("ms a S2"),
                                  std::string("verbosity x"),
                                  std::string("verbosity -1"),
                                  std::string("me a b"),
                                  std::string("get a\tb"),
                                  std::string("get \x7f"),
                                  std::string("incr a\x01 1")}) {
    CAPTURE(line);
    CHECK(error_of(line) == kBadFormat);
  }
  CHECK(error_of("incr a abc") == "CLIENT_ERROR invalid numeric delta argument");
  CHECK(error_of("decr a -1") == "CLIENT_ERROR invalid numeric delta argument");
  CHECK(error_of("incr a 18446744073709551616") == "CLIENT_ERROR invalid numeric delta argument");
  CHECK(error_of("touch a x") == "CLIENT_ERROR invalid exptime argument");
  CHECK(error_of("gat x a") == "CLIENT_ERROR invalid exptime argument");
  CHECK(error_of("gats x") == "CLIENT_ERROR invalid exptime argument");
  CHECK(error_of("flush_all abc") == "CLIENT_ERROR invalid exptime argument");
  CHECK(error_of("flush_all noreply 0") == "CLIENT_ERROR invalid exptime argument");
  CHECK(error_of("gat 1") == "END");
  for (const char* line : {"delete a 1", "delete a foo", "delete a 0 0", "delete a noreply 0"}) {
    CHECK(error_of(line) == kBadDelete);
  }
}

TEST_CASE("a last word noreply silences complaints about its line") {
  for (const std::string& line :
       {"set " + kLongKey + " 0 0 2 noreply", std::string("set a 0 0 x noreply"),
        std::string("set a 0 0 noreply"), std::string("incr a noreply"),
        std::string("touch a x noreply"), std::string("delete a 1 noreply"),
        std::string("verbosity noreply"), std::string("flush_all abc noreply"),
        std::string("lru noreply"), std::string("lru noreply noreply"),
        std::string("extstore noreply"), std::string("watch noreply"),
        std::string("watch fetchers noreply")}) {
    CAPTURE(line);
    CHECK(error_of(line) == "(silence)");
  }
}

TEST_CASE("lru_crawler and slabs complain even with noreply") {
  CHECK(error_of("lru_crawler sleep noreply") == kBadFormat);
  CHECK(error_of("lru_crawler tocrawl noreply") == kBadFormat);
  CHECK(error_of("lru_crawler crawl noreply") == "BADCLASS invalid class id");
  CHECK(error_of("lru_crawler metadump noreply") == "BADCLASS invalid class id");
  CHECK(error_of("slabs reassign 1 noreply") == kBadFormat);
}

TEST_CASE("commands about a whole server are told apart by what their answer is") {
  CHECK(parse("lru_crawler metadump all\r\n").command == Command::dump);
  CHECK(parse("lru_crawler mgdump 1\r\n").command == Command::dump);
  CHECK(parse("lru_crawler crawl all\r\n").command == Command::admin);
  CHECK(parse("slabs reassign 1 2\r\n").command == Command::admin);
  CHECK(parse("watch\r\n").command == Command::watch);
  const Request certs = parse("refresh_certs  now noreply\r\n");
  CHECK(certs.command == Command::admin);
  CHECK(!certs.quiet);
  CHECK(certs.forward == "refresh_certs\r\n");
}

TEST_CASE("meta commands complain even when quiet") {
  std::string many = "mg a q";
  for (int i = 0; i < 17; ++i) many += " v";
  CHECK(error_of(many) == "CLIENT_ERROR options flags are too long");
  CHECK(error_of("md" + many.substr(2)) == "CLIENT_ERROR options flags too long");
  CHECK(error_of("ms a 2" + many.substr(4) + " c") == "CLIENT_ERROR options flags too long");
  CHECK(error_of("mg Zm9 b q") == "CLIENT_ERROR error decoding key");
  CHECK(error_of("md Zm9 b q") == "CLIENT_ERROR invalid or duplicate flag");
  CHECK(error_of("mg " + kLongKey + " q") == kBadFormat);
}

TEST_CASE("a refused line leaves its body, other refusals swallow it") {
  CHECK(parse("set a 0 0 x\r\nversion\r\n").size == 13);
  const Request chunk = parse("set a 0 0 2\r\nokX\r\n");
  CHECK(chunk.error == "CLIENT_ERROR bad data chunk\r\n");
  CHECK(chunk.size == 17);
  CHECK(parse("set a 0 0 2\r\nok\nv").error == chunk.error);
  CHECK(parse("set a 0 0 2 noreply\r\nokXX").quiet);
  CHECK(!parse("ms a 2 q\r\nokXX").quiet);
  const Request flags = parse("ms Zm9 2 b\r\nok\r\n");
  CHECK(flags.error == "CLIENT_ERROR error decoding key\r\n");
  CHECK(flags.size == 16);
  const Request control = parse("set a\x01 0 0 2\r\nok\r\n");
  CHECK(control.error == kBadFormat + "\r\n");
  CHECK(control.size == 18);
}

TEST_CASE("a body beyond the limit is for the caller to throw away") {
  const Request request = parse("set a 0 0 134217729\r\nxxx");
  CHECK(request.progress == Progress::done);
  CHECK(request.error == "SERVER_ERROR object too large for cache\r\n");
  CHECK(request.size == 21);
  CHECK(request.to_discard == 134217731);
  CHECK(parse("ms a 2147483645 q\r\n").to_discard == 2147483647);
  CHECK(parse("set a\x01 0 0 134217729\r\n").error == kBadFormat + "\r\n");
  CHECK(parse_in_steps("set a 0 0 134217728\r\nxxx", 5).progress == Progress::more);
}

TEST_CASE("lengths are read as the server reads them") {
  for (const char* length : {"2", "02", "+2", "2\t", "4294967298", "2\rz"}) {
    CHECK(parse(std::string("set a 0 0 ") + length + "\r\nok\r\n").error.empty());
  }
  CHECK(error_of("set a 0 0 2x") == kBadFormat);
  CHECK(error_of("set a 0 0 18446744073709551618") == kBadFormat);
}

TEST_CASE("a long line is refused unless it asks for many keys") {
  const std::string line(kMaxLine, 'x');
  CHECK(parse_in_steps(line, 100).progress == Progress::more);
  CHECK(parse_in_steps(line + "\n", 100).error == "ERROR\r\n");
  CHECK(parse_in_steps(line + "x", 100).progress == Progress::error);
  CHECK(parse_in_steps(line + "x\r\n", 4096).progress == Progress::error);
  std::string keys;
  while (keys.size() < 3 * kMaxLine) keys += " key";
  for (const char* command : {"get", "gets", "gat 1", "gats 1"}) {
    CHECK(parse_in_steps(command + keys, 100).progress == Progress::more);
    CHECK(parse_in_steps(command + keys + "\r\n", 100).error.empty());
  }
  CHECK(parse_in_steps(std::string(100, ' ') + "get" + keys, 100).progress == Progress::more);
  CHECK(parse_in_steps(std::string(101, ' ') + "get" + keys, 100).progress == Progress::error);
  CHECK(parse_in_steps("bget" + keys, 100).progress == Progress::error);
}

TEST_CASE("the binary protocol is chosen by a connection's first byte only") {
  RequestParser parser;
  CHECK(parser.parse("\x80") == Progress::error);
  RequestParser text;
  CHECK(text.parse("mn\r\n") == Progress::done);
  text.reset();
  CHECK(text.parse("\x80\r\n") == Progress::done);
  CHECK(text.error_reply() == "ERROR\r\n");
}

TEST_CASE("base64 is decoded strictly") {
  std::string out;
  CHECK(decode_base64("Zm9v", out));
  CHECK(out == "foo");
  CHECK(decode_base64("Zg==", out));
  CHECK(out == "f");
  CHECK(decode_base64("+/+/AP8=", out));
  CHECK(out == std::string("\xfb\xff\xbf\0\xff", 5));
  for (const char* bad :
       {"", "Z", "Zm9", "Zm9v=", "====", "Z===", "Zh==", "Zm9-", "Z=m=", "Zm 9", "Zm9vZg==Zm9v"}) {
    CAPTURE(bad);
    CHECK(!decode_base64(bad, out));
    CHECK(out.empty());
  }
}

TEST_CASE("the end of every reply is found, however it arrives") {
  for (const std::string reply :
       {"STORED\r\n", "ERROR\r\n", "42\r\n", "END\r\n", "VALUE a 0 2\r\nok\r\nEND\r\n",
        "VALUE a 0 0\r\n\r\nVALUE b 1 5 77\r\nEND\r\n\r\nEND\r\n", "HD\r\n", "EN\r\n", "MN\r\n",
        "VA 2 s2\r\nok\r\n", "VA 0\r\n\r\n", "STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n",
        "ITEM a [2 b; 0 s]\r\nEND\r\n", "key=a exp=-1\nkey=b exp=-1\nEND\r\n",
        "CONFIG cluster 0 3\r\nabc\r\nEND\r\n", "ME a exp=-1 la=0\r\n", "VERSION 1.6.18\r\n",
        "VALUE a 0 2\r\nok\r\nSERVER_ERROR out of memory\r\n"}) {
    CAPTURE(reply);
    const std::string stream = reply + "END\r\n";
    ReplyScanner scanner;
    const ReplyScanner::Step whole = scanner.scan(stream);
    CHECK(whole.progress == Progress::done);
    CHECK(whole.used == reply.size());
    CHECK(scanner.idle());
    const ReplyScanner::Step dripped = scan_dripped(scanner, stream);
    CHECK(dripped.progress == Progress::done);
    CHECK(dripped.used == reply.size());
    CHECK(scanner.idle());
    scanner.scan(std::string_view(stream).substr(0, reply.size() - 1));
    CHECK(!scanner.idle());
  }
  ReplyScanner scanner;
  const std::string error = "SERVER_ERROR " + std::string(5000, 'x') + "\r\n";
  CHECK(scan_dripped(scanner, error).used == error.size());
}

TEST_CASE("replies that break the protocol are errors") {
  for (const std::string& reply :
       {std::string("VALUE a 0 x\r\n"), std::string("VALUE a 0\r\n"),
        std::string("VALUE a 0 -1\r\n"), std::string("VALUE a 0 99999999999999999999\r\n"),
        std::string("VA \r\n"), std::string("VA 2\r\nokX\r"), std::string("VALUE a 0 2\r\nok\n"),
        "VALUE " + std::string(600, 'k') + " 0 2\r\n", "VA 2 k" + std::string(600, 'k') + "\r\n"}) {
    CAPTURE(reply);
    CHECK(ReplyScanner().scan(reply).progress == Progress::error);
    ReplyScanner scanner;
    CHECK(scan_dripped(scanner, reply).progress == Progress::error);
  }
}

TEST_CASE("answers fall into three classes") {
  for (const char* reply : {"STORED\r\n", "DELETED\r\n", "TOUCHED\r\n", "OK\r\n", "17\r\n",
                            "HD\r\n", "HD O1\r\n", "VA 1\r\nx\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n",
                            "MN\r\n", "VERSION 1\r\n", "RESET\r\n", "STAT a b\r\nEND\r\n"}) {
    CHECK(classify(reply) == Answer::success);
  }
  for (const char* reply : {"NOT_STORED\r\n", "NOT_FOUND\r\n", "EXISTS\r\n", "EN\r\n", "NF k\r\n",
                            "NS\r\n", "EX\r\n", "END\r\n"}) {
    CHECK(classify(reply) == Answer::miss);
  }
  for (const char* reply : {"ERROR\r\n", "CLIENT_ERROR x\r\n", "SERVER_ERROR x\r\n", "BUSY x\r\n",
                            "ERROR: shutdown not enabled\r\n", "", "\r\n"}) {
    CHECK(classify(reply) == Answer::error);
  }
}

TEST_CASE("the values of a reply are walked one by one") {
  ValueReader reader("VALUE a 0 2\r\nok\r\nVALUE b 1 5 77\r\nEND\r\n\r\nEND\r\n");
  ValueReader::Value value;
  CHECK(reader.next(value));
  CHECK(value.key == "a");
  CHECK(value.block == "VALUE a 0 2\r\nok\r\n");
  CHECK(reader.next(value));
  CHECK(value.key == "b");
  CHECK(value.block == "VALUE b 1 5 77\r\nEND\r\n\r\n");
  CHECK(!reader.next(value));
  CHECK(reader.tail() == "END\r\n");
  for (const char* cut :
       {"", "VALUE", "VALUE a 0 2\r\n", "VALUE a 0 2\r\nok\r", "VALUE a 0 x\r\nok\r\n"}) {
    ValueReader broken(cut);
    CHECK(!broken.next(value));
    CHECK(broken.tail() == cut);
  }
}
