// Tries out a merge of somebody's own, by any of its carriers, against the merge contract
// (specification 7.3): what leaves answer on good and on bad days goes in, and an answer must come
// out each time. One line per check.
//
//   answers when all parts are there   ten of them
//   answers without parts              no shard matched: a client still gets its answer
//   answers when a part failed         it has "error" and no body
//   takes a part with an empty body    {"base64":""}
//   takes a part that is no JSON       {"base64":".."}
//   takes a part that is not UTF-8
//   takes 1000 parts
//   takes a part of 8 MiB
//   takes 8 requests at once
//   goes on after a deadline           a request that ran out of time takes nothing else with it
//   gives the same bytes again         for the same parts
//   says what its answers are          JSON is JSON, in all of the above
//
// Without an answer to the first one the others are left out.
#pragma once

#include <string>

#include "async/task.hpp"
#include "base/options.hpp"
#include "manage/role.hpp"
#include "roles/gather/check_report.hpp"
#include "roles/gather/external_merge.hpp"

namespace consort::gather {

struct MergeUnderTest {
  ExternalMerge& merge;
  std::string sample;  ///< what one leaf answers; empty for a list of hits
  std::string target = "/";
  Millis timeout{5000};  ///< of each merge
};

/// Services, merge and report outlive the task.
Task<> check_merge(const Services& services, MergeUnderTest under_test, CheckReport& report);

/// The same value with blanks inside, `bytes` long; a text of that length when it has no inside.
std::string blown_up(std::string_view sample, std::size_t bytes);

}  // namespace consort::gather
