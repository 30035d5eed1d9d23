#include "roles/logsaver/sinks/es_encoding.hpp"

namespace consort::logsaver {

EsEncoding::EsEncoding(InvalidUtf8 invalid)
    : writer_({.time_name = "@timestamp", .unique_names = true, .invalid_utf8 = invalid}) {}

void EsEncoding::begin(const BatchHead& head, std::string&) {
  created_ns_ = head.created_ms * 1'000'000;
}

void EsEncoding::record(const Record& record, const TailFacts& facts, std::string& out) {
  out += R"({"create":{"_id":")";
  append_record_id(out, record, facts);
  out += "\"}}\n";
  writer_.append(out, record, facts, created_ns_);
  out += '\n';
}

}  // namespace consort::logsaver
