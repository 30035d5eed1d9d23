#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "roles/logsaver/records/assembler.hpp"
#include "support/log_assembler.hpp"

namespace consort::logsaver {
namespace {

using Format = AssemblerRules::Format;
using test::AssemblerCall;
using test::AssemblerRecorder;
using test::LogPieces;
using test::read_in_turns;
using test::read_split;
using test::read_whole;

/// "text@offset", with "/stream", "!" when it is cut, and "<" where something opens.
std::vector<std::string> told(const std::vector<AssemblerCall>& calls) {
  std::vector<std::string> out;
  for (const AssemblerCall& call : calls) {
    std::string place = std::to_string(call.place.offset);
    if (call.place.piece > 0) place = std::to_string(call.place.piece) + ":" + place;
    if (call.is_open) {
      out.push_back("<@" + place);
      continue;
    }
    const std::string stream = call.stream.empty() ? "" : "/" + call.stream;
    out.push_back(call.text + "@" + place + stream + (call.is_cut ? "!" : ""));
  }
  return out;
}

std::vector<std::string> told(const AssemblerRules& rules, const LogPieces& pieces) {
  return told(read_whole(rules, pieces).calls);
}

using Told = std::vector<std::string>;

AssemblerRules traces_of(MultilineKind kind) {
  AssemblerRules rules;
  rules.multiline.kinds = {kind};
  return rules;
}

std::string cri(std::string_view rest) {
  return "2016-10-06T00:17:09.669794202Z " + std::string(rest) + "\n";
}
constexpr std::size_t kCriHead = 31;  // and "stdout F "

std::string docker(std::string_view log, std::string_view stream = "stdout") {
  return "{\"log\":\"" + std::string(log) + "\",\"stream\":\"" + std::string(stream) +
         "\",\"time\":\"2016-10-06T00:17:09.669794202Z\"}\n";
}

TEST_CASE("each line is a record, with its place and without its end") {
  const AssemblerRules rules;
  CHECK(Assembler::is_plain(rules));
  CHECK(told(rules, {"a\nbb\r\n\nc\r\r\n\r\n"}) == Told{"a@0", "bb@2", "@6", "c\r@7", "@11"});
  AssemblerRules keep_cr;
  keep_cr.strip_cr = false;
  CHECK(told(keep_cr, {"bb\r\n"}) == Told{"bb\r@0"});
}

TEST_CASE("a line without its end is left, until the file says that there is none") {
  const AssemblerRules rules;
  AssemblerRecorder recorder(rules);
  recorder.assembler.begin({.piece = 0, .offset = 100});
  CHECK(recorder.assembler.feed("a\nb") == 2);
  CHECK(recorder.assembler.end().offset == 102);
  CHECK(recorder.assembler.settled().offset == 102);
  CHECK(recorder.assembler.feed("b") == 0);
  CHECK(recorder.assembler.feed("b\nc") == 2);
  recorder.assembler.feed_partial("c");
  CHECK(recorder.assembler.end().offset == 105);
  recorder.assembler.feed_partial("");
  CHECK(told(recorder.calls) == Told{"a@100", "b@102", "c@104"});
  CHECK(recorder.assembler.counters() == Assembler::Counters{.lines = 3, .records = 3});
}

TEST_CASE("a line that is too long comes in pieces, the last of which is not cut") {
  AssemblerRules rules;
  rules.record_bytes_max = 4;
  CHECK(told(rules, {"abcd\nabcd\r\nabcde\nabcdefgh\nabcdefghi\r\n"}) ==
        Told{"abcd@0", "abcd@5", "abcd@11!", "e@15", "abcd@17!", "efgh@21", "abcd@26!", "efgh@30!",
             "i@34"});
  CHECK(told(rules, {"abcde"}) == Told{"abcd@0!", "e@4"});
  CHECK(told(rules, {"abcd\r"}) == Told{"abcd@0"});
  CHECK(told(rules, {"abcdefghijkl"}) == Told{"abcd@0!", "efgh@4!", "ijkl@8"});
}

TEST_CASE("of a long line something is taken when there is enough of it") {
  AssemblerRules rules;
  rules.record_bytes_max = 4;
  AssemblerRecorder recorder(rules);
  recorder.assembler.begin({});
  CHECK(recorder.assembler.feed_bytes_min() == 6);
  CHECK(recorder.assembler.feed("abcde") == 0);
  CHECK(recorder.assembler.feed("abcdef") == 4);
  CHECK(recorder.assembler.settled().offset == 4);
}

TEST_CASE("NULs where a line begins are a hole; they are left out and counted") {
  const AssemblerRules rules;
  using namespace std::string_literals;
  const LogPieces pieces = {"\0\0\0a\0b\n\0c\n\0\0"s};
  CHECK(told(rules, pieces) == Told{"a\0b@3"s, "c@8"});
  CHECK(read_whole(rules, pieces).counters.nul_bytes == 6);
}

TEST_CASE("parts of CRI are joined for each stream, over a rotation too") {
  AssemblerRules rules;
  rules.format = Format::cri;
  const std::string first = cri("stdout P ab") + cri("stderr F whole\r");
  const std::string second = cri("stdout P cd") + cri("stdout F ef\r") + cri("stdout F x");
  CHECK(told(rules, {first, second}) ==
        Told{"<@0", "whole@43/stderr", "abcdef@0/stdout", "x@1:87/stdout"});
  const auto calls = read_whole(rules, {first}).calls;
  CHECK(calls[1].time_ns == 1'475'713'029'669'794'202);
}

TEST_CASE("settled is where no stream has anything open") {
  AssemblerRules rules;
  rules.format = Format::cri;
  AssemblerRecorder recorder(rules);
  Assembler& assembler = recorder.assembler;
  assembler.begin({});
  const std::string lines = cri("stdout F a") + cri("stdout P b") + cri("stderr P c");
  CHECK(assembler.feed(lines) == lines.size());
  CHECK(assembler.has_open());
  CHECK(assembler.settled().offset == 42);
  CHECK(assembler.counters().lines == 1);
  assembler.feed(cri("stdout F b"));
  CHECK(assembler.settled().offset == 42);
  assembler.feed(cri("stderr F c"));
  CHECK_FALSE(assembler.has_open());
  CHECK(assembler.settled() == assembler.end());
  CHECK(assembler.counters() == Assembler::Counters{.lines = 5, .records = 3});
  CHECK(told(recorder.calls) == Told{"a@0/stdout", "<@42", "bb@42/stdout", "cc@84/stderr"});
}

TEST_CASE("a full line of CRI is a view into what was fed") {
  class Views final : public RecordHandler {
   public:
    void on_record(const Record& record) override { seen = record.text.data(); }
    void on_open() override {}
    const char* seen = nullptr;
  };
  AssemblerRules rules;
  rules.format = Format::cri;
  Views views;
  Assembler assembler(rules, views);
  assembler.begin({});
  const std::string line = cri("stdout F text");
  assembler.feed(line);
  CHECK(views.seen == line.data() + kCriHead + 9);
}

TEST_CASE("what is not of the format is told as it is, and counted") {
  AssemblerRules rules;
  rules.format = Format::cri;
  const LogPieces pieces = {cri("stdout P a") + "panic: no\r\n" + cri("stdout F b")};
  CHECK(told(rules, pieces) == Told{"<@0", "panic: no@42", "ab@0/stdout"});
  CHECK(read_whole(rules, pieces).counters.malformed_lines == 1);
  rules.format = Format::docker;
  CHECK(told(rules, {"{\"log\":1}\n" + docker("b\\n")}) == Told{"{\"log\":1}@0", "b@10/stdout"});
}

TEST_CASE("parts of Docker are joined until a line end comes, for each stream") {
  AssemblerRules rules;
  rules.format = Format::docker;
  const std::string part(std::size_t{16} << 10, 'x');
  const std::string lines = docker(part) + docker("err\\r\\n", "stderr") + docker(part) +
                            docker("\\u00e9nd\\n") + docker("\\\"q\\\"\\n");
  const auto calls = test::records_of(read_whole(rules, {lines}).calls);
  REQUIRE(calls.size() == 3);
  CHECK(calls[0].text == "err");
  CHECK(calls[1].text == part + part + "\xc3\xa9nd");
  CHECK(calls[1].place.offset == 0);
  CHECK(calls[2].text == "\"q\"");
}

TEST_CASE("a trace is one record, and what follows is the next") {
  const AssemblerRules rules = traces_of(MultilineKind::java);
  CHECK_FALSE(Assembler::is_plain(rules));
  CHECK(told(rules, {"x\na.bException: no\r\n\tat a.b\r\n\tat a.c\ny\n"}) ==
        Told{"x@0", "<@2", "a.bException: no\n\tat a.b\n\tat a.c@2", "y@37"});
}

TEST_CASE("a trace that says when it ends is told at once") {
  const AssemblerRules rules = traces_of(MultilineKind::python);
  AssemblerRecorder recorder(rules);
  recorder.assembler.begin({});
  recorder.assembler.feed("Traceback (most recent call last):\n  File \"a\", line 1\nE: no\n");
  CHECK_FALSE(recorder.assembler.has_open());
  CHECK(recorder.calls.size() == 2);
}

TEST_CASE("each line that begins a record is where a reader may begin") {
  const AssemblerRules rules = traces_of(MultilineKind::indent);
  CHECK(told(rules, {"a\n b\nc\nd\n\te\n"}) ==
        Told{"<@0", "a\n b@0", "<@5", "c@5", "<@7", "d\n\te@7"});
}

TEST_CASE("traces of the two streams do not mix") {
  AssemblerRules rules = traces_of(MultilineKind::indent);
  rules.format = Format::cri;
  CHECK(told(rules, {cri("stdout F a") + cri("stderr F b") + cri("stdout F  a") +
                     cri("stderr F  b") + cri("stderr F c")}) ==
        Told{"<@0", "b\n b@42/stderr", "a\n a@0/stdout", "c@170/stderr"});
}

TEST_CASE("where all lines come in parts, a reader may begin at each") {
  AssemblerRules rules = traces_of(MultilineKind::indent);
  rules.format = Format::cri;
  const std::string line = cri("stdout P a") + cri("stdout F b");
  const std::string text = cri("stdout F c") + line + line;
  CHECK(told(rules, {text}) ==
        Told{"<@0", "c@0/stdout", "<@42", "ab@42/stdout", "<@126", "ab@126/stdout"});
}

TEST_CASE("what is open ends where it would grow beyond the limit") {
  AssemblerRules rules = traces_of(MultilineKind::indent);
  rules.record_bytes_max = 10;
  CHECK(told(rules, {"abc\n def\n g\nh\n"}) ==
        Told{"<@0", "abc\n def@0!", "<@9", " g@9", "<@12", "h@12"});
}

TEST_CASE("a stream that stays open while the other one writes is ended at the limit") {
  AssemblerRules rules;
  rules.format = Format::cri;
  rules.record_bytes_max = 100;
  CHECK(told(rules,
             {cri("stdout P a") + cri("stderr F b") + cri("stderr F c") + cri("stdout F d")}) ==
        Told{"<@0", "b@42/stderr", "a@0/stdout!", "c@84/stderr", "d@126/stdout"});
}

TEST_CASE("a text that is too long inside its line comes in pieces, each with a place of its own") {
  AssemblerRules rules;
  rules.format = Format::cri;
  rules.record_bytes_max = 4;
  CHECK(told(rules, {cri("stdout F abcdefghij\r") + cri("stdout P abcde") + cri("stdout F f")}) ==
        Told{"abcd@0/stdout!", "efgh@4/stdout!", "ij@8/stdout", "abcd@52/stdout!", "e@56/stdout!",
             "f@98/stdout"});
  CHECK(told(rules, {"abcdefg\n"}) == Told{"abcd@0!", "efg@4"});
}

TEST_CASE("a line of a runtime that is longer than any is told in pieces too") {
  AssemblerRules rules;
  rules.format = Format::cri;
  rules.record_bytes_max = 100'000;
  REQUIRE(rules.line_bytes_max() == 131'072);
  const std::string text(200'000, 'x');
  const LogPieces pieces = {cri("stdout P a") + cri("stdout F " + text) + cri("stdout F b")};
  const auto reading = read_whole(rules, pieces);
  const std::vector<AssemblerCall> calls = test::records_of(reading.calls);
  REQUIRE(calls.size() == 5);
  CHECK(calls[0].is_cut);  // "a", which the long line may not go on with
  CHECK(calls[1].text.size() == 100'000);
  CHECK(calls[2].text.size() == 131'072 - 40 - 100'000);
  CHECK(calls[2].is_cut);
  CHECK(calls[3].text.size() == 200'000 - 131'032);
  CHECK(calls[3].stream.empty());
  CHECK_FALSE(calls[3].is_cut);
  CHECK(calls[4].text == "b");
  CHECK(reading.counters.malformed_lines == 1);
  Random random(7);
  CHECK(read_split(rules, pieces, random, 50'000) == reading);
  CHECK(read_in_turns(rules, pieces, random, 50'000).calls == calls);
}

TEST_CASE("silence ends what is open, in the order in which it began") {
  AssemblerRules rules = traces_of(MultilineKind::java);
  rules.format = Format::cri;
  CHECK(told(rules, {cri("stderr F x.Error: a") + cri("stdout P b") + cri("stderr P \tat c")}) ==
        Told{"<@0", "x.Error: a\n\tat c@0/stderr", "b@51/stdout"});
}

// Lines whose combinations reach all states, in any order.
const std::vector<std::string>& words(Format format) {
  using namespace std::string_literals;
  static const std::vector<std::string> raw = {"a\n",
                                               "bb\r\n",
                                               "\n",
                                               " c\n",
                                               "\tat d.e\n",
                                               "x.Error: f\n",
                                               "panic: g\n",
                                               "\0\0h\n"s,
                                               "0123456789abcdefghijklmnopqrstuvwxyz0123456789\n",
                                               "goroutine 1 [running]:\n",
                                               "main.main()\n",
                                               "Traceback (most recent call last):\n",
                                               "  File \"a\"\n",
                                               "E: x\n"};
  static const std::vector<std::string> container = {cri("stdout F a"),
                                                     cri("stdout P b"),
                                                     cri("stderr F c"),
                                                     cri("stderr P d"),
                                                     cri("stdout F  e"),
                                                     cri("stderr F \tat f"),
                                                     cri("stderr F x.Error:"),
                                                     "other\n",
                                                     cri("stdout F x.Error: 0123456789 0123456789"),
                                                     cri("stdout P \r"),
                                                     cri("stdout F "),
                                                     "\0\n"s,
                                                     docker("g"),
                                                     docker("h\\n"),
                                                     docker("i\\n", "stderr"),
                                                     docker("\\ty\\n"),
                                                     docker("\\u0041"),
                                                     docker("x.Error: \\u0041\\r\\n", "stderr")};
  return format == Format::raw ? raw : container;
}

TEST_CASE("any split gives the same calls, and any turns the same records") {
  const std::vector<std::vector<MultilineKind>> kinds = {
      {},
      {MultilineKind::indent},
      {MultilineKind::java, MultilineKind::python, MultilineKind::go},
  };
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    AssemblerRules rules;
    rules.format = static_cast<Format>(seed % 3);
    rules.multiline.kinds = kinds[random.below(kinds.size())];
    if (random.below(6) == 0) {
      rules.multiline.is_start = [](std::string_view line) { return line.starts_with('a'); };
    }
    constexpr std::size_t kLimits[] = {1, 7, 40, 100, 300, 1'000'000};
    rules.record_bytes_max = kLimits[random.below(std::size(kLimits))];
    rules.strip_cr = random.below(4) != 0;
    LogPieces pieces(1 + random.below(3));
    for (std::string& piece : pieces) {
      for (std::uint64_t left = random.below(40); left > 0; --left) {
        piece += words(rules.format)[random.below(words(rules.format).size())];
      }
      if (random.below(3) == 0 && !piece.empty()) piece.resize(piece.size() - 1);
    }
    const test::AssemblerReading whole = read_whole(rules, pieces);
    for (const std::size_t part_bytes_max : {3U, 50U, 500U}) {
      CHECK(read_split(rules, pieces, random, part_bytes_max) == whole);
      const test::AssemblerReading turns = read_in_turns(rules, pieces, random, part_bytes_max);
      CHECK(told(turns.calls) == told(test::records_of(whole.calls)));
      CHECK(turns.counters == whole.counters);
    }
  }
}

}  // namespace
}  // namespace consort::logsaver
