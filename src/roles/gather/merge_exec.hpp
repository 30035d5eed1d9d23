// The merge that is a command, run once per request (specification 7.3, `exec`).
//
// Standard input: the request and its parts as ndjson (merge_payload.hpp). With `files`, nothing;
// instead $CONSORT_PARTS_DIR is a private directory (mode 0700, removed afterwards) with
//
//   request.json   the document of merge_payload without bodies; each part has "file": "s0"
//   s0.json        the shard's PART without its body      s0.body   the body as it came
//                  for failed shards too                            for ok shards only
//
// A shard whose id is not a plain file name (letters, digits, "_.-", not "request", up to 64 bytes)
// has the file "part-INDEX".
// Environment, beside ours: REQUEST_METHOD, PATH_INFO, QUERY_STRING, CONSORT_TOTAL, CONSORT_OK,
// CONSORT_REQUEST_ID, CONSORT_DEADLINE_MS. Standard output: the body, or with `cgi` headers first
// (cgi.hpp). Without a Content-Type the answer is application/json if it is JSON, else plain text.
// Standard error: into the log. An exit code other than 0, a signal or more than the largest output
// is a failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "manage/role.hpp"
#include "roles/gather/command_run.hpp"
#include "roles/gather/external_merge.hpp"

namespace consort::gather {

struct ExecMergeOptions {
  std::string command;  ///< see command_argv()
  std::uint32_t processes_max = 16;
  std::uint32_t waiting_max = 1024;
  bool files = false;
  bool cgi = false;
  std::size_t output_bytes_max = 64UL << 20;
};

class ExecMerge final : public ExternalMerge {
 public:
  ExecMerge(const Services& services, ExecMergeOptions options);

  Task<MergeResult> merge(MergeRequest request, Deadline deadline) override;
  std::string describe() const override { return "exec " + options_.command; }
  const MergeStats& stats() const override;

 private:
  Result<> prepare(const MergeRequest& request, CommandRun& run) const;
  MergeResult read(CommandOutcome outcome) const;

  const ExecMergeOptions options_;
  CommandRunner runner_;
  mutable MergeStats stats_;
};

/// The names of the parts' files, without their endings, in the order of the parts.
std::vector<std::string> part_file_names(const std::vector<MergePart>& parts);

}  // namespace consort::gather
