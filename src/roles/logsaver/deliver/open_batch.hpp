// A batch while it grows: takes the bytes of one extent after the other, and makes of them what the
// sink will send.
//
//   window --> Assembler --> redact, fields, filter --> Encoding --> plain --1 MiB--> coded body
//
// What comes out is a function of the extents' bytes and the batch's head alone, not of how they
// came in windows and turns: that is what makes a batch after a crash equal to the one before.
//
// A turn may end within a record, and the next one begins before it then. So while something is
// open, records of the other stream wait: what is behind the first open byte is not encoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "roles/logsaver/deliver/record_rules.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/state/ledger.hpp"
#include "wire/compressor.hpp"

namespace consort::logsaver {

/// Belongs to one thread; rules, compressor and spare outlive it. The spare is memory for the plain
/// bytes: taken, and given back in the end, so that not each batch has it mapped anew.
class OpenBatch final : private RecordHandler {
 public:
  /// So much is coded at once.
  static constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

  OpenBatch(RecordRules& rules, Compressor& compressor, Coding coding,
            std::unique_ptr<Encoding> encoding, BatchHead head, std::string& spare);
  ~OpenBatch();

  const BatchHead& head() const { return head_; }
  const std::vector<Extent>& extents() const { return extents_; }
  std::uint64_t records() const { return records_; }
  std::uint64_t filtered() const { return filtered_; }
  /// Of the log's bytes in its extents.
  std::uint64_t log_bytes() const { return log_bytes_; }
  std::uint64_t plain_bytes() const { return coded_plain_bytes_ + out().size(); }
  /// Lines pass as they are: as many bytes as the log has.
  bool is_plain() const { return is_plain_; }
  std::size_t memory_bytes() const { return plain_.capacity() + body_.capacity(); }
  bool is_empty() const { return extents_.empty(); }
  /// What was encoded last is a part of a line, and not the last one.
  bool is_within_line() const { return is_plain_ ? ends_in_line_ : is_last_cut_; }

  /// Bytes of a tail follow, from that offset on.
  void begin_turn(TailId tail, const TailFacts& facts, std::uint64_t offset);
  /// How many bytes of the window were used; the rest is given again with more behind it.
  std::size_t feed(std::string_view window);
  /// The last line of what the file will ever have; or, where a batch is built again, what its
  /// extent ends with.
  void feed_partial(std::string_view rest);
  /// What is open goes on in another tail, which nobody has read from yet.
  void next_piece(TailId tail, const TailFacts& facts, std::uint64_t offset);
  bool has_open() const;
  /// Where the turn may end: behind all that is whole.
  Place settled() const;
  /// Ends the turn at settled(), or, with `is_flush`, behind all that was fed. How far it came, by
  /// piece: the caller fills in the checks.
  std::vector<Extent> end_turn(bool is_flush);
  /// The turn was the next part of the batch; its extents with their checks.
  void keep(std::vector<Extent> extents, bool is_flush);

  /// Nothing more will come. Fills body, body_plain_bytes, records of the batch.
  void finish(Batch& batch);

 private:
  struct Piece {
    TailId tail = 0;
    const TailFacts* facts = nullptr;
    std::uint64_t start = 0;
    std::uint64_t end = 0;
  };
  struct Waiting {
    Record record;
    std::size_t text_end = 0;  ///< in waiting_text_
  };

  void on_record(const Record& record) override;
  void on_open() override;
  void encode(Record record);
  void encode_waiting();
  void enter(TailId tail, const TailFacts& facts);
  void append_plain(std::string_view lines);
  void code_blocks();
  std::string& out() { return coding_ == Coding::none ? body_ : plain_; }
  const std::string& out() const { return coding_ == Coding::none ? body_ : plain_; }

  RecordRules& rules_;
  Compressor& compressor_;
  const Coding coding_;
  const std::unique_ptr<Encoding> encoding_;
  const bool is_plain_;
  const BatchHead head_;
  Assembler assembler_;
  std::vector<Extent> extents_;
  std::vector<Piece> pieces_;     ///< of the turn
  std::uint64_t fed_end_ = 0;     ///< plain: in the turn's tail
  std::uint64_t line_bytes_ = 0;  ///< plain: of the turn, since the last line end
  bool ends_in_line_ = false;     ///< plain: a part of a line that is longer than records may be
  bool is_last_cut_ = false;      ///< not plain: of the last record
  bool is_open_ = false;          ///< something is, or was in this feed
  std::vector<Waiting> waiting_;
  std::string waiting_text_;
  TailId entered_ = 0;  ///< whose extent the encoding is in; 0 for none
  std::string& spare_;
  std::string plain_;
  std::string body_;
  std::string scratch_;
  std::uint64_t coded_plain_bytes_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t filtered_ = 0;
  std::uint64_t log_bytes_ = 0;
  bool may_merge_ = false;
};

}  // namespace consort::logsaver
