#include "roles/logsaver/sinks/http_verdict.hpp"

namespace consort::logsaver {

HttpVerdict judge_status(int status) {
  if (status >= 200 && status < 300) return HttpVerdict::delivered;
  switch (status) {
    case 408:
    case 429:
    case 503:
    case 504:
      return HttpVerdict::overload;
    case 400:
    case 422:
      return HttpVerdict::refused;
    case 409:
      return HttpVerdict::retry;
    case 413:
      return HttpVerdict::too_large;
    default:
      return status >= 500 && status < 600 ? HttpVerdict::retry : HttpVerdict::hold;
  }
}

HttpVerdict judge_otlp_status(int status) {
  if (status == 502) return HttpVerdict::retry;
  const bool is_final =
      status == 408 || status == 409 || (status >= 500 && status != 503 && status != 504);
  return is_final ? HttpVerdict::hold : judge_status(status);
}

HttpVerdict judge_failure(Errc code) {
  switch (code) {
    case Errc::timed_out:
      return HttpVerdict::overload;
    case Errc::invalid:
    case Errc::denied:
      return HttpVerdict::hold;
    default:
      return HttpVerdict::retry;
  }
}

}  // namespace consort::logsaver
