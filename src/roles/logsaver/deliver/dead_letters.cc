#include "roles/logsaver/deliver/dead_letters.hpp"

#include "base/json_writer.hpp"
#include "manage/clock.hpp"

namespace consort::logsaver {

Result<> DeadLetters::add(SinkIndex sink, std::string_view name, std::int64_t now_ms,
                          std::span<const Rejection> rejected) {
  if (rejected.empty()) return {};
  if (directory_.empty()) return {};
  std::string text;
  for (const Rejection& each : rejected) {
    JsonWriter line;
    line.begin_object();
    line.key("time").value(to_rfc3339(now_ms));
    line.key("sink").value(name);
    line.key("reason").value(each.reason);
    line.key("record").value(each.record);
    line.end_object();
    text.append(line.take()) += '\n';
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
