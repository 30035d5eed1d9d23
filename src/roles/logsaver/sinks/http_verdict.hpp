// What a status of HTTP, or no answer at all, means for a batch: in one place, and pure.
//
//   2xx                                   delivered
//   408 429 503 504, no answer in time    overload: again, and fewer at a time
//   409, other 5xx, connection failures   retry
//   400 422                               refused: the content, which will never be taken
//   413                                   too large: in parts
//   401 403 404 405, all others, TLS certificates, what cannot be asked at all
//                                         hold: a person must look
//
// 409 is how receivers of Idempotency-Key tell that the first try is still being worked on. What
// redirects (3xx) is held: a POST is not sent to places that nobody has named.
#pragma once

#include <cstdint>

#include "base/error.hpp"

namespace consort::logsaver {

enum class HttpVerdict : std::uint8_t { delivered, retry, overload, refused, too_large, hold };

HttpVerdict judge_status(int status);
/// OTLP/HTTP lets only 429, 502, 503 and 504 be sent again. What it says of the others is that
/// repeating is no use: those are held, and tried by the sink's slow clock until someone looks.
HttpVerdict judge_otlp_status(int status);
HttpVerdict judge_failure(Errc code);

}  // namespace consort::logsaver
