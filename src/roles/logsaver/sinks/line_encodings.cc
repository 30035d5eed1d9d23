#include "roles/logsaver/sinks/line_encodings.hpp"

#include <utility>

namespace consort::logsaver {

void RawEncoding::begin(const BatchHead&, std::string&) {
  is_within_line_ = false;
}

void RawEncoding::begin_extent(const TailFacts&, std::string& out) {
  if (std::exchange(is_within_line_, false)) out += '\n';
}

void RawEncoding::record(const Record& record, const TailFacts&, std::string& out) {
  out += record.text;
  is_within_line_ = record.is_cut && record.stream.empty();
  if (!is_within_line_) out += '\n';
}

void NdjsonEncoding::record(const Record& record, const TailFacts& facts, std::string& out) {
  writer_.append(out, record, facts);
  out += '\n';
}

std::unique_ptr<Encoding> make_line_encoding(BodyForm form, JsonRecordRules rules) {
  if (form == BodyForm::raw) return std::make_unique<RawEncoding>();
  return std::make_unique<NdjsonEncoding>(rules);
}

}  // namespace consort::logsaver
