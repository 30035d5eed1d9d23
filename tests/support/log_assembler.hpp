// What an assembler tells of some files, read in different ways that must make no difference.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "roles/logsaver/records/assembler.hpp"

namespace consort::test {

using logsaver::Assembler;
using logsaver::AssemblerRules;
using logsaver::Place;
using logsaver::Record;

/// on_record, or on_open with where a reader may begin then.
struct AssemblerCall {
  bool is_open = false;
  std::string text{};
  std::string stream{};
  Place place{};
  std::int64_t time_ns = 0;
  bool is_cut = false;
  Assembler::Counters counters{};  ///< of on_open
  friend bool operator==(const AssemblerCall&, const AssemblerCall&) = default;
};

class AssemblerRecorder final : public logsaver::RecordHandler {
 public:
  explicit AssemblerRecorder(const AssemblerRules& rules) : assembler(rules, *this) {}

  void on_record(const Record& record) override {
    calls.push_back(AssemblerCall{.text = std::string(record.text),
                                  .stream = std::string(record.stream),
                                  .place = record.place,
                                  .time_ns = record.time_ns,
                                  .is_cut = record.is_cut});
  }
  void on_open() override {
    calls.push_back(AssemblerCall{
        .is_open = true, .place = assembler.settled(), .counters = assembler.counters()});
  }

  std::vector<AssemblerCall> calls;
  Assembler assembler;
};

struct AssemblerReading {
  std::vector<AssemblerCall> calls;
  Assembler::Counters counters;
  friend bool operator==(const AssemblerReading&, const AssemblerReading&) = default;
};

using LogPieces = std::vector<std::string>;

/// Each file at once, one after the other.
inline AssemblerReading read_whole(const AssemblerRules& rules, const LogPieces& pieces) {
  AssemblerRecorder recorder(rules);
  recorder.assembler.begin({});
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0) recorder.assembler.next_piece(0);
    recorder.assembler.feed_partial(pieces[i]);
  }
  recorder.assembler.flush();
  return {std::move(recorder.calls), recorder.assembler.counters()};
}

/// From a place on, in parts of random sizes, until the end or until so many parts were fed.
inline void read_parts(Assembler& assembler, const LogPieces& pieces, Place from, Random& random,
                       std::size_t part_bytes_max, std::size_t parts) {
  assembler.begin(from);
  for (std::size_t i = from.piece; i < pieces.size(); ++i) {
    const std::string_view piece = pieces[i];
    std::size_t used = i == from.piece ? from.offset : 0;
    if (i > from.piece) assembler.next_piece(0);
    for (std::size_t read = used; read < piece.size(); --parts) {
      if (parts == 0) return;
      read = std::min(read + 1 + random.below(part_bytes_max), piece.size());
      // A copy of its own, so that a view that is kept is seen.
      const std::string bytes(piece.substr(used, read - used));
      used += assembler.feed(bytes);
    }
    const std::string rest(piece.substr(used));
    assembler.feed_partial(rest);
  }
  assembler.flush();
}

inline AssemblerReading read_split(const AssemblerRules& rules, const LogPieces& pieces,
                                   Random& random, std::size_t part_bytes_max) {
  AssemblerRecorder recorder(rules);
  read_parts(recorder.assembler, pieces, {}, random, part_bytes_max, ~std::size_t{0});
  return {std::move(recorder.calls), recorder.assembler.counters()};
}

inline void add(Assembler::Counters& sum, const Assembler::Counters& more) {
  sum.lines += more.lines;
  sum.records += more.records;
  sum.cut_records += more.cut_records;
  sum.malformed_lines += more.malformed_lines;
  sum.nul_bytes += more.nul_bytes;
}

inline std::vector<AssemblerCall> records_of(std::vector<AssemblerCall> calls) {
  std::erase_if(calls, [](const AssemblerCall& call) { return call.is_open; });
  return calls;
}

/// In turns that know nothing of each other; each ends after some parts, or goes back to a place at
/// which something opened.
inline AssemblerReading read_in_turns(const AssemblerRules& rules, const LogPieces& pieces,
                                      Random& random, std::size_t part_bytes_max) {
  AssemblerReading all;
  Place from;
  const Place end{.piece = static_cast<std::uint32_t>(pieces.size() - 1),
                  .offset = pieces.back().size()};
  for (std::size_t parts = 1;;) {
    AssemblerRecorder turn(rules);
    read_parts(turn.assembler, pieces, from, random, part_bytes_max, 1 + random.below(parts));
    std::vector<AssemblerCall>& calls = turn.calls;
    const auto is_open = [](const AssemblerCall& call) { return call.is_open; };
    Place settled = turn.assembler.settled();
    Assembler::Counters counters = turn.assembler.counters();
    const bool goes_back = random.below(4) == 0 && std::ranges::any_of(calls, is_open);
    if (goes_back || turn.assembler.has_open()) {
      const std::size_t until = goes_back ? random.below(calls.size()) + 1 : calls.size();
      auto last =
          std::find_if(calls.rend() - static_cast<std::ptrdiff_t>(until), calls.rend(), is_open);
      if (last == calls.rend()) last = std::find_if(calls.rbegin(), calls.rend(), is_open);
      settled = last->place;
      counters = last->counters;
      calls.erase(last.base() - 1, calls.end());
    }
    std::ranges::move(calls, std::back_inserter(all.calls));
    add(all.counters, counters);
    parts = settled == from ? parts * 2 : 4;  // what is open may need a longer turn
    from = settled;
    if (from == end) break;
  }
  all.calls = records_of(std::move(all.calls));
  return all;
}

}  // namespace consort::test
