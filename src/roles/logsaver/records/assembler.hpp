// From the bytes of a log to records: lines, what container runtimes put around them, and what
// belongs together although it has several lines.
//
//   bytes --> lines --> format: raw, CRI, Docker --> lane of its stream: join P..F, then multiline
//                       (not of the format: told as it is, counted)          |
//                                                                       on_record()
//
// What it tells is a function of the bytes from begin() on, and of nothing else: however they are
// cut into feed()s, the same calls come out. On that rests that nothing is repeated: no state is
// kept between turns, a turn begins where the one before had nothing open, and reads the rest
// again.
//
//   turn 1   |--a--|--b--|--c .. c|        feed, feed; has_open(): c is not told
//            begin       on_open           settled() is here, before c
//   turn 2               |--c .. c .. c|--d--|
//
// stdout and stderr are joined apart from each other, so records may be told while another one is
// open, and not in the order of their places. A turn that ends with has_open() takes back what was
// told since the last on_open(); it is told again by the next one.
//
// Limits: no record is longer than record_bytes_max, and no more than that many bytes of the log
// lie between the beginning of what is open and the end of what may go on with it. Whatever would
// be more ends all that is open before that line (is_cut). A line that is longer by itself comes in
// pieces of that size, all but the last is_cut; each piece but those of a text inside a line of CRI
// or Docker is then a line like any other, so that a reader may begin there. Nothing is left out
// but line ends, one \r before each, and NULs where a line begins: a writer that goes on behind a
// truncation leaves a hole of them. Those are counted.
//
// Cost per line of 122 bytes: raw 10 ns, CRI 43 ns, without copying or allocation: texts are views
// into what is fed. Records of several lines are copied once. Memory: record_bytes_max twice, and
// one line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "roles/logsaver/records/multiline.hpp"
#include "roles/logsaver/records/record.hpp"
#include "wire/log_stream.hpp"
#include "wire/rfc3339.hpp"

namespace consort::logsaver {

struct AssemblerRules {
  enum class Format : std::uint8_t { raw, cri, docker };
  Format format = Format::raw;
  MultilineRules multiline{};
  std::size_t record_bytes_max = std::size_t{1} << 20;  ///< at least 1
  bool strip_cr = true;  ///< one \r before the end of a line is part of that end

  /// Lines of the runtimes' formats may be longer than records: what is around the text, and its
  /// escapes, are not the application's.
  std::size_t line_bytes_max() const;
};

class Assembler {
 public:
  struct Counters {
    std::uint64_t lines = 0;            ///< of the log; pieces of long ones count too
    std::uint64_t records = 0;          ///< told
    std::uint64_t cut_records = 0;      ///< of them with is_cut
    std::uint64_t malformed_lines = 0;  ///< not of the format, told as they are
    std::uint64_t nul_bytes = 0;        ///< left out
    friend bool operator==(const Counters&, const Counters&) = default;
  };

  /// Both outlive it. One thread.
  Assembler(const AssemblerRules& rules, RecordHandler& handler);
  Assembler(const Assembler&) = delete;
  Assembler& operator=(const Assembler&) = delete;

  /// Every line is a record of its own and its text is the line: whoever looks for line ends, \r
  /// and NULs himself needs no assembler.
  static bool is_plain(const AssemblerRules& rules);

  /// Forgets what is open and all counters; the next byte is at `place`.
  void begin(Place place);
  /// Takes the lines of the bytes that follow, and returns how many bytes those were. What is not
  /// used is the beginning of a line: give it again with more behind it. Of feed_bytes_min() bytes
  /// something is always used. Views into the bytes are not kept.
  std::size_t feed(std::string_view bytes);
  std::size_t feed_bytes_min() const { return line_bytes_max_ + kBytesBehindLine; }
  /// The same, where after these bytes this file will never have any: the last line needs no \n.
  void feed_partial(std::string_view rest);
  /// Goes on at an offset of the next file. What is open stays open.
  void next_piece(std::uint64_t offset);
  /// Ends what is open, as silence and the last end of a file do.
  void flush();

  bool has_open() const { return lanes_[0].is_open() || lanes_[1].is_open(); }
  /// Where a turn may begin that knows nothing of this one: end(), or where the first of what is
  /// open began. In on_open() too: all that was told until then lies before it.
  Place settled() const { return has_open() ? opened_.place : now_.place; }
  /// Of the bytes before settled(), since begin().
  const Counters& counters() const { return has_open() ? opened_.counters : now_.counters; }
  /// Behind the last byte used.
  Place end() const { return now_.place; }

 private:
  /// To tell a line of the greatest length from a longer one: its \r and its \n.
  static constexpr std::size_t kBytesBehindLine = 2;

  struct Point {
    Place place;
    std::uint64_t fed = 0;  ///< bytes since begin(), over all files
    Counters counters;
  };
  /// A line as the application wrote it, or a part of one.
  struct Text {
    std::string_view text;
    Place place;
    std::int64_t time_ns;
    bool is_partial;
    bool is_in_feed;  ///< the text is a view into what is fed, and lives until feed() returns
  };
  /// Text that waits for more, in memory of its own unless it is still in what is fed.
  class Waiting {
   public:
    bool is_open() const { return is_open_; }
    void open(const Text& first);
    void append(std::string_view separator, std::string_view more);
    /// What is fed is about to go.
    void keep();
    Text text() const;
    void close() { is_open_ = false; }

   private:
    Text first_{};
    std::string buffer_;
    bool is_open_ = false;
  };
  struct Lane {
    explicit Lane(const MultilineRules& rules) : multiline(rules) {}
    bool is_open() const { return line.is_open() || record.is_open(); }
    Place opened() const { return (record.is_open() ? record : line).text().place; }

    Multiline multiline;
    Waiting record;    ///< lines that others may go on with
    Waiting line;      ///< parts, of which the last is still to come
    Point line_began;  ///< when `line` is open
    std::string_view stream{};
  };

  void take_nuls(std::string_view& bytes);
  void take_line(std::string_view line, std::size_t size);
  void take_piece(std::string_view piece);
  bool take_container_line(std::string_view line, bool is_cut);
  void take_text(Lane& lane, const Text& text);
  void take_whole_line(Lane& lane, const Text& line, bool is_cut);
  void finish_line(Lane& lane, bool is_cut);
  void begin_record(Lane& lane, const Text& line, bool is_cut);
  void end_record(Lane& lane, bool is_cut);
  void end_lane(Lane& lane, bool is_cut);
  void end_all(bool is_cut);
  void end_all_before(std::size_t size);
  void tell(std::string_view stream, const Text& text, bool is_cut);
  void tell_one(std::string_view stream, const Text& text, bool is_cut);
  void mark_opening();
  void advance(std::size_t size);
  std::string_view without_cr(std::string_view text) const;
  /// Of a line without its \n, as it counts for its length.
  bool is_too_long(std::string_view line) const;

  const AssemblerRules& rules_;
  RecordHandler& handler_;
  const std::size_t line_bytes_max_;
  const bool is_plain_;
  std::array<Lane, 2> lanes_;  ///< by LogStream; raw lines are in the first
  Point now_;
  Point opened_;  ///< when something is open: where that began
  Rfc3339Reader times_;
  std::string scratch_;  ///< text of Docker without its escapes
};

}  // namespace consort::logsaver
