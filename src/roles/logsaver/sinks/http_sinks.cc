#include "roles/logsaver/sinks/http_sinks.hpp"

#include <utility>

#include "roles/logsaver/sinks/es_encoding.hpp"
#include "roles/logsaver/sinks/http_answers.hpp"
#include "roles/logsaver/sinks/otlp_encoding.hpp"

namespace consort::logsaver {

HttpSink::HttpSink(const SinkWorld& world, Settings settings, io::TlsClient* tls, BodyForm form)
    : HttpDelivery(world, std::move(settings), tls), form_(form) {}

std::unique_ptr<Encoding> HttpSink::make_encoding() const {
  JsonRecordRules rules;
  rules.has_id = true;
  rules.invalid_utf8 = world().invalid_utf8;
  return make_line_encoding(form_, rules);
}

EsSink::EsSink(const SinkWorld& world, Settings settings, io::TlsClient* tls)
    : HttpDelivery(world, std::move(settings), tls) {}

std::unique_ptr<Encoding> EsSink::make_encoding() const {
  return std::make_unique<EsEncoding>(world().invalid_utf8);
}

HttpReading EsSink::read(const HttpAnswer& answer, std::size_t records) const {
  HttpReading reading = read_bulk_answer(answer.body, records);
  if (reading.is_unfinished) reading.why = name() + ": " + reading.why;
  return reading;
}

bool EsSink::refuses_all(const HttpAnswer&, std::size_t) const {
  return false;
}

LokiSink::LokiSink(const SinkWorld& world, Settings settings, io::TlsClient* tls, Rules rules)
    : HttpDelivery(world, std::move(settings), tls), rules_(std::move(rules)) {}

std::unique_ptr<Encoding> LokiSink::make_encoding() const {
  return std::make_unique<LokiEncoding>(rules_.labels, world().invalid_utf8);
}

bool LokiSink::refuses_all(const HttpAnswer& answer, std::size_t records) const {
  return says_all_ignored(answer.body, records);
}

Refusal LokiSink::on_refused(const HttpAnswer& answer, std::size_t) const {
  if (rules_.late == LokiLate::dlq || !says_too_old(answer.body)) return Refusal::reject;
  return rules_.late == LokiLate::drop ? Refusal::drop : Refusal::mend;
}

void LokiSink::mend(const Batch& batch, std::size_t first, std::span<const BodyPart> parts,
                    std::string& out) const {
  // The batch's time and the record's number, not the clock: the same after a crash.
  const auto index = static_cast<std::int64_t>(first);
  LokiShape::put_together_at(batch.created_ms * 1'000'000 + index, parts, out);
}

OtlpSink::OtlpSink(const SinkWorld& world, Settings settings, io::TlsClient* tls,
                   LokiEncoding::Labels labels)
    : HttpDelivery(world, std::move(settings), tls), labels_(std::move(labels)) {}

std::unique_ptr<Encoding> OtlpSink::make_encoding() const {
  return std::make_unique<OtlpEncoding>(labels_, world().invalid_utf8);
}

HttpReading OtlpSink::read(const HttpAnswer& answer, std::size_t records) const {
  HttpReading reading;
  const OtlpPartial partial = read_otlp_answer(answer.body);
  if (partial.rejected > 0 && partial.rejected >= records) {
    for (std::size_t i = 0; i < records; ++i) reading.rejected.emplace_back(i, partial.message);
  } else if (partial.rejected > 0) {
    world().log.error("sink.rejected_unnamed", {{"sink", name()},
                                                {"records", partial.rejected},
                                                {"of", records},
                                                {"why", partial.message}});
  }
  return reading;
}

}  // namespace consort::logsaver
