// A destination: how a batch looks there, and how it gets there.
//
//   Encoding  records --> bytes of a body, a pure function of the records and the batch's head
//   Sink      body --> destination, again and again until it says that it has it
//
//   built --position()--> intent on disk --deliver()--> delivered --> acknowledged on disk
//                                            ^  |
//                                            +--+ retry, hold: the same bytes under the same id
//
// After a crash a batch is built again from the same bytes of the same files and delivered again:
// its id, created_ms, position and (with the same settings) its body are what they were.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/options.hpp"
#include "roles/logsaver/records/record.hpp"
#include "roles/logsaver/state/ledger.hpp"
#include "wire/compressor.hpp"

namespace consort::logsaver {

/// What is said of all records of one tail. Made once for each tail.
struct TailFacts {
  std::string id;    ///< "4f2a9c01d3b7e655-17": of the state directory and the tail
  std::string file;  ///< the path under which it was found first
  std::vector<std::pair<std::string, std::string>> labels;  ///< --label, Kubernetes' names, host
  /// "file":"/var/log/app.log","namespace":"shop": members for a JSON object, without braces.
  std::string json_members;
};

struct BatchHead {
  BatchNumber number = 0;
  std::int64_t created_ms = 0;  ///< wall clock, since 1970
};

/// Stateful from begin() to end(); one at a time.
class Encoding {
 public:
  virtual ~Encoding() = default;
  /// Whole lines may be appended as they are, without record().
  virtual bool is_plain() const { return false; }
  virtual void begin(const BatchHead& head, std::string& out) {
    (void)head;
    (void)out;
  }
  /// Records of this tail follow, until another extent or the end.
  virtual void begin_extent(const TailFacts& facts, std::string& out) {
    (void)facts;
    (void)out;
  }
  /// `facts` are those of the file in which the record begins.
  virtual void record(const Record& record, const TailFacts& facts, std::string& out) = 0;
  virtual void end_extent(std::string& out) { (void)out; }
  virtual void end(std::string& out) { (void)out; }
};

struct Batch {
  BatchNumber number = 0;
  std::int64_t created_ms = 0;
  std::uint64_t position = 0;  ///< what Sink::position() said when the batch was new
  bool is_replay = false;      ///< from the journal: some or all of it may have arrived before
  /// Of a replay: format, coding and their versions are those of the first time, so the body is
  /// too.
  bool has_same_settings = true;
  std::string id;                  ///< "4f2a9c01d3b7e655-2-1041": state directory, sink, number
  std::string file;                ///< of the first extent, for names of objects
  std::uint64_t first_offset = 0;  ///< of the first extent
  TailId first_tail = 0;
  std::string body;  ///< coded
  Coding coding = Coding::none;
  std::uint64_t body_plain_bytes = 0;  ///< before coding
  std::uint64_t records = 0;
  std::string sha256;    ///< of the body, hex; where there is a manifest
  std::string manifest;  ///< manifest.hpp; empty for sinks that keep none
};

/// What the destination will never take, for the dead letters.
struct Rejection {
  std::string record;  ///< as it was sent, without line end
  std::string reason;  ///< in the destination's words
};

struct Outcome {
  enum class Verdict : std::uint8_t {
    delivered,  ///< acknowledged; the rejected ones will not be sent again
    retry,      ///< try again, after `wait` or else by full jitter
    hold,       ///< a person must look (credentials, a missing bucket): tried again each 30 s
  };
  Verdict verdict = Verdict::delivered;
  std::string why;  ///< for people: what happened, where; not for `delivered`
  Millis wait{0};   ///< as the server asks (Retry-After)
  /// The destination is busy or slow (429, 503, timeouts): fewer at a time.
  bool is_overload = false;
  std::vector<Rejection> rejected{};
  /// With `retry`: some of it arrived this time, and only the rest will be sent again. Waits begin
  /// small again.
  bool is_progress = false;
  /// With `delivered`, of a batch that had been saved before, built otherwise: the manifest that is
  /// there, or nothing where none is.
  std::optional<std::string> manifest_there{};

  static Outcome ok() { return {}; }
  static Outcome again(std::string why, Millis wait = Millis{0}, bool is_overload = false) {
    return {Verdict::retry, std::move(why), wait, is_overload, {}, false, {}};
  }
  static Outcome stuck(std::string why) {
    return {Verdict::hold, std::move(why), Millis{0}, false, {}, false, {}};
  }
};

struct SinkTraits {
  ByteSize batch_bytes{1024 * 1024};  ///< before coding
  Millis batch_time{1000};            ///< the oldest byte waits at most that long
  Coding coding = Coding::none;
  std::uint32_t in_flight_max = 4;  ///< 1: batches go one after the other, in order
  bool one_file_each = false;       ///< a batch holds bytes of one file (and those it rotated into)
  std::size_t manifest_bytes_max = 0;  ///< of Batch::manifest; 0: none are made
  bool has_line_each = false;          ///< a body has a line for each record: ndjson
};

/// Belongs to the loop's thread.
class Sink {
 public:
  virtual ~Sink() = default;
  /// The URL without secrets.
  virtual const std::string& name() const = 0;
  virtual const SinkTraits& traits() const = 0;
  virtual std::unique_ptr<Encoding> make_encoding() const = 0;
  /// Before the first batch: reachable files and sane settings. An error ends the process (69).
  virtual Task<Result<>> open() { co_return Result<>(); }
  /// Of the batch that is about to be promised, of which created_ms and `file` are known at least;
  /// only asked with in_flight_max 1. What position() says where it is the same for all batches.
  virtual std::uint64_t position_for(const Batch& batch) const {
    (void)batch;
    return position();
  }
  virtual std::uint64_t position() const { return 0; }
  /// The batch stays until the task ends or is dropped. Every wait has a limit of the sink's own.
  virtual Task<Outcome> deliver(const Batch& batch) = 0;
  /// Nothing more will come: wait for what was sent without an acknowledgement.
  virtual Task<> close(Deadline deadline) {
    (void)deadline;
    co_return;
  }
};

}  // namespace consort::logsaver
