// An ExportLogsServiceRequest of OTLP 1.x in its JSON form (opentelemetry-proto, docs/specification
// of OTLP/HTTP: 64-bit integers are decimal strings), and its parts.
//
//   {"resourceLogs":[{"resource":{"attributes":[{"key":"log.file.path","value":{...}}, ...]},
//     "scopeLogs":[{"scope":{"name":"consort"},"logRecords":[
//       {"timeUnixNano":"1714565045123000000","observedTimeUnixNano":"1714565046000000000",
//        "body":{"stringValue":"the line"},"attributes":[{"key":"log.record.uid",...}]}]}]}]}
//
// A resource for each file, with its labels. timeUnixNano is left out where the time is not known;
// observed is the batch's. Attributes: log.record.uid (append_record_id, by which a receiver can
// tell what came twice), consort.offset, log.iostream, consort.cut, and the record's fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roles/logsaver/sinks/body_shape.hpp"
#include "roles/logsaver/sinks/json_text.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

class OtlpEncoding final : public Encoding {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  OtlpEncoding(Labels labels, InvalidUtf8 invalid)
      : labels_(std::move(labels)), invalid_(invalid) {}
  void begin(const BatchHead& head, std::string& out) override;
  void record(const Record& record, const TailFacts& facts, std::string& out) override;
  void end_extent(std::string& out) override;
  void end(std::string& out) override;

 private:
  void open_resource(const TailFacts& facts, std::string& out);
  void append_attribute(std::string& out, std::string_view key, std::string_view value) const;
  void append_attributes(const Record& record, const TailFacts& facts, std::string& out) const;

  const Labels labels_;
  const InvalidUtf8 invalid_;
  std::int64_t created_ns_ = 0;
  const TailFacts* open_ = nullptr;  ///< whose resource takes records
  bool has_resources_ = false;
};

class OtlpShape final : public BodyShape {
 public:
  Result<std::vector<BodyPart>> take_apart(std::string_view body) const override;
  void put_together(std::span<const BodyPart> parts, std::string& out) const override;
  /// The body's text.
  std::string shown(const BodyPart& part) const override;
};

}  // namespace consort::logsaver
