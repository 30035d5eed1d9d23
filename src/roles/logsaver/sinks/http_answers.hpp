// What the answers of Elasticsearch, OTLP receivers and Loki say of single records. Pure; the bytes
// come from peers, and may be anything (tests/fuzz/log_answers.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "roles/logsaver/sinks/http_delivery.hpp"

namespace consort::logsaver {

/// {"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":...,
/// "reason":...}}}]}: one item for each record, in order. 409 is there already; 429 and 5xx are
/// unfinished, and wait; everything else above 299 is rejected. An answer that is none leaves all
/// unfinished.
HttpReading read_bulk_answer(std::string_view body, std::size_t records);

struct OtlpPartial {
  std::uint64_t rejected = 0;
  std::string message;  ///< may come with 0 rejected, as a warning
};
/// {"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"..."}}. An answer of another form
/// rejects nothing: the status has said that the request was taken.
OtlpPartial read_otlp_answer(std::string_view body);

/// "... total ignored: 3 out of 3": none of that many entries was taken (Loki 2.4 and later).
bool says_all_ignored(std::string_view body, std::size_t records);
/// Loki's words for entries older than it takes: "entry too far behind", "timestamp too old" and
/// "greater_than_max_sample_age".
bool says_too_old(std::string_view body);

}  // namespace consort::logsaver
