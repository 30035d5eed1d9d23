// Structured log lines: one event per line, with fields, to whatever sink the program gives.
//
//   log.info("leader.changed", {{"term", 7}, {"from", old}});
//
//   json    {"ts":"2024-05-01T12:04:05.123Z","level":"info","role":"elect","name":"a",
//            "msg":"leader.changed","term":7,"from":"b"}          (one line)
//   logfmt  ts=2024-05-01T12:04:05.123Z level=info role=elect name=a msg=leader.changed term=7
//   from=b pretty  12:04:05.123 INFO  leader.changed term=7 from=b       (UTC)
//
// A line that repeats within a second is counted, not printed again; the count follows as the same
// line with repeated=812. Info is for state changes, warn for what someone should look at, error
// for what was lost. What peers send may be logged as it is: control characters are escaped, bytes
// that are not UTF-8 replaced, long values cut.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/options.hpp"

namespace consort {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error };
enum class LogFormat : std::uint8_t { automatic, json, logfmt, pretty };
template <>
struct Choices<LogLevel> {
  static constexpr std::string_view names[] = {"trace", "debug", "info", "warn", "error"};
};
template <>
struct Choices<LogFormat> {
  static constexpr std::string_view names[] = {"auto", "json", "logfmt", "pretty"};
};

/// One key and its value; borrowed for the duration of the call.
struct LogField {
  enum class Kind : std::uint8_t { text, integer, natural, real, flag };

  LogField(std::string_view k, std::string_view v) : key(k), text(v) {}
  LogField(std::string_view k, const char* v) : key(k), text(v != nullptr ? v : "") {}
  LogField(std::string_view k, const std::string& v) : key(k), text(v) {}
  template <class N>
    requires std::is_arithmetic_v<N>
  LogField(std::string_view k, N v) : key(k) {
    if constexpr (std::is_same_v<N, bool>) {
      kind = Kind::flag;
      natural = v ? 1 : 0;
    } else if constexpr (std::is_floating_point_v<N>) {
      kind = Kind::real;
      real = static_cast<double>(v);
    } else if constexpr (std::is_signed_v<N>) {
      kind = Kind::integer;
      integer = static_cast<std::int64_t>(v);
    } else {
      kind = Kind::natural;
      natural = static_cast<std::uint64_t>(v);
    }
  }

  std::string_view key;
  Kind kind = Kind::text;
  std::string_view text;
  union {
    std::int64_t integer = 0;
    std::uint64_t natural;
    double real;
  };
};

/// Thread-safe: whole lines, in one order for the sink and the ring. Costs one allocation or two
/// and a lock per line; nothing but a load when the level is off.
class Logger {
 public:
  /// Where lines and time come from, so that tests see both.
  struct World {
    /// The line ends with \n. Called under the logger's lock: it must not log.
    void (*write)(void* context, std::string_view line) = nullptr;
    std::int64_t (*wall_ms)(void* context) = nullptr;  ///< milliseconds since 1970, to print
    void* context = nullptr;
  };
  struct Options {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::json;  ///< automatic must be resolved by the caller
    bool color = false;                  ///< pretty only
    std::string role;
    std::string name;
  };
  static constexpr std::size_t kRingLines = 1000;  ///< kept for /logs
  static constexpr std::size_t kRingBytes = 512UL * 1024;
  /// Longer lines lose the end of the value that does not fit, and say truncated=true.
  static constexpr std::size_t kMaxLine = 16UL * 1024;
  static constexpr std::int64_t kRepeatMs = 1000;

  Logger(World world, Options options);

  void trace(std::string_view event, std::initializer_list<LogField> fields = {});
  void debug(std::string_view event, std::initializer_list<LogField> fields = {});
  void info(std::string_view event, std::initializer_list<LogField> fields = {});
  void warn(std::string_view event, std::initializer_list<LogField> fields = {});
  void error(std::string_view event, std::initializer_list<LogField> fields = {});

  bool enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  LogLevel level() const { return level_.load(std::memory_order_relaxed); }
  /// Prints the count of a line that is still being held back.
  void flush();
  /// The newest lines, oldest first; without \n and colour.
  std::vector<std::string> tail(std::size_t lines) const;

 private:
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
  void emit(std::int64_t now_ms, std::uint64_t repeats);
  void flush_locked();

  World world_;
  Options options_;
  std::string origin_;  ///< role and name, rendered once
  std::atomic<LogLevel> level_;

  mutable std::mutex mutex_;
  std::deque<std::string> ring_;
  std::size_t ring_bytes_ = 0;
  std::string last_body_;  ///< event and fields of the last line, without its time
  LogLevel last_level_ = LogLevel::info;
  std::int64_t last_ms_ = 0;  ///< when a line was last printed
  std::int64_t held_ms_ = 0;  ///< when the newest line that is held back came
  std::uint64_t held_back_ = 0;
};

}  // namespace consort
