// --replay: sends the dead letters again, each to the destination that refused it.
//
//   STATE/dead/N.ndjson --letters--> batches --> their sink --taken-------> gone
//                                                  |  \------refused again-> kept, with the reason
//                                                  +--stuck, stopped, no such --sink--> kept
//   kept --> N.ndjson.new --at the end--> N.ndjson
//
// At least once: the file is replaced when its last letter has been dealt with, so a kill before
// that sends again what was taken. Within limits that is harmless: batches are made of the same
// letters under the same id, and Elasticsearch gets the same _id.
//
// What a letter holds is what it was for the destination's readers. So for line formats (http:// in
// either) and Elasticsearch the very bytes are sent again; Loki and OTLP get the line with the
// labels of now (--label, host) and the dead letters' file as its file, for the labels of then are
// not in the letter.
//
// The journal must be open: another process would write to the same files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "io/file_system.hpp"
#include "io/loop.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_url.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

struct ReplayCounts {
  std::uint64_t taken = 0;
  std::uint64_t refused = 0;
  std::uint64_t left = 0;  ///< not sent: no such sink, or it is stuck
};

/// Belongs to the loop's thread; all that it is given outlives it.
class Replay {
 public:
  /// A longer line is no letter.
  static constexpr std::size_t kLetterBytesMax = std::size_t{128} << 20;
  static constexpr std::size_t kLettersMax = 10'000;  ///< of one batch

  struct World {
    io::Loop& loop;
    io::FileSystem& disk;
    Random& random;
    Logger& log;
    std::function<std::int64_t()> wall_ms;
  };
  struct Settings {
    std::uint64_t retry_base_ms = 200;
    std::uint64_t retry_cap_ms = 30'000;
    std::vector<std::pair<std::string, std::string>> labels;  ///< host among them
  };
  /// What a letter's record is to the sink.
  enum class Form : std::uint8_t {
    body,    ///< a line of the body, as it is
    record,  ///< what the sink's encoding takes
  };

  Replay(World world, std::string directory, Settings settings);

  /// Before run(): makes and opens the sinks.
  Task<Result<>> open(std::vector<SinkUrl> urls, SinkWorld world);
  /// One that is open.
  void add(std::unique_ptr<Sink> sink, Form form);
  static Form form_for(SinkKind kind);
  /// All files. An error is the disk's: the file at hand is as it was.
  Task<Result<>> run();
  /// Sends no more; run() ends as soon as the batch under way has come to an end.
  void stop() { is_stopped_ = true; }
  bool is_over() const { return is_over_; }
  const ReplayCounts& counts() const { return counts_; }

 private:
  struct Target {
    std::unique_ptr<Sink> sink;
    Form form = Form::record;
    bool is_stuck = false;
    std::vector<std::string> lines;  ///< of the letters that are sent next
    std::vector<std::string> records;
    std::size_t bytes = 0;
    std::uint64_t first_offset = 0;
  };
  struct OpenFile;

  Task<Result<>> replay(std::string path);
  Task<Result<>> sort(OpenFile& file, std::string_view line, std::uint64_t offset);
  Task<Result<>> send(OpenFile& file, Target& target);
  Task<Outcome> deliver(Target& target, const Batch& batch);
  Batch make_batch(const std::string& path, const Target& target);
  std::string make_body(const std::string& path, const Target& target, const Batch& batch) const;
  Result<> keep_refused(OpenFile& file, const Target& target, const Outcome& outcome);
  static Result<> keep(OpenFile& file, std::string_view line);
  Task<Result<>> finish(OpenFile& file);

  const World world_;
  const std::string directory_;
  const Settings settings_;
  std::map<std::string, Target, std::less<>> targets_;      ///< by the sink's name
  std::map<std::string, std::uint64_t, std::less<>> left_;  ///< letters of sinks that are not named
  ReplayCounts counts_;
  BatchNumber last_number_ = 0;
  bool is_stopped_ = false;
  bool is_over_ = false;
};

}  // namespace consort::logsaver
