// The HTTP destinations: what each of them adds to HttpDelivery.
//
//   http   any server. Idempotency-Key names the batch, and consort.id each record of NDJSON: a
//          receiver that knows one of them stores nothing twice. 400 and 422 mean every record
//   es     Elasticsearch, OpenSearch: _bulk. The answer names what was refused (409: it is there
//          already). A 400 for a whole body is looked into until the record is found
//   loki   400 says that some entries were refused, and Loki has taken the others: those it means
//          are found by halving, which is harmless, since equal entries are stored once. What is
//          too old for Loki gets the batch's time (late=now), is dropped, or rejected (late=dlq)
//   otlp   OTLP/HTTP JSON. partialSuccess is final: how many were rejected is logged, since the
//          answer does not say which; when it is all of them, they are rejections
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/options.hpp"
#include "roles/logsaver/sinks/http_delivery.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/sinks/loki_encoding.hpp"

namespace consort::logsaver {

/// What becomes of entries that Loki finds too old.
enum class LokiLate : std::uint8_t { now, drop, dlq };

class HttpSink final : public HttpDelivery {
 public:
  HttpSink(const SinkWorld& world, Settings settings, io::TlsClient* tls, BodyForm form);
  std::unique_ptr<Encoding> make_encoding() const override;

 private:
  const BodyForm form_;
};

class EsSink final : public HttpDelivery {
 public:
  EsSink(const SinkWorld& world, Settings settings, io::TlsClient* tls);
  std::unique_ptr<Encoding> make_encoding() const override;

 private:
  HttpReading read(const HttpAnswer& answer, std::size_t records) const override;
  bool refuses_all(const HttpAnswer& answer, std::size_t records) const override;
};

class LokiSink final : public HttpDelivery {
 public:
  struct Rules {
    LokiEncoding::Labels labels;
    LokiLate late = LokiLate::now;
  };
  LokiSink(const SinkWorld& world, Settings settings, io::TlsClient* tls, Rules rules);
  std::unique_ptr<Encoding> make_encoding() const override;

 private:
  bool refuses_all(const HttpAnswer& answer, std::size_t records) const override;
  Refusal on_refused(const HttpAnswer& answer, std::size_t records) const override;
  void mend(const Batch& batch, std::size_t first, std::span<const BodyPart> parts,
            std::string& out) const override;

  const Rules rules_;
};

class OtlpSink final : public HttpDelivery {
 public:
  OtlpSink(const SinkWorld& world, Settings settings, io::TlsClient* tls,
           LokiEncoding::Labels labels);
  std::unique_ptr<Encoding> make_encoding() const override;

 private:
  HttpReading read(const HttpAnswer& answer, std::size_t records) const override;

  const LokiEncoding::Labels labels_;
};

}  // namespace consort::logsaver

namespace consort {
template <>
struct Choices<logsaver::LokiLate> {
  static constexpr std::string_view names[] = {"now", "drop", "dlq"};
};
}  // namespace consort
