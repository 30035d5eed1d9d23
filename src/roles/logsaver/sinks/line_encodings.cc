#include "roles/logsaver/sinks/line_encodings.hpp"

namespace consort::logsaver {

void RawEncoding::record(const Record& record, const TailFacts&, std::string& out) {
  out += record.text;
  if (!record.is_cut || !record.stream.empty()) out += '\n';
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
