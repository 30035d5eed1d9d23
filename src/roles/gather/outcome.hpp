// What a client gets when the leaves are in: the status table, problem documents, Proxy-Status.
//
//   | leaves                                           | answer                                |
//   |--------------------------------------------------|---------------------------------------|
//   | no shard matches                                 | merge of nothing, 200                 |
//   | all that were asked answer the same 4xx          | that 4xx and the first one's body     |
//   | coverage as demanded                             | merge, 200                            |
//   | less, and all missing ones are unavailable       | problem, 503 with Retry-After         |
//   | less, and any timed out                          | problem, 504                          |
//   | less                                             | problem, 502                          |
//
// Demanded is the route's min_coverage; all of it for `Prefer: handling=strict`; and anything at
// all for `handling=lenient` where the route allows that. Beside answers of other kinds a 4xx is a
// failed leaf. Skipped leaves are nobody's loss: they take no part.
//
// Pure: no I/O, no clock. Linear in the leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "roles/gather/coverage.hpp"
#include "wire/prefer.hpp"
#include "wire/proxy_error.hpp"

namespace consort::gather {

enum class LeafVerdict : std::uint8_t {
  ok,
  empty,  ///< a status that the route takes for "nothing here"; counts as ok
  failed,
  timed_out,
  client_error,  ///< 4xx, and neither an ok nor an empty status of the route
  unavailable,   ///< refused by a limit of ours, or every replica ejected
  skipped,       ///< not asked or not waited for: the answer does without it
};
/// "ok", "empty", "failed", "timeout", "client_error", "unavailable", "skipped".
std::string_view to_string(LeafVerdict verdict);
/// By the status that RFC 9209 recommends: 504 timed_out, 503 unavailable, else failed.
LeafVerdict verdict_for(ProxyError error);

/// One shard, when its last attempt is over. The views belong to the caller.
struct LeafResult {
  std::string_view shard;
  LeafVerdict verdict = LeafVerdict::ok;
  int status = 0;  ///< of its answer; 0 without one
  std::optional<ProxyError> error = {};
  std::string_view details = {};  ///< for a person; may hold anything
  std::uint64_t weight = 1;       ///< or the total of the coverage of a leaf that is a root
};

/// What one shard adds to the coverage. For an ok leaf that sent a coverage add that one instead.
Coverage coverage_of(LeafVerdict verdict, std::uint64_t weight);

/// What the route and the client want.
struct Demand {
  double min_coverage = 100;              ///< percent, 0..100; at 0 the merge always answers
  std::optional<Handling> handling = {};  ///< of the client
  bool lenient_allowed = true;            ///< the route's; else handling=lenient changes nothing
};

struct Decision {
  enum class Kind : std::uint8_t { merge, pass_through, problem };
  Kind kind = Kind::merge;
  int status = 200;            ///< merge: unless the merge has one of its own
  std::size_t pass_index = 0;  ///< pass_through: whose answer
  std::optional<int> retry_after_s = {};
};
/// `coverage` is the sum over the leaves, with what children said of themselves.
Decision decide(std::span<const LeafResult> leaves, const Coverage& coverage, const Demand& demand);

/// The Retry-After of every 503: limits and ejections end within seconds.
inline constexpr int kRetryAfterS = 1;

/// The `type` and `title` of RFC 9457: one kind of failure each, the same every time.
struct ProblemType {
  std::string_view uri;
  std::string_view title;
};
namespace problems {
inline constexpr ProblemType kBadRequest{"urn:consort:gather:bad-request",
                                         "The request cannot be scattered"};
inline constexpr ProblemType kNoRoute{"urn:consort:gather:no-route",
                                      "No route matches the request"};
inline constexpr ProblemType kBodyTooLarge{"urn:consort:gather:body-too-large",
                                           "The request's body is too large"};
inline constexpr ProblemType kHeaderTooLarge{"urn:consort:gather:header-too-large",
                                             "The request's header block is too large"};
inline constexpr ProblemType kTooManyShards{"urn:consort:gather:too-many-shards",
                                            "The request matches too many shards"};
inline constexpr ProblemType kLoopDetected{"urn:consort:gather:loop-detected",
                                           "The request came round in a loop"};
inline constexpr ProblemType kDeadlineExpired{"urn:consort:gather:deadline-expired",
                                              "The deadline had passed before the work began"};
inline constexpr ProblemType kInsufficientCoverage{"urn:consort:gather:insufficient-coverage",
                                                   "Too few leaves answered"};
inline constexpr ProblemType kNoQuorum{"urn:consort:gather:no-quorum",
                                       "The leaves' answers do not agree"};
inline constexpr ProblemType kMergeFailed{"urn:consort:gather:merge-failed",
                                          "The answers could not be merged"};
inline constexpr ProblemType kMergeTimeout{"urn:consort:gather:merge-timeout",
                                           "The merge took too long"};
inline constexpr ProblemType kOverloaded{"urn:consort:gather:overloaded",
                                         "Too many requests are in flight"};
inline constexpr ProblemType kReplicaLimit{"urn:consort:gather:replica-limit",
                                           "A replica has too many requests in flight"};
inline constexpr ProblemType kLeafBodyTooLarge{"urn:consort:gather:leaf-body-too-large",
                                               "A leaf's answer is too large"};
inline constexpr ProblemType kTotalBodyTooLarge{"urn:consort:gather:total-body-too-large",
                                                "The leaves' answers together are too large"};
inline constexpr ProblemType kMemoryLimit{"urn:consort:gather:memory-limit",
                                          "Too little memory is left for the request"};
}  // namespace problems

struct Problem {
  int status = 502;
  ProblemType type = problems::kInsufficientCoverage;
  std::string_view detail = {};  ///< a sentence about this occurrence; empty: left out
  std::string_view request_id = {};
};

inline constexpr std::string_view kProblemMediaType = "application/problem+json";
/// More leaves are counted in `leaves_left_out`.
inline constexpr std::size_t kMaxProblemLeaves = 64;
inline constexpr std::size_t kMaxProxyStatuses = 16;
/// Of a leaf's `details`, in both.
inline constexpr std::size_t kMaxDetailsBytes = 256;

/// The body of an error (RFC 9457), one line:
///   {"type":"urn:consort:gather:insufficient-coverage","title":"Too few leaves answered",
///    "status":504,"detail":"..","request_id":"..","coverage":{..},"leaves":[{"shard":"s7",
///    "outcome":"timeout","error":"http_response_timeout","details":".."}]}
/// `leaves` are those that are missing, in their order; `status` in one only when it answered.
std::string problem_json(const Problem& problem, const Coverage& coverage,
                         std::span<const LeafResult> leaves);

/// The value of Proxy-Status (RFC 9209) for the leaves that are missing; empty when none is:
///   consort; error=http_response_timeout; next-hop="s7"; details="..", consort; ...
/// A leaf's own status is told as received-status.
std::string proxy_status_header(std::span<const LeafResult> leaves);

}  // namespace consort::gather
