#include "roles/logsaver/state/journal_frame.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "base/crc32c.hpp"
#include "roles/logsaver/state/ledger_codec.hpp"

namespace consort::logsaver {

namespace {

constexpr std::string_view kMagic = "consort logsaver journal\n";
constexpr std::size_t kHeaderBytes = kMagic.size() + 4;
constexpr std::size_t kBlockBytes = 256 * 1024;

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

std::uint64_t get(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

}  // namespace

std::string journal_header() {
  std::string header(kMagic);
  put(header, kJournalVersion, 4);
  return header;
}

void append_frame(std::string& out, std::string_view entry, std::uint64_t durable) {
  const std::size_t start = out.size();
  put(out, 0, 4);
  put(out, entry.size(), 4);
  put(out, durable, 8);
  out += entry;
  std::string sum;
  put(sum, crc32c(std::string_view(out).substr(start + 4)), 4);
  out.replace(start, 4, sum);
}

Result<bool> JournalReader::read_header() {
  const std::string expected = journal_header();
  const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(file_bytes_, kHeaderBytes));
  Result<std::string_view> header = bytes_at(0, there);
  if (!header) return fail(std::move(header.error()));
  if (there < kHeaderBytes) {
    if (expected.starts_with(*header)) return false;
    return fail(Errc::invalid, "is not a journal of consort logsaver: give another --state-dir");
  }
  if (!header->starts_with(kMagic)) {
    return fail(Errc::invalid, "is not a journal of consort logsaver: give another --state-dir");
  }
  const std::uint64_t version = get(header->substr(kMagic.size()));
  if (version > kJournalVersion) {
    return fail(Errc::invalid,
                "is of the newer version " + std::to_string(version) + " (this consort knows " +
                    std::to_string(kJournalVersion) +
                    "): run the newer consort again, or give another --state-dir, with which all "
                    "files are read from their beginning");
  }
  if (version < kJournalVersionOldest) {
    return fail(Errc::invalid, "is of the unknown version " + std::to_string(version) +
                                   ": the disk has spoiled it; restore the file, or give another "
                                   "--state-dir");
  }
  version_ = static_cast<std::uint32_t>(version);
  end_ = kHeaderBytes;
  return true;
}

Result<std::optional<std::string_view>> JournalReader::next() {
  Result<std::optional<Frame>> frame = frame_at(end_, 0);
  if (!frame) return fail(std::move(frame.error()));
  if (!frame->has_value()) return end_at_broken_frame();
  const Frame& whole = **frame;
  end_ += kFrameHeadBytes + whole.entry.size();
  durable_ = std::max(durable_, whole.durable);
  return whole.entry;
}

Result<std::optional<std::string_view>> JournalReader::end_at_broken_frame() {
  const auto lied = [this] {
    return fail(Errc::io, "the bytes from " + std::to_string(end_) +
                              " on, which were safe on the disk, are spoiled or gone: restore the "
                              "file, or give another --state-dir, with which all files are read "
                              "from their beginning");
  };
  if (durable_ > end_) return lied();
  // Where the next frame begins is not known, since the length may be what is broken: look
  // everywhere. Only heads that could contradict have their sum computed.
  for (std::uint64_t offset = end_ + 1; offset < file_bytes_; ++offset) {
    Result<std::optional<Frame>> frame = frame_at(offset, end_ + 1);
    if (!frame) return fail(std::move(frame.error()));
    if (frame->has_value()) return lied();
  }
  return std::nullopt;
}

Result<std::optional<JournalReader::Frame>> JournalReader::frame_at(std::uint64_t offset,
                                                                    std::uint64_t durable_min) {
  if (file_bytes_ - offset <= kFrameHeadBytes) return std::nullopt;
  Result<std::string_view> head = bytes_at(offset, kFrameHeadBytes);
  if (!head) return fail(std::move(head.error()));
  const std::uint64_t sum = get(head->substr(0, 4));
  const std::uint64_t length = get(head->substr(4, 4));
  Frame frame{.entry = {}, .durable = get(head->substr(8, 8))};
  if (length == 0 || length > kMaxEntryBytes || frame.durable < durable_min ||
      length > file_bytes_ - offset - kFrameHeadBytes) {
    return std::nullopt;
  }
  Result<std::string_view> all = bytes_at(offset, kFrameHeadBytes + length);
  if (!all) return fail(std::move(all.error()));
  if (crc32c(all->substr(4)) != sum) return std::nullopt;
  frame.entry = all->substr(kFrameHeadBytes);
  return frame;
}

Result<std::string_view> JournalReader::bytes_at(std::uint64_t offset, std::size_t length) {
  if (offset < block_offset_ || offset + length > block_offset_ + block_.size()) {
    block_.resize(std::max(length, kBlockBytes));
    block_offset_ = offset;
    Result<std::size_t> count = file_.read_at(offset, std::span<char>(block_));
    if (!count) return fail(std::move(count.error()));
    block_.resize(*count);
    if (*count < length) return fail(Errc::io, "the file became shorter while it was read");
  }
  return std::string_view(block_).substr(offset - block_offset_, length);
}

}  // namespace consort::logsaver
