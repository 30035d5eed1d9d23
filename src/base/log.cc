// The last line is remembered to count its repetitions:
//
//   equal, within kRepeatMs of the last print --> counted (held back)
//   anything else, or flush()                 --> the count is printed, then the new line
//
// So a line that storms costs one line with a count per second. A count has the time of the newest
// line in it. Without another line or flush() it stays held: the owner flushes now and then.
#include "base/log.hpp"

#include <utility>

#include "base/check.hpp"
#include "base/log_format.hpp"
#include "base/utf8.hpp"

namespace consort {
namespace {

/// A role or an instance's name may come from outside; it must leave room for the body.
constexpr std::size_t kOriginBytesMax = 128;
/// Time, level, repeats, brackets and newline, with something to spare.
constexpr std::size_t kFrameBytes = 128;

}  // namespace

Logger::Logger(World world, Options options)
    : world_(world), options_(std::move(options)), level_(options_.level) {
  CHECK(world_.wall_ms != nullptr);
  if (options_.format == LogFormat::automatic) options_.format = LogFormat::json;
  origin_ = format_log_origin(options_.format, utf8_prefix(options_.role, kOriginBytesMax),
                              utf8_prefix(options_.name, kOriginBytesMax));
}

void Logger::trace(std::string_view event, std::initializer_list<LogField> fields) {
  write(LogLevel::trace, event, fields);
}
void Logger::debug(std::string_view event, std::initializer_list<LogField> fields) {
  write(LogLevel::debug, event, fields);
}
void Logger::info(std::string_view event, std::initializer_list<LogField> fields) {
  write(LogLevel::info, event, fields);
}
void Logger::warn(std::string_view event, std::initializer_list<LogField> fields) {
  write(LogLevel::warn, event, fields);
}
void Logger::error(std::string_view event, std::initializer_list<LogField> fields) {
  write(LogLevel::error, event, fields);
}

void Logger::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!enabled(level)) return;
  std::string body =
      format_log_body(options_.format, event, fields, kMaxLine - kFrameBytes - origin_.size());

  const std::lock_guard lock(mutex_);
  const std::int64_t now_ms = world_.wall_ms(world_.context);
  const bool equal = level == last_level_ && body == last_body_;
  // A wall clock may be set back: then nothing is recent.
  if (equal && now_ms >= last_ms_ && now_ms - last_ms_ < kRepeatMs) {
    ++held_back_;
    held_ms_ = now_ms;
    return;
  }
  if (equal && held_back_ > 0 && now_ms >= held_ms_ && now_ms - held_ms_ < kRepeatMs) {
    // Still storming: this one goes into the count, so that a second costs one line and not two.
    ++held_back_;
    held_ms_ = now_ms;
    flush_locked();
    return;
  }
  flush_locked();
  last_level_ = level;
  last_body_ = std::move(body);
  emit(now_ms, 0);
}

void Logger::flush() {
  const std::lock_guard lock(mutex_);
  flush_locked();
}

void Logger::flush_locked() {
  if (held_back_ > 0) emit(held_ms_, std::exchange(held_back_, 0));
}

void Logger::emit(std::int64_t now_ms, std::uint64_t repeats) {
  last_ms_ = now_ms;
  LogLine line{.format = options_.format,
               .color = options_.color,
               .wall_ms = now_ms,
               .level = last_level_,
               .origin = origin_,
               .body = last_body_,
               .repeats = repeats};
  std::string text = format_log_line(line);
  text += '\n';
  if (world_.write != nullptr) world_.write(world_.context, text);

  if (options_.color && options_.format == LogFormat::pretty) {
    line.color = false;
    text = format_log_line(line);
  } else {
    text.pop_back();
  }
  ring_bytes_ += text.size();
  ring_.push_back(std::move(text));
  while (ring_.size() > kRingLines || ring_bytes_ > kRingBytes) {
    ring_bytes_ -= ring_.front().size();
    ring_.pop_front();
  }
}

std::vector<std::string> Logger::tail(std::size_t lines) const {
  const std::lock_guard lock(mutex_);
  const std::size_t skipped = ring_.size() > lines ? ring_.size() - lines : 0;
  return {ring_.begin() + static_cast<std::ptrdiff_t>(skipped), ring_.end()};
}

}  // namespace consort
