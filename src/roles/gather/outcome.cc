#include "roles/gather/outcome.hpp"

#include <algorithm>

#include "base/json_writer.hpp"
#include "base/utf8.hpp"
#include "wire/structured_field.hpp"

namespace consort::gather {
namespace {

/// Missing from the answer, though it was wanted.
bool is_missing(const LeafResult& leaf) {
  return leaf.verdict != LeafVerdict::ok && leaf.verdict != LeafVerdict::empty &&
         leaf.verdict != LeafVerdict::skipped;
}

/// The first of the leaves that were asked, when all of them answered the same 4xx.
std::optional<std::size_t> common_client_error(std::span<const LeafResult> leaves) {
  std::optional<std::size_t> first;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (leaves[i].verdict == LeafVerdict::skipped) continue;
    if (leaves[i].verdict != LeafVerdict::client_error) return std::nullopt;
    if (!first) first = i;
    if (leaves[i].status != leaves[*first].status) return std::nullopt;
  }
  return first;
}

bool is_enough(const Coverage& coverage, const Demand& demand) {
  // Whole numbers decide about all of it: a percentage could be rounded up to 100.
  if (coverage.complete()) return true;
  if (demand.handling == Handling::strict) return false;
  const bool takes_any = demand.handling == Handling::lenient && demand.lenient_allowed;
  if (takes_any && coverage.ok > 0) return true;
  return demand.min_coverage < 100 && coverage.percent() >= demand.min_coverage;
}

/// All that is missing was refused by ourselves; also nothing is missing inside of a child.
bool is_unavailable(std::span<const LeafResult> leaves, const Coverage& coverage) {
  std::uint64_t refused = 0;
  for (const LeafResult& leaf : leaves) {
    if (!is_missing(leaf)) continue;
    if (leaf.verdict != LeafVerdict::unavailable) return false;
    refused += leaf.weight;
  }
  return refused > 0 && coverage.timeout == 0 && coverage.failed <= refused;
}

/// A child root may have waited in vain too, and still have answered us.
bool has_timeout(std::span<const LeafResult> leaves, const Coverage& coverage) {
  return coverage.timeout > 0 || std::any_of(leaves.begin(), leaves.end(), [](const auto& leaf) {
           return leaf.verdict == LeafVerdict::timed_out;
         });
}

}  // namespace

std::string_view to_string(LeafVerdict verdict) {
  switch (verdict) {
    case LeafVerdict::ok:
      return "ok";
    case LeafVerdict::empty:
      return "empty";
    case LeafVerdict::failed:
      return "failed";
    case LeafVerdict::timed_out:
      return "timeout";
    case LeafVerdict::client_error:
      return "client_error";
    case LeafVerdict::unavailable:
      return "unavailable";
    case LeafVerdict::skipped:
      return "skipped";
  }
  return "failed";
}

LeafVerdict verdict_for(ProxyError error) {
  switch (status_for(error)) {
    case 504:
      return LeafVerdict::timed_out;
    case 503:
      return LeafVerdict::unavailable;
    default:
      return LeafVerdict::failed;
  }
}

Coverage coverage_of(LeafVerdict verdict, std::uint64_t weight) {
  Coverage coverage{.total = weight};
  switch (verdict) {
    case LeafVerdict::ok:
    case LeafVerdict::empty:
      coverage.ok = weight;
      break;
    case LeafVerdict::timed_out:
      coverage.timeout = weight;
      break;
    case LeafVerdict::skipped:
      coverage.skipped = weight;
      break;
    default:
      coverage.failed = weight;
  }
  return coverage;
}

Decision decide(std::span<const LeafResult> leaves, const Coverage& coverage,
                const Demand& demand) {
  using Kind = Decision::Kind;
  if (const auto first = common_client_error(leaves)) {
    return {.kind = Kind::pass_through, .status = leaves[*first].status, .pass_index = *first};
  }
  if (is_enough(coverage, demand)) return {};
  if (is_unavailable(leaves, coverage)) {
    return {.kind = Kind::problem, .status = 503, .retry_after_s = kRetryAfterS};
  }
  return {.kind = Kind::problem, .status = has_timeout(leaves, coverage) ? 504 : 502};
}

std::string problem_json(const Problem& problem, const Coverage& coverage,
                         std::span<const LeafResult> leaves) {
  JsonWriter json;
  json.begin_object();
  json.key("type").value(problem.type.uri);
  json.key("title").value(problem.type.title);
  json.key("status").value(problem.status);
  if (!problem.detail.empty()) json.key("detail").value(problem.detail);
  if (!problem.request_id.empty()) json.key("request_id").value(problem.request_id);
  json.key("coverage").raw(coverage.to_json());
  json.key("leaves").begin_array();
  std::size_t missing = 0;
  for (const LeafResult& leaf : leaves) {
    if (!is_missing(leaf) || ++missing > kMaxProblemLeaves) continue;
    json.begin_object();
    json.key("shard").value(leaf.shard);
    json.key("outcome").value(to_string(leaf.verdict));
    if (leaf.status != 0) json.key("status").value(leaf.status);
    if (leaf.error) json.key("error").value(to_string(*leaf.error));
    if (!leaf.details.empty()) {
      json.key("details").value(utf8_prefix(leaf.details, kMaxDetailsBytes));
    }
    json.end_object();
  }
  json.end_array();
  if (missing > kMaxProblemLeaves) json.key("leaves_left_out").value(missing - kMaxProblemLeaves);
  json.end_object();
  return json.take();
}

std::string proxy_status_header(std::span<const LeafResult> leaves) {
  std::string text;
  std::size_t entries = 0;
  for (const LeafResult& leaf : leaves) {
    if (!is_missing(leaf)) continue;
    if (++entries > kMaxProxyStatuses) break;
    text += text.empty() ? "consort" : ", consort";
    if (leaf.error) {
      text += "; error=";
      text += to_string(*leaf.error);
    }
    text += "; next-hop=";
    sf::append_lossy_string(text, leaf.shard);
    if (leaf.status != 0) text += "; received-status=" + std::to_string(leaf.status);
    if (!leaf.details.empty()) {
      text += "; details=";
      sf::append_lossy_string(text, utf8_prefix(leaf.details, kMaxDetailsBytes));
    }
  }
  return text;
}

}  // namespace consort::gather
