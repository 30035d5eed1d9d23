#include "roles/gather/check_leaf.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "net/http_message.hpp"
#include "roles/gather/check_connection.hpp"
#include "roles/gather/check_rules.hpp"
#include "roles/gather/leaf_request.hpp"
#include "wire/trace_context.hpp"

namespace consort::gather {
namespace {

constexpr std::uint32_t kShards = 20;
constexpr std::size_t kQueryBytes = 8 * 1024;
constexpr int kLeavers = 5;
/// For what a leaf sends, or ends, behind its answer.
constexpr Millis kListening{50};
/// Below this it may be the network that takes the time (a delayed ACK takes 40 ms) and not work
/// that a leaf could break off.
constexpr double kTellingMs = 100;
/// What a leaf may need to notice its deadline, beside a tenth of it.
constexpr double kNoticeMs = 50;

struct Bench {
  const Services& services;
  const LeafUnderTest& leaf;
  ScatterTemplates templates;
  SeenAnswer first;

  Deadline deadline() const { return Deadline::after(services.loop.now_ms(), leaf.timeout); }
  /// As good as the first answer: a leaf that has nothing at the path is told so once.
  bool is_as_good(const SeenAnswer& seen) const {
    return seen.is_success() || seen.status == first.status;
  }
};

struct Asked {
  std::string method = "GET";
  std::string target = {};  ///< empty: the leaf's own
  std::uint32_t index = 0;
  Millis told{0};  ///< the deadline in the headers; 0: the timeout
};

/// The bytes that a root sends.
std::string request_of(const Bench& bench, const Asked& asked) {
  http::Request request;
  request.method = asked.method;
  request.target = asked.target.empty() ? bench.leaf.target : asked.target;
  request.headers = {{"accept", "*/*"}, {"user-agent", "consort-gather-check"}};
  const TraceContext trace = TraceContext::from(request.headers, bench.services.random);
  LeafRequest::Facts facts;
  facts.id = "gather-check";
  facts.via = "consort-gather-check";
  facts.shards = kShards;
  facts.trace = &trace;
  const LeafRequest leaf_request(request, bench.templates, facts);
  const std::string shard = "s" + std::to_string(asked.index);
  const Millis told = asked.told.count() > 0 ? asked.told : bench.leaf.timeout;
  std::string deadline_lines;
  append_deadline(deadline_lines, told);
  const LeafRequest::Attempt attempt{.url = bench.leaf.url,
                                     .shard = shard,
                                     .index = asked.index,
                                     .deadline_lines = deadline_lines};
  std::string bytes;
  leaf_request.append_head(bytes, attempt, bench.services.random);
  // A root asks HEAD as GET.
  if (asked.method == "HEAD") bytes.replace(0, 3, "HEAD");
  return bytes;
}

enum class Then : std::uint8_t { leave, listen };

Deadline listening(const Bench& bench) {
  return Deadline::after(bench.services.loop.now_ms(), kListening);
}

/// One request on a connection of its own.
Task<Result<SeenAnswer>> ask(const Bench& bench, Asked asked, Then then = Then::leave) {
  CheckConnection connection(bench.services, bench.leaf.url, bench.leaf.tls);
  const Deadline deadline = bench.deadline();
  Result<> opened = co_await connection.open(deadline);
  if (!opened) co_return fail(std::move(opened.error()));
  const auto to = asked.method == "HEAD" ? http1::AnswerTo::head : http1::AnswerTo::other;
  std::string bytes = request_of(bench, asked);
  Result<SeenAnswer> seen = co_await connection.ask(std::move(bytes), to, deadline);
  if (seen && then == Then::listen && !seen->until_end) {
    const Deadline soon = listening(bench);
    const CheckConnection::Afterwards after = co_await connection.listen(soon);
    seen->stray_bytes += after.bytes;
  }
  co_return seen;
}

std::string status_text(const SeenAnswer& seen) {
  return "it answers " + std::to_string(seen.status);
}

/// It has too much to do.
bool is_turned_away(const SeenAnswer& seen) {
  return seen.status == 503 || seen.status == 429;
}

Task<Finding> answers(Bench& bench) {
  Asked asked;
  Result<SeenAnswer> seen = co_await ask(bench, std::move(asked), Then::listen);
  if (!seen) {
    const bool is_framing = seen.error().code() == Errc::protocol;
    co_return Finding::fail(seen.error().message() +
                            (is_framing
                                 ? "; a root takes that for a broken answer"
                                 : "; see that it runs, and that --leaf and --timeout are right"));
  }
  bench.first = std::move(*seen);
  if (!bench.first.is_success()) {
    co_return Finding::fail(status_text(bench.first) +
                            "; a root wants 2xx: give --path PATH?QUERY that it serves");
  }
  co_return Finding::ok(std::to_string(bench.first.status) + " after " + in_ms(bench.first.ms));
}

Task<Finding> frames(Bench& bench) {
  co_return judge_framing(bench.first);
}

Task<Finding> keeps_connection(Bench& bench) {
  CheckConnection connection(bench.services, bench.leaf.url, bench.leaf.tls);
  const Deadline deadline = bench.deadline();
  Result<> opened = co_await connection.open(deadline);
  if (!opened) co_return Finding::fail(opened.error().message());
  const Asked asked;
  std::string request = request_of(bench, asked);
  Result<SeenAnswer> seen =
      co_await connection.ask(std::move(request), http1::AnswerTo::other, deadline);
  if (!seen) co_return Finding::fail(seen.error().message());
  if (!seen->keep_alive) {
    co_return Finding::warn(
        "it closes after each answer, so that each call costs a new connection; serve HTTP/1.1 "
        "with keep-alive");
  }
  const Deadline soon = listening(bench);
  const CheckConnection::Afterwards after = co_await connection.listen(soon);
  if (seen->stray_bytes + after.bytes > 0) {
    co_return Finding::fail("nobody could tell the bytes behind its answer from the next one");
  }
  if (!after.has_ended) {
    request = request_of(bench, asked);
    const Result<SeenAnswer> second =
        co_await connection.ask(std::move(request), http1::AnswerTo::other, deadline);
    if (second) co_return Finding::ok();
    co_return Finding::fail("the second request on a connection: " + second.error().message());
  }
  co_return Finding::fail(
      "it closes the connection after an answer that did not say so; a root may lose a request by "
      "that: send Connection: close");
}

/// Any answer will do, to a method that a root may pass on from its clients.
Task<Finding> answers_method(const Bench& bench, std::string method) {
  Asked asked;
  asked.method = std::move(method);
  const bool is_head = asked.method == "HEAD";
  Result<SeenAnswer> seen = co_await ask(bench, std::move(asked), Then::listen);
  if (seen) {
    if (!is_head || seen->stray_bytes == 0) co_return Finding::ok(std::to_string(seen->status));
    co_return Finding::fail("the answer has a body, which no answer to HEAD may have");
  }
  if (seen.error().code() == Errc::closed) {
    co_return Finding::warn(seen.error().message() + "; 405 or 501 would say more");
  }
  co_return Finding::fail(seen.error().message() + "; answer 405 or 501");
}

Task<Finding> answers_head(Bench& bench) {
  co_return co_await answers_method(bench, "HEAD");
}

Task<Finding> answers_unknown_method(Bench& bench) {
  co_return co_await answers_method(bench, "CONSORT-CHECK");
}

Task<Finding> content(Bench& bench) {
  co_return judge_content(bench.first.header("content-type"), bench.first.body);
}

Task<Finding> coding(Bench& bench) {
  co_return judge_coding(bench.first);
}

Task<Finding> optional_headers(Bench& bench) {
  co_return judge_optional_headers(bench.first);
}

Task<Finding> gives_up(Bench& bench) {
  if (bench.first.ms < kTellingMs) {
    co_return Finding::ok("it answers after " + in_ms(bench.first.ms) + ", too soon to tell");
  }
  Asked asked;
  asked.told = Millis(static_cast<std::int64_t>(bench.first.ms / 2));
  const auto told_ms = static_cast<double>(asked.told.count());
  Result<SeenAnswer> seen = co_await ask(bench, std::move(asked));
  if (!seen) {
    if (seen.error().code() == Errc::closed) co_return Finding::ok("it closes the connection");
    co_return Finding::fail(seen.error().message() + "; answer 504 when the time is up");
  }
  const std::string figures = std::to_string(seen->status) + " after " + in_ms(seen->ms) +
                              " where grpc-timeout was " + in_ms(told_ms);
  if (seen->ms <= told_ms * 1.1 + kNoticeMs && !seen->is_success()) co_return Finding::ok(figures);
  if (seen->ms <= told_ms) co_return Finding::ok(figures);
  co_return Finding::warn(
      figures + "; stop work that nobody waits for any more, or an overload feeds itself");
}

/// What became of many requests that were under way together.
struct Crowd {
  std::size_t left = 0;
  std::size_t good = 0;
  std::size_t turned_away = 0;
  double slowest_ms = 0;
  std::string trouble;
  Event done;
};

Task<> ask_in_crowd(const Bench& bench, Crowd& crowd, std::uint32_t index) {
  Asked asked;
  asked.index = index;
  Result<SeenAnswer> seen = co_await ask(bench, std::move(asked));
  if (!seen) {
    crowd.trouble = seen.error().message();
  } else if (bench.is_as_good(*seen)) {
    ++crowd.good;
    crowd.slowest_ms = std::max(crowd.slowest_ms, seen->ms);
  } else if (is_turned_away(*seen)) {
    ++crowd.turned_away;
  } else {
    crowd.trouble = status_text(*seen);
  }
  if (--crowd.left == 0) crowd.done.set();
}

Task<Finding> takes_many(Bench& bench) {
  Crowd crowd;
  TaskScope scope;
  crowd.left = kShards;
  for (std::uint32_t i = 0; i < kShards; ++i) scope.spawn(ask_in_crowd(bench, crowd, i));
  co_await crowd.done.wait();
  // The last of them stands on this stack, and must have ended before its scope does.
  co_await sleep_until(bench.services.loop.timers(), bench.services.loop.now_ms());
  const std::string share = std::to_string(crowd.good) + " of " + std::to_string(kShards);
  if (!crowd.trouble.empty()) {
    co_return Finding::fail("only " + share + " get an answer; another: " + crowd.trouble +
                            "; serve requests side by side, or answer 503 at once");
  }
  if (crowd.turned_away > 0) {
    co_return Finding::warn(share +
                            " get their answer, the others 503 or 429; a root needs other "
                            "replicas for those");
  }
  co_return Finding::ok("the slowest " + in_ms(crowd.slowest_ms));
}

Task<Finding> takes_long_query(Bench& bench) {
  Asked asked;
  asked.target = bench.leaf.target;
  asked.target += asked.target.find('?') == std::string::npos ? '?' : '&';
  asked.target += "consort-check=" + std::string(kQueryBytes, 'x');
  Result<SeenAnswer> seen = co_await ask(bench, std::move(asked));
  if (!seen) co_return Finding::fail(seen.error().message() + "; answer 414 where it is too long");
  if (bench.is_as_good(*seen)) co_return Finding::ok();
  if (seen->status / 100 == 4) {
    co_return Finding::warn(status_text(*seen) + "; queries as long as this do not get through");
  }
  co_return Finding::fail(status_text(*seen) + "; answer 414 where it is too long");
}

/// Sends the first `bytes` of a request and leaves.
Task<Result<>> leave_after(const Bench& bench, std::string bytes) {
  CheckConnection connection(bench.services, bench.leaf.url, bench.leaf.tls);
  const Deadline deadline = bench.deadline();
  Result<> opened = co_await connection.open(deadline);
  if (!opened) co_return opened;
  co_return co_await connection.send(std::move(bytes), deadline);
}

Task<Finding> survives_leavers(Bench& bench) {
  const Asked asked;
  const std::string whole = request_of(bench, asked);
  for (int i = 0; i < kLeavers; ++i) {
    std::string half = whole.substr(0, whole.size() / 2);
    Result<> left = co_await leave_after(bench, std::move(half));
    if (left) left = co_await leave_after(bench, whole);
    if (!left) {
      co_return Finding::fail("it takes no more connections: " + left.error().message());
    }
  }
  Result<SeenAnswer> seen = co_await ask(bench, asked);
  if (!seen) co_return Finding::fail("after that: " + seen.error().message());
  if (bench.is_as_good(*seen)) co_return Finding::ok();
  if (is_turned_away(*seen)) {
    co_return Finding::warn("after that " + status_text(*seen) +
                            "; stop work for clients that have left, or it keeps others out");
  }
  co_return Finding::fail("after that " + status_text(*seen));
}

struct Check {
  std::string_view name;
  Task<Finding> (*run)(Bench& bench);
};

/// The rough ones come last: what they break must not look broken before.
constexpr Check kChecks[] = {
    {"frames its answers", frames},
    {"says what its answers are", content},
    {"sends them in identity coding", coding},
    {"sends well-formed headers", optional_headers},
    {"keeps the connection", keeps_connection},
    {"answers HEAD", answers_head},
    {"answers an unknown method", answers_unknown_method},
    {"gives up at its deadline", gives_up},
    {"takes a query of 8 KiB", takes_long_query},
    {"takes 20 requests at once", takes_many},
    {"survives clients that leave", survives_leavers},
};

}  // namespace

Task<std::string> check_leaf(const Services& services, LeafUnderTest leaf, CheckReport& report) {
  Bench bench{.services = services, .leaf = leaf, .templates = {}, .first = {}};
  const Finding first = co_await answers(bench);
  report.add("leaf", "answers a request of a root", first);
  if (bench.first.status == 0) co_return std::string();
  for (const Check& check : kChecks) {
    const Finding finding = co_await check.run(bench);
    report.add("leaf", check.name, finding);
  }
  co_return bench.first.is_success() ? std::move(bench.first.body) : std::string();
}

}  // namespace consort::gather
