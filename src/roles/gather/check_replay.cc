#include "roles/gather/check_replay.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "base/document.hpp"
#include "base/options.hpp"
#include "base/utf8.hpp"
#include "roles/gather/check_report.hpp"
#include "wire/http1_text.hpp"

namespace consort::gather {
namespace {

constexpr std::size_t kNameColumns = 26;
constexpr std::size_t kFigureColumns = 12;

std::string text_of(const Node& node, std::string_view key) {
  const Node* found = node.find(key);
  return found == nullptr ? std::string() : found->scalar;
}

template <class N>
N number_of(const Node& node, std::string_view key) {
  const std::string text = text_of(node, key);
  N number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : N{};
}

ReplayLeaf leaf_of(const Node& node) {
  ReplayLeaf leaf;
  leaf.shard = text_of(node, "shard");
  leaf.outcome = text_of(node, "outcome");
  leaf.error = text_of(node, "error");
  const Node* ms = node.find("ms");
  if (ms != nullptr && ms->kind == Node::Kind::scalar) leaf.ms = number_of<double>(node, "ms");
  if (const Node* attempts = node.find("attempts")) leaf.attempts = attempts->items.size();
  return leaf;
}

bool is_timeline(const Node& node) {
  const Node* leaves = node.find("leaves");
  return node.find("method") != nullptr && node.find("target") != nullptr && leaves != nullptr &&
         leaves->kind == Node::Kind::list;
}

ReplayTimeline timeline_of(const Node& node) {
  ReplayTimeline made;
  made.id = text_of(node, "id");
  made.method = text_of(node, "method");
  made.target = text_of(node, "target");
  made.status = number_of<int>(node, "status");
  made.ms = number_of<double>(node, "ms");
  made.scatter_ms = number_of<double>(node, "scatter_ms");
  made.merge_ms = number_of<double>(node, "merge_ms");
  if (const Node* coverage = node.find("coverage")) {
    made.ok = number_of<std::uint64_t>(*coverage, "ok");
    made.total = number_of<std::uint64_t>(*coverage, "total");
  }
  if (const Node* leaves = node.find("leaves")) {
    for (const Node& leaf : leaves->items) made.leaves.push_back(leaf_of(leaf));
  }
  made.leaves_left_out = number_of<std::uint64_t>(node, "leaves_left_out");
  return made;
}

/// A record may come from anywhere: nothing in it may move a terminal's cursor.
std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    const bool is_shown = bytes > 0 && first >= 0x20 && first != 0x7f;
    out += is_shown ? text.substr(0, bytes) : std::string_view("?");
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return out;
}

void append_row(std::string& out, std::string_view name, std::string_view then,
                std::string_view now, std::string_view more = {}) {
  std::string row = printable(name);
  row.resize(std::max(row.size(), kNameColumns), ' ');
  for (const std::string_view figure : {then, now}) {
    row.append(kFigureColumns - std::min(kFigureColumns, figure.size()), ' ');
    row.append(figure.size() >= kFigureColumns ? " " : "").append(figure);
  }
  if (!more.empty()) row.append("  ").append(printable(more));
  out += row + "\n";
}

std::string outcome_of(const ReplayLeaf* leaf, std::uint64_t left_out) {
  if (leaf == nullptr) return left_out > 0 ? "(not recorded)" : "(not there)";
  std::string text = leaf->outcome;
  if (!leaf->error.empty()) text += " (" + leaf->error + ")";
  if (leaf->attempts > 1) text += " after " + std::to_string(leaf->attempts) + " attempts";
  return text;
}

std::string figure_of(const ReplayLeaf* leaf) {
  return leaf == nullptr || !leaf->ms ? "-" : in_ms(*leaf->ms);
}

/// left_out: how many leaves a record may have had beside those that it tells of.
void append_leaf(std::string& out, const ReplayLeaf* then, const ReplayLeaf* now,
                 std::uint64_t left_out) {
  const std::string before = outcome_of(then, left_out);
  const std::string after = outcome_of(now, left_out);
  append_row(out, then != nullptr ? then->shard : now->shard, figure_of(then), figure_of(now),
             before == after ? after : before + " --> " + after);
}

std::string coverage_of(const ReplayTimeline& timeline) {
  return std::to_string(timeline.ok) + " of " + std::to_string(timeline.total);
}

}  // namespace

Result<ReplayTimeline> pick_timeline(std::string_view text, std::string_view id) {
  Result<Node> read = read_json(text);
  if (!read) return fail(std::move(read.error()).in("no JSON"));
  const Node& document = *read;
  constexpr std::string_view kWanted =
      "; it wants what GET /requests of a root's admin interface or Consort-Explain: 1 gave";
  if (is_timeline(document)) {
    if (!id.empty() && text_of(document, "id") != id) {
      return fail(Errc::not_found, "the only request is " + in_quotes(text_of(document, "id")));
    }
    return timeline_of(document);
  }
  if (document.kind != Node::Kind::list) {
    return fail(Errc::invalid, "there is no timeline of a request" + std::string(kWanted));
  }
  if (document.items.empty()) {
    return fail(Errc::not_found, "the list is empty: the root has recorded no request of late");
  }
  for (const Node& each : document.items) {
    if (!is_timeline(each)) {
      return fail(Errc::invalid, "the list holds something else" + std::string(kWanted));
    }
    if (id.empty() || text_of(each, "id") == id) return timeline_of(each);
  }
  return fail(Errc::not_found, "no request has the id " + in_quotes(id));
}

Result<> check_replayable(const ReplayTimeline& timeline) {
  if (timeline.method != "GET" && timeline.method != "HEAD") {
    return fail(Errc::invalid, "request " + in_quotes(timeline.id) + " is a " +
                                   in_quotes(timeline.method) +
                                   ", whose body is not recorded; choose a GET with --request-id");
  }
  if (!timeline.target.starts_with('/') || !http1::is_target(timeline.target)) {
    return fail(Errc::invalid, in_quotes(timeline.target) + " is no path to ask for");
  }
  return {};
}

std::string side_by_side(const ReplayTimeline& then, const ReplayTimeline& now) {
  std::string out;
  append_row(out, "", "then", "now", then.method + " " + then.target);
  append_row(out, "id", "", "", then.id + " --> " + now.id);
  append_row(out, "status", std::to_string(then.status), std::to_string(now.status));
  append_row(out, "total", in_ms(then.ms), in_ms(now.ms));
  append_row(out, "scatter", in_ms(then.scatter_ms), in_ms(now.scatter_ms));
  append_row(out, "merge", in_ms(then.merge_ms), in_ms(now.merge_ms));
  append_row(out, "coverage", coverage_of(then), coverage_of(now));
  out += "\n";
  append_row(out, "shard", "then", "now", "outcome");
  std::map<std::string_view, const ReplayLeaf*> left;
  for (const ReplayLeaf& leaf : now.leaves) left.emplace(leaf.shard, &leaf);
  for (const ReplayLeaf& leaf : then.leaves) {
    const auto found = left.find(leaf.shard);
    append_leaf(out, &leaf, found == left.end() ? nullptr : found->second, now.leaves_left_out);
    if (found != left.end()) left.erase(found);
  }
  std::uint64_t untold = 0;
  for (const ReplayLeaf& leaf : now.leaves) {
    if (left.erase(leaf.shard) == 0) continue;
    // Of many leaves the record has those that tell most.
    if (then.leaves_left_out > 0 && leaf.outcome == "ok" && leaf.attempts <= 1) {
      ++untold;
    } else {
      append_leaf(out, nullptr, &leaf, then.leaves_left_out);
    }
  }
  untold = std::max(untold, now.leaves_left_out);
  if (untold > 0) out += "and " + std::to_string(untold) + " shards that were not recorded\n";
  return out;
}

}  // namespace consort::gather
