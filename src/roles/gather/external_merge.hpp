// A merge that somebody else does: what leaves answered goes out, one answer comes back.
//
// Three carriers of the same data (specification 7.3): an HTTP service (merge_http), one process
// per request (merge_exec) and long-lived children (merge_coprocess). What travels is written by
// merge_payload.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "async/deadline.hpp"
#include "async/task.hpp"

namespace consort::gather {

/// One shard's answer, or why there is none. The views belong to the caller and must live until
/// the merge has ended or its task is dropped.
struct MergePart {
  std::string_view shard;
  std::uint32_t index = 0;
  bool ok = false;
  int status = 0;                 ///< 0 when no status arrived
  std::string_view content_type;  ///< empty when the leaf gave none
  double ms = 0;                  ///< how long the shard took
  std::string_view body;
  std::string_view error;  ///< of a part that is not ok: "http_response_timeout"
};

/// Views and pointers as in MergePart.
struct MergeRequest {
  std::string_view id;
  std::string_view method;
  std::string_view path;
  std::string_view query;  ///< without the question mark
  const std::vector<std::pair<std::string, std::string>>* headers = nullptr;  ///< lower-case names
  std::string_view coverage_json;  ///< an object, put in unchanged; empty for {}
  std::uint32_t total = 0;
  std::uint32_t ok = 0;
  std::vector<MergePart> parts;  ///< in shard order, failed ones with their error
};

struct MergedAnswer {
  int status = 200;
  std::string content_type;                                  ///< empty when the merge named none
  std::vector<std::pair<std::string, std::string>> headers;  ///< without Content-Type
  std::string body;
};

/// Becomes 504 when it timed out, else 502.
struct MergeFailure {
  bool timed_out = false;
  std::string why;  ///< for a person: "exit code 3"
};

using MergeResult = tl::expected<MergedAnswer, MergeFailure>;

/// Since the merge was made; for metrics.
struct MergeStats {
  std::uint64_t runs = 0;  ///< merges asked for
  std::uint64_t failed = 0;
  std::uint64_t timed_out = 0;  ///< not counted in failed
  std::uint64_t restarts = 0;   ///< of long-lived children
  std::size_t active = 0;       ///< under way now
  std::size_t waiting = 0;      ///< for a free process or connection
};

/// Belongs to the role's loop. Must outlive its merges.
class ExternalMerge {
 public:
  virtual ~ExternalMerge() = default;
  /// Never later than the deadline. Dropping the task gives the merge up.
  virtual Task<MergeResult> merge(MergeRequest request, Deadline deadline) = 0;
  /// For logs and the admin pages: "exec ./merge.py".
  virtual std::string describe() const = 0;
  virtual const MergeStats& stats() const = 0;
};

}  // namespace consort::gather
