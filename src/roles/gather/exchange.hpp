// One request and its answer: what Root::handle keeps while it works, step by step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "roles/gather/root.hpp"
#include "wire/prefer.hpp"
#include "wire/request_deadline.hpp"
#include "wire/trace_context.hpp"

namespace consort::gather {

/// Lives in the frame of Root::handle; when that is dropped, so are the calls to the leaves.
class Root::Exchange {
 public:
  Exchange(Root& root, http::Request request);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  Task<http::Response> run();

 private:
  using Refusal = std::optional<http::Response>;

  // exchange.cc: until the leaves are asked
  Refusal find_route();
  Refusal check_loop();
  Refusal check_deadline();
  Refusal find_shards();
  Task<Refusal> scatter();
  http::Response too_late(std::string_view why);
  void make_identity();
  std::unique_ptr<Merge> make_route_merge() const;

  // exchange_answer.cc: after it
  Task<http::Response> gather();
  Task<http::Response> merge_outside();
  http::Response merge_inside();
  http::Response pass_through(std::size_t leaf);
  http::Response no_coverage(const Decision& decision);
  http::Response problem(const Problem& what);
  http::Response finish(http::Response response);
  void add_gather_headers(http::Response& response);
  void log_access(int status, std::uint64_t total_us);
  std::string explain_json(const http::Response& response) const;
  bool wants_explanation() const;
  MergeRequest merge_request(const std::string& coverage) const;
  Demand demand() const;

  Root& root_;
  const http::Request request_;
  const std::shared_ptr<const Epoch> epoch_;
  RouteState* route_ = nullptr;
  std::size_t route_index_ = 0;  ///< in the epoch: another one's may differ
  std::string id_;
  TraceContext trace_;
  Preferences preferences_;
  bool wait_counted_ = false;  ///< the client's wait= set the deadline
  std::uint32_t depth_ = 0;
  const std::uint64_t started_ns_;
  std::uint64_t deadline_ms_ = 0;
  bool deadline_is_clients_ = false;
  Admission::Pass pass_;
  std::vector<std::uint32_t> shards_;
  std::unique_ptr<Merge> merge_;
  std::optional<LeafRequest> leaf_request_;
  std::optional<Fanout> fanout_;
  Coverage coverage_;
  std::vector<LeafResult> results_;
  std::uint64_t scattered_ns_ = 0;  ///< the leaves are done
  std::uint64_t merged_ns_ = 0;
  bool is_answered_ = false;
};

}  // namespace consort::gather
