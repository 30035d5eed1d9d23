// Finds the fields in a record's text (--parse), and in them the time that the application wrote.
//
//   none            nothing; the text is the message
//   json            the text is one JSON object (RFC 8259): Record::object, checked, not copied
//   logfmt          key=value key="quoted \"value\"" key (logfmt.hpp): Record::fields
//   regex:PATTERN   the named groups that took part in the match: Record::fields
//
// A text that is not so stays a text; it is counted and nothing is lost. A time key names the
// object's member (at the top) or field with the record's time (log_time.hpp); it is also left
// where it is. A time that cannot be read is counted, and the runtime's stays.
//
// JSON costs check_json's 2 to 3 GB/s. No allocation in steady state, but for escapes in the time
// or long logfmt values. Movable; belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/regex.hpp"
#include "roles/logsaver/records/record.hpp"

namespace consort::logsaver {

class FieldParser {
 public:
  struct Counters {
    std::uint64_t parsed = 0;
    std::uint64_t unparsed = 0;   ///< stayed text, those below included
    std::uint64_t limits = 0;     ///< for which the pattern hit its limits
    std::uint64_t times = 0;      ///< taken from the time key
    std::uint64_t bad_times = 0;  ///< the key was there, and what it had was no time
  };

  /// Finds nothing.
  FieldParser() = default;
  /// An empty time_key: the runtime's time counts. Errors name what was written.
  static Result<FieldParser> make(std::string_view parse, std::string_view time_key);

  bool empty() const { return how_ == How::none; }
  /// Sets object or fields, and time_ns. The views live until the next call, or as long as the
  /// record's text if that is shorter.
  void parse(Record& record);
  const Counters& counters() const { return counters_; }

 private:
  enum class How : std::uint8_t { none, json, logfmt, pattern };

  bool find_fields(Record& record);
  bool find_object(Record& record);
  bool match_pattern(std::string_view text);
  void find_time(Record& record);
  void take_json_time(std::string_view value, Record& record);
  void take_time(std::string_view text, Record& record);

  How how_ = How::none;
  std::string time_key_;
  std::optional<Regex> pattern_;
  std::vector<Field> fields_;
  std::string scratch_;
  Counters counters_;
};

}  // namespace consort::logsaver
