#include "roles/logsaver/deliver/open_batch.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace consort::logsaver {
namespace {

/// std::count() sums up in words. Sums that fit into bytes leave room for eight times as many in a
/// register: a GB takes 0.05 s instead of 0.2.
std::uint64_t count_line_ends(std::string_view bytes) {
  constexpr std::size_t kBytesAtOnce = 192;
  std::uint64_t count = 0;
  while (!bytes.empty()) {
    const std::string_view some = bytes.substr(0, kBytesAtOnce);
    std::uint8_t ends = 0;
    for (const char c : some) ends = static_cast<std::uint8_t>(ends + (c == '\n' ? 1 : 0));
    count += ends;
    bytes.remove_prefix(some.size());
  }
  return count;
}

}  // namespace

OpenBatch::OpenBatch(RecordRules& rules, Compressor& compressor, Coding coding,
                     std::unique_ptr<Encoding> encoding, BatchHead head, std::string& spare)
    : rules_(rules),
      compressor_(compressor),
      coding_(coding),
      encoding_(std::move(encoding)),
      is_plain_(rules.are_plain() && encoding_->is_plain()),
      head_(head),
      assembler_(rules.assembler, *this),
      spare_(spare),
      plain_(std::exchange(spare, {})) {
  encoding_->begin(head_, out());
}

OpenBatch::~OpenBatch() {
  if (plain_.capacity() <= spare_.capacity() || plain_.capacity() > 2 * kBlockBytes) return;
  plain_.clear();
  spare_.swap(plain_);
}

void OpenBatch::begin_turn(TailId tail, const TailFacts& facts, std::uint64_t offset) {
  pieces_.assign(1, Piece{tail, &facts, offset, offset});
  fed_end_ = offset;
  line_bytes_ = 0;
  is_open_ = false;
  waiting_.clear();
  waiting_text_.clear();
  if (!is_plain_) assembler_.begin({0, offset});
}

void OpenBatch::enter(TailId tail, const TailFacts& facts) {
  if (entered_ == tail) return;
  if (std::exchange(ends_in_line_, false)) {
    // What follows is no part of that line.
    append_plain("\n");
    ++records_;
  }
  if (entered_ != 0) encoding_->end_extent(out());
  encoding_->begin_extent(facts, out());
  entered_ = tail;
}

std::size_t OpenBatch::feed(std::string_view window) {
  if (!is_plain_) {
    const std::size_t used = assembler_.feed(window);
    if (is_open_ && !assembler_.has_open()) {
      encode_waiting();
      is_open_ = false;
    }
    return used;
  }
  std::size_t size = window.rfind('\n') + 1;
  // A line longer than any window goes in parts; what is plain need not know where lines end.
  if (size == 0 && window.size() >= assembler_.feed_bytes_min()) size = window.size();
  if (size == 0) return 0;
  const std::string_view lines = window.substr(0, size);
  enter(pieces_.front().tail, *pieces_.front().facts);
  append_plain(lines);
  records_ += count_line_ends(lines);
  fed_end_ += size;
  ends_in_line_ = !lines.ends_with('\n');
  line_bytes_ = ends_in_line_ ? line_bytes_ + size : 0;
  return size;
}

void OpenBatch::feed_partial(std::string_view rest) {
  if (rest.empty()) return;
  // As long as that it can only be a part of a longer line, as feed() takes them: when a batch is
  // built again, an extent that ended there ends there again.
  if (!is_plain_) {
    if (rest.size() == rules_.assembler.line_bytes_max()) {
      const std::string longer = std::string(rest) + "..";
      if (assembler_.feed(longer) == rest.size()) return;
    }
    return assembler_.feed_partial(rest);
  }
  enter(pieces_.front().tail, *pieces_.front().facts);
  out().append(rest);
  fed_end_ += rest.size();
  line_bytes_ += rest.size();
  ends_in_line_ = line_bytes_ >= assembler_.feed_bytes_min();
  if (ends_in_line_) return;
  out() += '\n';
  ++records_;
}

void OpenBatch::next_piece(TailId tail, const TailFacts& facts, std::uint64_t offset) {
  pieces_.back().end = assembler_.end().offset;
  pieces_.push_back({tail, &facts, offset, offset});
  assembler_.next_piece(offset);
}

bool OpenBatch::has_open() const {
  return !is_plain_ && assembler_.has_open();
}

Place OpenBatch::settled() const {
  return is_plain_ ? Place{0, fed_end_} : assembler_.settled();
}

std::vector<Extent> OpenBatch::end_turn(bool is_flush) {
  if (is_flush && !is_plain_) assembler_.flush();
  const Place end = settled();
  if (!has_open()) encode_waiting();
  waiting_.clear();
  waiting_text_.clear();
  std::vector<Extent> extents;
  for (std::uint32_t i = 0; i <= end.piece; ++i) {
    const Piece& piece = pieces_[i];
    const std::uint64_t to = i == end.piece ? end.offset : piece.end;
    if (to > piece.start) extents.push_back({piece.tail, piece.start, to, i > 0, {}});
  }
  return extents;
}

void OpenBatch::keep(std::vector<Extent> extents, bool is_flush) {
  if (extents.empty()) return;
  for (Extent& extent : extents) {
    log_bytes_ += extent.end - extent.start;
    Extent* last = extents_.empty() ? nullptr : &extents_.back();
    // One that was ended by silence stays by itself: feed_partial() must be told from feed().
    if (may_merge_ && !is_flush && last != nullptr && last->tail == extent.tail &&
        last->end == extent.start && !extent.continues) {
      last->end = extent.end;
      last->check = extent.check;
    } else {
      extents_.push_back(extent);
    }
  }
  // A record that was ended by silence must end there again when the batch is built anew.
  may_merge_ = !is_flush && extents.size() == 1;
  code_blocks();
}

void OpenBatch::on_open() {
  // All that was told before can stand.
  encode_waiting();
  is_open_ = true;
}

void OpenBatch::on_record(const Record& record) {
  if (!is_open_) return encode(record);
  waiting_text_.append(record.text);
  waiting_.push_back({record, waiting_text_.size()});
}

void OpenBatch::encode_waiting() {
  std::size_t start = 0;
  for (Waiting& each : waiting_) {
    each.record.text = std::string_view(waiting_text_).substr(start, each.text_end - start);
    start = each.text_end;
    encode(each.record);
  }
  waiting_.clear();
  waiting_text_.clear();
}

void OpenBatch::encode(Record record) {
  if (!rules_.redaction.empty()) record.text = rules_.redaction.apply(record.text, scratch_);
  if (!rules_.fields.empty()) rules_.fields.parse(record);
  if (!rules_.filter.empty() && !rules_.filter.keeps(record.text)) {
    ++filtered_;
    return;
  }
  ++records_;
  is_last_cut_ = record.is_cut;
  const Piece& piece = pieces_[record.place.piece];
  enter(piece.tail, *piece.facts);
  encoding_->record(record, *piece.facts, out());
  // What was encoded stays: nothing is gained by a block that leaves the cache before it is coded.
  if (plain_.size() >= kBlockBytes) code_blocks();
}

void OpenBatch::append_plain(std::string_view lines) {
  if (coding_ == Coding::none) {
    body_.append(lines);
    return;
  }
  // Whole blocks are coded from where they are.
  while (plain_.size() + lines.size() >= kBlockBytes) {
    const std::string_view some = lines.substr(0, kBlockBytes - plain_.size());
    lines.remove_prefix(some.size());
    if (!plain_.empty()) plain_.append(some);
    compressor_.add(plain_.empty() ? some : std::string_view(plain_), body_);
    plain_.clear();
    coded_plain_bytes_ += kBlockBytes;
  }
  plain_.append(lines);
}

void OpenBatch::code_blocks() {
  if (coding_ == Coding::none) return;
  std::size_t coded = 0;
  while (plain_.size() - coded >= kBlockBytes) {
    compressor_.add(std::string_view(plain_).substr(coded, kBlockBytes), body_);
    coded += kBlockBytes;
  }
  plain_.erase(0, coded);
  coded_plain_bytes_ += coded;
}

void OpenBatch::finish(Batch& batch) {
  if (entered_ != 0) encoding_->end_extent(out());
  encoding_->end(out());
  batch.body_plain_bytes = plain_bytes();
  code_blocks();
  if (!plain_.empty()) compressor_.add(plain_, body_);
  batch.body = std::move(body_);
  batch.coding = coding_;
  // A part of a line counts too, or nobody would send it.
  batch.records = records_ + (ends_in_line_ ? 1 : 0);
}

}  // namespace consort::logsaver
