#include "roles/logsaver/deliver/dead_letters.hpp"

#include "base/json_writer.hpp"
#include "manage/clock.hpp"
#include "wire/json_scan.hpp"

namespace consort::logsaver {

std::string write_letter(std::int64_t now_ms, std::string_view sink, const Rejection& rejection) {
  JsonWriter line;
  line.begin_object();
  line.key("time").value(to_rfc3339(now_ms));
  line.key("sink").value(sink);
  line.key("reason").value(rejection.reason);
  line.key("record").value(rejection.record);
  line.end_object();
  return line.take();
}

Result<DeadLetter> read_letter(std::string_view line) {
  const auto object = check_json(line);
  if (!object) return fail(Errc::invalid, object.error().text());
  DeadLetter letter;
  bool has_sink = false;
  bool has_record = false;
  std::string_view name;
  std::string_view value;
  for (JsonObjectReader each(*object); each.next(name, value);) {
    if (json_kind(value) != JsonKind::string) continue;
    const std::string_view inside = value.substr(1, value.size() - 2);
    if (json_string_equals(name, "sink")) {
      letter.sink = unescape_json_string(inside);
      has_sink = true;
    } else if (json_string_equals(name, "record")) {
      letter.record = unescape_json_string(inside);
      has_record = true;
    }
  }
  if (has_sink && has_record) return letter;
  return fail(Errc::invalid, "it has no sink or no record");
}

Result<> DeadLetters::add(SinkIndex sink, std::string_view name, std::int64_t now_ms,
                          std::span<const Rejection> rejected) {
  if (rejected.empty()) return {};
  if (directory_.empty()) return {};
  std::string text;
  for (const Rejection& each : rejected) {
    text.append(write_letter(now_ms, name, each)) += '\n';
  }
  if (auto made = disk_.make_directory(directory_); !made) return made;
  const std::string path = directory_ + "/" + std::to_string(sink) + ".ndjson";
  auto file = disk_.open(path, io::OpenFor::writing);
  if (!file) return fail(std::move(file.error()));
  auto stat = (*file)->stat();
  if (!stat) return fail(std::move(stat.error()));
  auto written = (*file)->write_at(stat->size, text);
  if (!written) {
    // Half a line would spoil the next one.
    (void)(*file)->truncate(stat->size);
    return written;
  }
  bytes_ += text.size();
  return {};
}

}  // namespace consort::logsaver
