// Bodies of one line for each record: raw text, and JSON objects (NDJSON).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "roles/logsaver/sinks/json_record.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

enum class BodyForm : std::uint8_t { raw, ndjson };

/// The bytes as the application wrote them. A line of a plain file that is longer than a record may
/// be gets no line end between its pieces: they are one line again. Pieces of stdout and stderr get
/// one, since records of the other stream may lie between them; and so does the last piece before
/// another file's lines. Limit: not when these are the first of the next batch.
class RawEncoding final : public Encoding {
 public:
  bool is_plain() const override { return true; }
  void begin(const BatchHead& head, std::string& out) override;
  void begin_extent(const TailFacts& facts, std::string& out) override;
  void record(const Record& record, const TailFacts& facts, std::string& out) override;

 private:
  bool is_within_line_ = false;
};

class NdjsonEncoding final : public Encoding {
 public:
  explicit NdjsonEncoding(JsonRecordRules rules) : writer_(rules) {}
  void record(const Record& record, const TailFacts& facts, std::string& out) override;

 private:
  JsonRecordWriter writer_;
};

/// The rules are those of ndjson.
std::unique_ptr<Encoding> make_line_encoding(BodyForm form, JsonRecordRules rules);

}  // namespace consort::logsaver
