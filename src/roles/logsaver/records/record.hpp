// One record: what the application meant by one or several lines of its log.
//
//   bytes of a file --> Assembler --> Redaction --> fields --> filters --> the sink's encoding
//
// The views of a record live until the call that brings it returns.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace consort::logsaver {

/// A place in what one turn reads: a turn may go on from a file into the one that took its place,
/// since records straddle rotations. `piece` counts the turn's files.
struct Place {
  std::uint32_t piece = 0;
  std::uint64_t offset = 0;  ///< bytes in that file
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Field {
  std::string_view name;
  std::string_view value;
};

struct Record {
  static constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

  std::string_view text;            ///< without its line end; lines in it are parted by \n
  Place place;                      ///< of its first byte
  std::int64_t time_ns = kNoTime;   ///< since 1970, as the runtime or the application wrote it
  std::string_view stream{};        ///< "stdout" or "stderr"; empty for none
  std::string_view object{};        ///< the text when it is one whole JSON object, trimmed
  std::span<const Field> fields{};  ///< what logfmt or a pattern found in the text
  bool is_cut = false;              ///< longer than is allowed: the rest is the next record
};

class RecordHandler {
 public:
  virtual void on_record(const Record& record) = 0;
  /// A record begins of which it is not yet known where it ends, and none was open before: all that
  /// was told until now can stand without what follows.
  virtual void on_open() = 0;

 protected:
  ~RecordHandler() = default;
};

}  // namespace consort::logsaver
