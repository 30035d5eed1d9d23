#include "roles/logsaver/records/assembler.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "wire/cri.hpp"
#include "wire/docker_json.hpp"

namespace consort::logsaver {

using Format = AssemblerRules::Format;

std::size_t AssemblerRules::line_bytes_max() const {
  // Docker's 16 KiB of text are six times that when all of it is escaped.
  constexpr std::size_t kContainerLineBytes = std::size_t{128} << 10;
  return format == Format::raw ? record_bytes_max : std::max(record_bytes_max, kContainerLineBytes);
}

void Assembler::Waiting::open(const Text& first) {
  first_ = first;
  if (!first.is_in_feed) buffer_.assign(first.text);
  is_open_ = true;
}

void Assembler::Waiting::append(std::string_view separator, std::string_view more) {
  keep();
  buffer_.append(separator).append(more);
}

void Assembler::Waiting::keep() {
  if (!first_.is_in_feed) return;
  buffer_.assign(first_.text);
  first_.is_in_feed = false;
}

Assembler::Text Assembler::Waiting::text() const {
  Text text = first_;
  if (!text.is_in_feed) text.text = buffer_;
  return text;
}

Assembler::Assembler(const AssemblerRules& rules, RecordHandler& handler)
    : rules_(rules),
      handler_(handler),
      line_bytes_max_(rules.line_bytes_max()),
      is_plain_(is_plain(rules)),
      lanes_{Lane(rules.multiline), Lane(rules.multiline)} {
  CHECK(rules.record_bytes_max > 0);
  if (rules.format == Format::raw) return;
  for (const LogStream stream : {LogStream::out, LogStream::err}) {
    lanes_[static_cast<std::size_t>(stream)].stream = log_stream_name(stream);
  }
}

bool Assembler::is_plain(const AssemblerRules& rules) {
  return rules.format == Format::raw && rules.multiline.empty();
}

void Assembler::begin(Place place) {
  for (Lane& lane : lanes_) {
    lane.line.close();
    lane.record.close();
    lane.multiline.reset();
  }
  now_ = Point{.place = place};
}

std::size_t Assembler::feed(std::string_view bytes) {
  const std::size_t size = bytes.size();
  while (!bytes.empty()) {
    if (bytes.front() == '\0') {
      take_nuls(bytes);
      continue;
    }
    const std::size_t looked_at = std::min(bytes.size(), feed_bytes_min());
    const auto* const newline =
        static_cast<const char*>(std::memchr(bytes.data(), '\n', looked_at));
    if (newline == nullptr && bytes.size() < feed_bytes_min()) break;
    const std::string_view line = bytes.substr(
        0, newline == nullptr ? looked_at : static_cast<std::size_t>(newline - bytes.data()));
    if (is_too_long(line)) {
      take_piece(bytes.substr(0, line_bytes_max_));
      bytes.remove_prefix(line_bytes_max_);
      continue;
    }
    take_line(line, line.size() + 1);
    bytes.remove_prefix(line.size() + 1);
  }
  for (Lane& lane : lanes_) lane.record.keep();
  for (Lane& lane : lanes_) lane.line.keep();
  return size - bytes.size();
}

void Assembler::feed_partial(std::string_view rest) {
  rest.remove_prefix(feed(rest));
  while (!rest.empty()) {
    if (rest.front() == '\0') {
      take_nuls(rest);
      continue;
    }
    if (is_too_long(rest)) {
      take_piece(rest.substr(0, line_bytes_max_));
      rest.remove_prefix(line_bytes_max_);
      continue;
    }
    take_line(rest, rest.size());
    rest = {};
  }
  for (Lane& lane : lanes_) lane.record.keep();
  for (Lane& lane : lanes_) lane.line.keep();
}

void Assembler::next_piece(std::uint64_t offset) {
  now_.place = Place{.piece = now_.place.piece + 1, .offset = offset};
}

void Assembler::flush() {
  end_all(false);
}

void Assembler::take_nuls(std::string_view& bytes) {
  const std::size_t count = std::min(bytes.find_first_not_of('\0'), bytes.size());
  now_.counters.nul_bytes += count;
  advance(count);
  bytes.remove_prefix(count);
}

void Assembler::take_line(std::string_view line, std::size_t size) {
  if (has_open()) end_all_before(size);
  const Text text{.text = line,
                  .place = now_.place,
                  .time_ns = Record::kNoTime,
                  .is_partial = false,
                  .is_in_feed = true};
  if (is_plain_) {
    Text plain = text;
    plain.text = without_cr(line);
    tell_one({}, plain, false);
  } else if (rules_.format == Format::raw) {
    take_text(lanes_[0], text);
  } else if (!take_container_line(line, false)) {
    ++now_.counters.malformed_lines;
    Text whole = text;
    whole.text = without_cr(line);
    tell({}, whole, false);
  }
  ++now_.counters.lines;
  advance(size);
}

/// The beginning of a line that is too long, and as long as a line may be.
void Assembler::take_piece(std::string_view piece) {
  // It is as long as all that may be open, so nothing stays open before it, nor does it open
  // anything itself: behind it a reader may begin.
  if (has_open()) end_all_before(piece.size());
  if (rules_.format == Format::raw || !take_container_line(piece, true)) {
    if (rules_.format != Format::raw) ++now_.counters.malformed_lines;
    const Text text{.text = piece,
                    .place = now_.place,
                    .time_ns = Record::kNoTime,
                    .is_partial = false,
                    .is_in_feed = true};
    tell({}, text, true);
  }
  ++now_.counters.lines;
  advance(piece.size());
}

/// False when it is not of the format.
bool Assembler::take_container_line(std::string_view line, bool is_cut) {
  Text text{.text = {}, .place = now_.place, .time_ns = 0, .is_partial = false, .is_in_feed = true};
  LogStream stream{};
  if (rules_.format == Format::cri) {
    const std::optional<CriLine> cri = parse_cri(line, times_);
    if (!cri) return false;
    text.text = cri->text;
    text.time_ns = cri->time_ns;
    text.is_partial = cri->is_partial;
    stream = cri->stream;
  } else {
    const std::optional<DockerLine> docker = parse_docker_json(line, scratch_);
    if (!docker) return false;
    text.text = docker->text;
    text.time_ns = docker->time_ns;
    text.is_partial = docker->is_partial;
    text.is_in_feed = docker->text.data() != scratch_.data();
    stream = docker->stream;
  }
  Lane& lane = lanes_[static_cast<std::size_t>(stream)];
  if (is_cut) {
    tell(lane.stream, text, true);
  } else {
    take_text(lane, text);
  }
  return true;
}

void Assembler::take_text(Lane& lane, const Text& text) {
  if (text.text.size() > rules_.record_bytes_max) {
    // Its line is longer still, so nothing is open. Pieces of it that would wait for more could
    // not be told apart from those that were told, since a reader begins at lines.
    Text whole = text;
    if (!text.is_partial) whole.text = without_cr(text.text);
    tell(lane.stream, whole, text.is_partial);
  } else if (lane.line.is_open()) {
    lane.line.append({}, text.text);
    if (!text.is_partial) finish_line(lane, false);
  } else if (text.is_partial) {
    mark_opening();
    lane.line_began = now_;
    lane.line.open(text);
  } else {
    Text whole = text;
    whole.text = without_cr(text.text);
    take_whole_line(lane, whole, false);
  }
}

/// The parts that have come are a line.
void Assembler::finish_line(Lane& lane, bool is_cut) {
  Text whole = lane.line.text();
  whole.is_partial = false;
  whole.text = without_cr(whole.text);
  take_whole_line(lane, whole, is_cut);
  lane.line.close();
}

void Assembler::take_whole_line(Lane& lane, const Text& line, bool is_cut) {
  if (rules_.multiline.empty()) {
    tell(lane.stream, line, is_cut);
    return;
  }
  switch (lane.multiline.step(line.text)) {
    case MultilineStep::alone:
      if (lane.record.is_open()) end_record(lane, false);
      tell(lane.stream, line, is_cut);
      break;
    case MultilineStep::begins:
      begin_record(lane, line, is_cut);
      break;
    case MultilineStep::continues:
      lane.record.append("\n", line.text);
      break;
    case MultilineStep::ends:
      lane.record.append("\n", line.text);
      end_record(lane, is_cut);
      break;
  }
}

void Assembler::begin_record(Lane& lane, const Text& line, bool is_cut) {
  // A line in parts began to wait while the record before it was open, so that it opened nothing.
  // Only now is it known to be no part of that record. If all else was silent since, a reader may
  // begin at this line after all; where all lines are so long, there is no other place. Not where
  // it is cut: a reader that began at this line would have room for more of it.
  const bool may_settle_at_line = !is_cut && lane.line.is_open() && lane.record.is_open() &&
                                  lane.line_began.counters.records == now_.counters.records;
  if (lane.record.is_open()) end_record(lane, false);
  const Lane& other = &lane == &lanes_[0] ? lanes_[1] : lanes_[0];
  if (may_settle_at_line && !other.is_open()) {
    opened_ = lane.line_began;
    opened_.counters.records = now_.counters.records;
    handler_.on_open();
  } else {
    mark_opening();
  }
  lane.record.open(line);
}

void Assembler::end_record(Lane& lane, bool is_cut) {
  tell(lane.stream, lane.record.text(), is_cut);
  lane.record.close();
}

void Assembler::end_lane(Lane& lane, bool is_cut) {
  if (lane.line.is_open()) finish_line(lane, is_cut);
  if (lane.record.is_open()) end_record(lane, is_cut);
  lane.multiline.reset();
}

void Assembler::end_all(bool is_cut) {
  const bool is_second_first =
      lanes_[1].is_open() && (!lanes_[0].is_open() || lanes_[1].opened() < lanes_[0].opened());
  end_lane(lanes_[is_second_first ? 1 : 0], is_cut);
  end_lane(lanes_[is_second_first ? 0 : 1], is_cut);
}

/// Before a line of that size, if with it there would be more than is allowed.
void Assembler::end_all_before(std::size_t size) {
  if (now_.fed + size - opened_.fed > rules_.record_bytes_max) end_all(true);
}

void Assembler::tell(std::string_view stream, const Text& text, bool is_cut) {
  Text rest = text;
  while (rest.text.size() > rules_.record_bytes_max) {
    Text piece = rest;
    piece.text = rest.text.substr(0, rules_.record_bytes_max);
    tell_one(stream, piece, true);
    // Somewhere inside its line, and no other record's: no text is longer than its line.
    rest.text.remove_prefix(rules_.record_bytes_max);
    rest.place.offset += rules_.record_bytes_max;
  }
  tell_one(stream, rest, is_cut);
}

void Assembler::tell_one(std::string_view stream, const Text& text, bool is_cut) {
  ++now_.counters.records;
  if (is_cut) ++now_.counters.cut_records;
  const Record record{.text = text.text,
                      .place = text.place,
                      .time_ns = text.time_ns,
                      .stream = stream,
                      .is_cut = is_cut};
  handler_.on_record(record);
}

void Assembler::mark_opening() {
  if (has_open()) return;
  opened_ = now_;
  handler_.on_open();
}

void Assembler::advance(std::size_t size) {
  now_.place.offset += size;
  now_.fed += size;
}

std::string_view Assembler::without_cr(std::string_view text) const {
  if (rules_.strip_cr && text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

bool Assembler::is_too_long(std::string_view line) const {
  if (line.size() <= line_bytes_max_) return false;
  return without_cr(line).size() > line_bytes_max_;
}

}  // namespace consort::logsaver
