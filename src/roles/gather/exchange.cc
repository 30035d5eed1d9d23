#include "roles/gather/exchange.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.hpp"
#include "wire/http1_text.hpp"

namespace consort::gather {
namespace {

constexpr std::size_t kMaxIdBytes = 128;

/// Ids go into headers and log lines of every leaf.
bool is_usable_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && http1::is_token(id);
}

std::uint32_t number_or_zero(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : 0;
}

/// A route's name may be the beginning of another's.
bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at == 0 || !http1::is_token(text.substr(at - 1, 1));
    const bool ends = end == text.size() || !http1::is_token(text.substr(end, 1));
    if (begins && ends) return true;
  }
  return false;
}

/// A leaf that resolves them would see a path that the route does not match.
bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, slash);
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return false;
}

std::string_view path_of(const http::Request& request) {
  const std::string_view target = request.target;
  return target.substr(0, target.find('?'));
}

}  // namespace

Root::Exchange::Exchange(Root& root, http::Request request)
    : root_(root),
      request_(std::move(request)),
      epoch_(root.epoch_),
      trace_(TraceContext::from(request_.headers, root.state_.services.random)),
      preferences_(Preferences::from(request_.headers)),
      started_ns_(root.state_.services.loop.now_ns()) {
  make_identity();
}

Root::Exchange::~Exchange() {
  if (is_answered_ || route_ == nullptr) return;
  route_->metrics.clients_gone.add();
  if (root_.access_log_)
    log_access(499, (root_.state_.services.loop.now_ns() - started_ns_) / 1000);
}

void Root::Exchange::make_identity() {
  for (const std::string_view name : {"consort-request-id", "x-request-id"}) {
    const std::string_view given = request_.header(name);
    if (is_usable_id(given)) {
      id_ = given;
      return;
    }
  }
  id_ = to_hex(root_.state_.services.random.next());
}

Task<http::Response> Root::Exchange::run() {
  Refusal refused = find_route();
  if (!refused) refused = check_loop();
  if (!refused) refused = check_deadline();
  if (!refused) {
    const std::uint64_t now_ms = root_.state_.services.loop.now_ms();
    const Deadline queue = Deadline::after(now_ms, root_.state_.limits.queue_time);
    const Deadline deadline = earlier(queue, Deadline{deadline_ms_});
    pass_ = co_await root_.admission_.enter(deadline);
    if (!pass_) {
      root_.state_.metrics.limits[static_cast<std::size_t>(LimitHit::inflight)]->add();
      Problem full;
      full.status = 503;
      full.type = problems::kOverloaded;
      full.detail = "all places are taken (max_inflight); try again soon";
      refused = problem(full);
    } else if (root_.state_.services.loop.now_ms() >= deadline_ms_) {
      refused = too_late("the deadline passed while the request waited for its turn");
    }
  }
  if (!refused) refused = find_shards();
  if (!refused) refused = co_await scatter();
  if (refused) co_return finish(std::move(*refused));
  http::Response response = co_await gather();
  co_return finish(std::move(response));
}

Root::Exchange::Refusal Root::Exchange::find_route() {
  if (has_dot_segment(request_.path)) {
    Problem dots;
    dots.status = 400;
    dots.type = problems::kBadRequest;
    dots.detail = "\".\" and \"..\" in the path would lead out of the route";
    return problem(dots);
  }
  for (std::size_t i = 0; i < epoch_->routes.size(); ++i) {
    RouteState& route = *epoch_->routes[i];
    if (!route.config.match.takes(request_.method, request_.path)) continue;
    route_ = &route;
    route_index_ = i;
    return std::nullopt;
  }
  Problem none;
  none.status = 404;
  none.type = problems::kNoRoute;
  return problem(none);
}

/// Before any leaf was asked.
http::Response Root::Exchange::too_late(std::string_view why) {
  root_.state_.metrics.expired_deadlines.add();
  Problem late;
  late.status = 504;
  late.type = problems::kDeadlineExpired;
  late.detail = why;
  return problem(late);
}

/// A root that leads to itself, at once when it sees its own name, or by its depth.
Root::Exchange::Refusal Root::Exchange::check_loop() {
  depth_ = number_or_zero(request_.header("consort-depth"));
  bool was_here = false;
  for (const auto& [name, value] : request_.headers) {
    if (name == "via" && has_word(value, route_->via)) was_here = true;
  }
  if (!was_here && depth_ < kMaxDepth) return std::nullopt;
  root_.state_.metrics.loops.add();
  Problem loop;
  loop.type = problems::kLoopDetected;
  loop.detail = was_here ? "the request has passed this route already: a leaf leads back here"
                         : "the request has passed 8 roots";
  http::Response response = problem(loop);
  response.headers.emplace_back("Proxy-Status", "consort; error=proxy_loop_detected");
  return response;
}

Root::Exchange::Refusal Root::Exchange::check_deadline() {
  const std::uint64_t now_ms = root_.state_.services.loop.now_ms();
  AskedDeadline asked = AskedDeadline::from(request_.headers);
  if (asked.malformed > 0) root_.state_.metrics.malformed_deadlines.add(asked.malformed);
  auto left = std::chrono::microseconds(route_->config.timeout);
  if (asked.left && *asked.left < left) {
    left = *asked.left;
    deadline_is_clients_ = true;
    wait_counted_ = preferences_.wait_s && left == std::chrono::seconds(*preferences_.wait_s);
  }
  if (left.count() <= 0) {
    return too_late("the client's deadline had passed when the request came; no leaf was asked");
  }
  // At least one turn of the clock, or a deadline below a millisecond would never be met.
  const auto left_ms = std::max<std::int64_t>(left.count() / 1000, 1);
  deadline_ms_ = now_ms + static_cast<std::uint64_t>(left_ms);
  return std::nullopt;
}

Root::Exchange::Refusal Root::Exchange::find_shards() {
  Problem bad;
  if (!epoch_->generation) {
    bad.status = 503;
    bad.detail = "the leaves are not known yet";
    return problem(bad);
  }
  SelectInput input;
  input.path = path_of(request_);
  input.query = request_.query;
  input.headers = &request_.headers;
  input.body = request_.body;
  auto selected = epoch_->generation->routes[route_index_].selector.select(input);
  bad.status = 400;
  if (!selected) {
    bad.type = problems::kBadRequest;
    bad.detail = selected.error().text();
    return problem(bad);
  }
  shards_ = std::move(*selected);
  if (shards_.size() > root_.state_.limits.fanout) {
    root_.state_.metrics.limits[static_cast<std::size_t>(LimitHit::fanout)]->add();
    bad.type = problems::kTooManyShards;
    bad.detail = "more shards match than one request may ask (max_fanout)";
    return problem(bad);
  }
  return std::nullopt;
}

std::unique_ptr<Merge> Root::Exchange::make_route_merge() const {
  if (route_->merge) return nullptr;
  const MergeSpec& spec = route_->config.merge;
  std::uint32_t k = spec.k_default;
  if (!spec.k_query.empty() && request_.has_query(spec.k_query)) {
    const std::string asked = request_.query_value(spec.k_query);
    const std::uint32_t number = number_or_zero(asked);
    if (number > 0 || asked == "0") k = number;
  }
  return make_merge(spec, static_cast<std::uint32_t>(shards_.size()), k);
}

Task<Root::Exchange::Refusal> Root::Exchange::scatter() {
  const std::uint64_t now_ms = root_.state_.services.loop.now_ms();
  merge_ = make_route_merge();
  LeafRequest::Facts facts;
  facts.id = id_;
  facts.via = route_->via;
  facts.depth = depth_ + 1;
  facts.shards = static_cast<std::uint32_t>(epoch_->generation->shards.size());
  facts.trace = &trace_;
  leaf_request_.emplace(request_, route_->templates, facts);

  // A merge that needs all of the time must not leave the leaves without any.
  const std::uint64_t reserve_ms =
      std::min(route_->merge_reserve_ms(now_ms), (deadline_ms_ - now_ms + 1) / 2);
  std::uint64_t leaf_deadline_ms = deadline_ms_ - reserve_ms;
  bool is_clients = deadline_is_clients_;
  if (route_->config.leaf_timeout.count() > 0) {
    const auto own_ms = now_ms + static_cast<std::uint64_t>(route_->config.leaf_timeout.count());
    if (own_ms <= leaf_deadline_ms) {
      leaf_deadline_ms = own_ms;
      is_clients = false;
    }
  }
  const Demand wanted = demand();
  Fanout::Plan plan{.route = *route_,
                    .route_index = route_index_,
                    .generation = epoch_->generation,
                    .shards = shards_,
                    .request = *leaf_request_,
                    .deadline_ms = std::max(leaf_deadline_ms, now_ms + 1),
                    .deadline_is_clients = is_clients,
                    .accepts_partial = wanted.handling == Handling::lenient,
                    .min_coverage = wanted.handling == Handling::strict ? 100 : wanted.min_coverage,
                    .merge = merge_.get()};
  fanout_.emplace(root_.state_, std::move(plan));
  fanout_->start();
  co_await fanout_->done();
  scattered_ns_ = root_.state_.services.loop.now_ns();
  co_return std::nullopt;
}

}  // namespace consort::gather
