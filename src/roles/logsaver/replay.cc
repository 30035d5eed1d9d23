#include "roles/logsaver/replay.hpp"

#include <algorithm>
#include <span>

#include "async/deadline.hpp"
#include "async/try.hpp"
#include "base/content_hash.hpp"
#include "base/text.hpp"
#include "roles/logsaver/deliver/dead_letters.hpp"
#include "roles/logsaver/sinks/make_sink.hpp"
#include "wire/compressor.hpp"
#include "wire/json_scan.hpp"

namespace consort::logsaver {
namespace {

constexpr std::string_view kEnding = ".ndjson";
constexpr std::size_t kWindowBytes = 256 * 1024;
constexpr std::uint32_t kDoublingsMax = 20;
/// How soon a stop is seen while a destination is waited for.
constexpr std::uint64_t kNapMs = 100;

std::string hex_of(std::string_view bytes) {
  return to_hex(content_hash(bytes).low);
}

Record record_of(std::string_view text) {
  Record record;
  record.text = text;
  const auto json = check_json(text);
  if (json && json_kind(*json) == JsonKind::object) record.object = *json;
  return record;
}

}  // namespace

/// A file of dead letters, and what is kept of it.
struct Replay::OpenFile {
  std::string path;
  std::unique_ptr<io::File> letters;
  std::unique_ptr<io::File> kept;
  std::uint64_t kept_bytes = 0;
};

Replay::Replay(World world, std::string directory, Settings settings)
    : world_(std::move(world)), directory_(std::move(directory)), settings_(std::move(settings)) {}

void Replay::add(std::unique_ptr<Sink> sink, Form form) {
  const std::string name = sink->name();
  Target& target = targets_[name];
  target.sink = std::move(sink);
  target.form = form;
}

Replay::Form Replay::form_for(SinkKind kind) {
  const bool has_frame = kind == SinkKind::loki || kind == SinkKind::es || kind == SinkKind::otlp ||
                         kind == SinkKind::syslog;
  return has_frame ? Form::record : Form::body;
}

Task<Result<>> Replay::open(std::vector<SinkUrl> urls, SinkWorld world) {
  for (const SinkUrl& url : urls) {
    std::unique_ptr<Sink> sink = co_await try_(make_sink(url, world));
    co_await try_(sink->open());
    add(std::move(sink), form_for(url.kind()));
  }
  co_return Result<>();
}

Task<Result<>> Replay::run() {
  auto entries = world_.disk.list(directory_);
  if (!entries && entries.error().code() != Errc::not_found) {
    co_return fail(std::move(entries.error()));
  }
  for (std::size_t i = 0; entries && i < entries->size(); ++i) {
    const std::string& name = (*entries)[i].name;
    if (name.ends_with(kEnding)) co_await try_(replay(directory_ + "/" + name));
  }
  for (const auto& [name, letters] : left_) {
    world_.log.warn("replay.no_such_sink",
                    {{"sink", name}, {"letters", letters}, {"hint", "name it with --sink"}});
  }
  world_.log.info("replay.done",
                  {{"taken", counts_.taken}, {"refused", counts_.refused}, {"left", counts_.left}});
  is_over_ = true;
  co_return Result<>();
}

Task<Result<>> Replay::replay(std::string path) {
  OpenFile file;
  file.path = path;
  file.letters = co_await try_(world_.disk.open(path, io::OpenFor::reading));
  // What an earlier replay had kept when it was killed is in the file itself.
  file.kept = co_await try_(world_.disk.open(path + ".new", io::OpenFor::writing));
  co_await try_(file.kept->truncate(0));
  std::vector<char> window(kWindowBytes);
  std::string line;
  std::uint64_t line_offset = 0;
  for (std::uint64_t offset = 0;;) {
    const std::size_t count = co_await try_(file.letters->read_at(offset, window));
    offset += count;
    std::string_view bytes(window.data(), count);
    // A last line without its end: the disk was full when it was written.
    const bool is_last = count == 0 && !line.empty();
    if (count == 0 && !is_last) break;
    while (!bytes.empty() || is_last) {
      const std::size_t end = std::min(bytes.find('\n'), bytes.size());
      line += bytes.substr(0, end);
      if (line.size() > kLetterBytesMax) {
        co_return fail(Errc::limit, path + ": a line is longer than any letter: is it one?");
      }
      if (end == bytes.size() && !is_last) break;
      bytes.remove_prefix(std::min(end + 1, bytes.size()));
      co_await try_(sort(file, line, line_offset));
      line_offset += line.size() + 1;
      line.clear();
      if (is_last) break;
    }
  }
  for (auto& [name, target] : targets_) co_await try_(send(file, target));
  co_await try_(finish(file));
  co_return Result<>();
}

/// To those that are sent next, or to what is kept.
Task<Result<>> Replay::sort(OpenFile& file, std::string_view line, std::uint64_t offset) {
  auto letter = read_letter(line);
  auto found = letter ? targets_.find(letter->sink) : targets_.end();
  if (found == targets_.end() || found->second.is_stuck || is_stopped_) {
    ++counts_.left;
    if (!letter) {
      world_.log.warn("replay.no_letter",
                      {{"file", file.path}, {"offset", offset}, {"why", letter.error().text()}});
    } else if (found == targets_.end()) {
      ++left_[letter->sink];
    }
    co_return keep(file, line);
  }
  Target& target = found->second;
  if (target.lines.empty()) target.first_offset = offset;
  target.bytes += letter->record.size() + 1;
  target.lines.emplace_back(line);
  target.records.push_back(std::move(letter->record));
  const bool is_full = target.bytes >= target.sink->traits().batch_bytes.bytes;
  if (is_full || target.lines.size() >= kLettersMax) co_await try_(send(file, target));
  co_return Result<>();
}

Task<Result<>> Replay::send(OpenFile& file, Target& target) {
  if (target.lines.empty()) co_return Result<>();
  const Batch batch = make_batch(file.path, target);
  const Outcome outcome = co_await deliver(target, batch);
  if (outcome.verdict == Outcome::Verdict::delivered) {
    co_await try_(keep_refused(file, target, outcome));
  } else {
    counts_.left += target.lines.size();
    for (const std::string& line : target.lines) co_await try_(keep(file, line));
  }
  target.lines.clear();
  target.records.clear();
  target.bytes = 0;
  co_return Result<>();
}

/// Until it is delivered, the sink is stuck, or we are stopped.
Task<Outcome> Replay::deliver(Target& target, const Batch& batch) {
  std::string why;
  for (std::uint32_t tries = 0;; ++tries) {
    if (target.is_stuck || is_stopped_) co_return Outcome::stuck(std::move(why));
    Outcome outcome = co_await target.sink->deliver(batch);
    if (outcome.verdict == Outcome::Verdict::delivered) co_return outcome;
    if (why != outcome.why) {
      world_.log.warn("replay.retry", {{"sink", target.sink->name()}, {"why", outcome.why}});
    }
    why = outcome.why;
    target.is_stuck = outcome.verdict == Outcome::Verdict::hold;
    const std::uint64_t bound =
        std::min(settings_.retry_cap_ms, settings_.retry_base_ms << std::min(tries, kDoublingsMax));
    const std::uint64_t wait_ms = outcome.wait.count() > 0
                                      ? static_cast<std::uint64_t>(outcome.wait.count())
                                      : world_.random.below(bound + 1) + 1;
    const std::uint64_t until_ms = world_.loop.now_ms() + wait_ms;
    while (!target.is_stuck && !is_stopped_ && world_.loop.now_ms() < until_ms) {
      const std::uint64_t nap_ms = std::min(until_ms, world_.loop.now_ms() + kNapMs);
      co_await sleep_until(world_.loop.timers(), nap_ms);
    }
  }
}

Batch Replay::make_batch(const std::string& path, const Target& target) {
  Batch batch;
  batch.number = ++last_number_;
  batch.created_ms = world_.wall_ms();
  std::string lines;
  for (const std::string& line : target.lines) lines.append(line).append("\n");
  // Of the letters, times and reasons included: the same after a kill, another one once they were
  // refused again, for a server may answer a known id with what it has answered before.
  batch.id = "replay-" + hex_of(lines);
  batch.file = path;
  batch.first_offset = target.first_offset;
  batch.coding = target.sink->traits().coding;
  batch.records = target.records.size();
  const std::string plain = make_body(path, target, batch);
  batch.body_plain_bytes = plain.size();
  make_compressor(batch.coding)->add(plain, batch.body);
  if (target.sink->traits().in_flight_max == 1) batch.position = target.sink->position_for(batch);
  return batch;
}

std::string Replay::make_body(const std::string& path, const Target& target,
                              const Batch& batch) const {
  std::string body;
  if (target.form == Form::body) {
    for (const std::string& record : target.records) body.append(record).append("\n");
    return body;
  }
  TailFacts facts;
  facts.file = path;
  facts.labels = settings_.labels;
  const std::unique_ptr<Encoding> encoding = target.sink->make_encoding();
  encoding->begin({.number = batch.number, .created_ms = batch.created_ms}, body);
  encoding->begin_extent(facts, body);
  for (std::size_t i = 0; i < target.records.size(); ++i) {
    // The record's name at the destination: places in the file change with each replay.
    facts.id = "replay-" + hex_of(target.lines[i]);
    encoding->record(record_of(target.records[i]), facts, body);
  }
  encoding->end_extent(body);
  encoding->end(body);
  return body;
}

Result<> Replay::keep_refused(OpenFile& file, const Target& target, const Outcome& outcome) {
  const std::size_t refused = std::min(outcome.rejected.size(), target.lines.size());
  counts_.refused += refused;
  counts_.taken += target.lines.size() - refused;
  for (const Rejection& rejection : outcome.rejected) {
    const std::string line = write_letter(world_.wall_ms(), target.sink->name(), rejection);
    if (auto kept = keep(file, line); !kept) return kept;
  }
  return {};
}

Result<> Replay::keep(OpenFile& file, std::string_view line) {
  const std::string text = std::string(line) + "\n";
  auto written = file.kept->write_at(file.kept_bytes, text);
  if (written) file.kept_bytes += text.size();
  return written;
}

Task<Result<>> Replay::finish(OpenFile& file) {
  const std::string kept = file.path + ".new";
  if (file.kept_bytes == 0) {
    co_await try_(world_.disk.remove(file.path));
    co_await try_(world_.disk.remove(kept));
  } else {
    co_await try_(file.kept->sync());
    co_await try_(world_.disk.rename(kept, file.path));
  }
  co_await try_(world_.disk.sync_directory(directory_));
  co_return Result<>();
}

}  // namespace consort::logsaver
