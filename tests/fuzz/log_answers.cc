// Fuzzes what log destinations answer: whatever they send, the reading stays within the records
// that were asked about, and is the same each time.
//
// The first byte is the number of records, the rest the answer. The same bytes are read as bodies
// of ours, too: what is taken apart and put together is what was taken apart.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "roles/logsaver/sinks/body_shape.hpp"
#include "roles/logsaver/sinks/http_answers.hpp"
#include "roles/logsaver/sinks/loki_encoding.hpp"
#include "roles/logsaver/sinks/otlp_encoding.hpp"

namespace {

namespace logsaver = consort::logsaver;

void check_bulk(std::string_view body, std::size_t records) {
  const logsaver::HttpReading reading = logsaver::read_bulk_answer(body, records);
  CHECK(reading.is_unfinished != reading.why.empty());
  CHECK((reading.is_unfinished || reading.waiting.empty()));
  for (std::size_t i = 0; i < reading.waiting.size(); ++i) {
    CHECK(reading.waiting[i] < records);
    CHECK((i == 0 || reading.waiting[i - 1] < reading.waiting[i]));
  }
  std::size_t least = 0;
  for (const auto& [index, reason] : reading.rejected) {
    CHECK(index >= least && index < records);
    CHECK(!reason.empty());
    least = index + 1;
  }
  CHECK(logsaver::read_bulk_answer(body, records).rejected == reading.rejected);
}

void check_shape(const logsaver::BodyShape& shape, std::string_view body) {
  const auto parts = shape.take_apart(body);
  if (!parts) return;
  std::string first;
  shape.put_together(*parts, first);
  for (const logsaver::BodyPart& part : *parts) shape.shown(part);
  const auto again = shape.take_apart(first);
  if (!again) return;  // what is no JSON inside need not stay together
  std::string second;
  shape.put_together(*again, second);
  CHECK(again->size() != parts->size() || first == second);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  check_bulk(body, data[0]);
  const logsaver::OtlpPartial partial = logsaver::read_otlp_answer(body);
  CHECK(partial.message.size() <= 4096);
  logsaver::says_all_ignored(body, data[0]);
  logsaver::says_too_old(body);
  check_shape(logsaver::LineShape(), body);
  check_shape(logsaver::LineShape(2), body);
  check_shape(logsaver::LokiShape(), body);
  check_shape(logsaver::OtlpShape(), body);
  return 0;
}
