#include "roles/gather/leaf_handler.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/json_writer.hpp"
#include "roles/gather/cgi.hpp"
#include "roles/gather/outcome.hpp"
#include "wire/request_deadline.hpp"

namespace consort::gather {

namespace {

using End = CommandOutcome::End;

constexpr std::string_view kCheck = "command";

struct LeafProblem {
  std::string_view type;
  std::string_view title;
  int status;
};

LeafProblem problem_of(const CommandOutcome& outcome) {
  switch (outcome.end) {
    case End::timed_out:
      return {"urn:consort:gather:command-timeout", "The command took too long", 504};
    case End::busy:
      return {"urn:consort:gather:overloaded", "Too many commands run", 503};
    case End::not_started:
      return {"urn:consort:gather:command-not-started", "The command could not be started", 502};
    case End::too_large:
      return {"urn:consort:gather:command-output-too-large", "The command wrote too much", 502};
    case End::exited:
      break;
  }
  return {"urn:consort:gather:command-failed", "The command failed", 502};
}

/// RFC 9457, one line.
http::Response problem(const CommandOutcome& outcome) {
  const LeafProblem kind = problem_of(outcome);
  JsonWriter json;
  json.begin_object().key("type").value(kind.type).key("title").value(kind.title);
  json.key("status").value(kind.status).key("detail").value(outcome.why);
  if (outcome.end == End::exited) {
    const bool by_signal = outcome.status.signal != 0;
    json.key(by_signal ? "signal" : "exit_code")
        .value(by_signal ? outcome.status.signal : outcome.status.code);
  }
  json.end_object();
  http::Response response;
  response.status = kind.status;
  response.content_type = kProblemMediaType;
  response.body = json.take() + "\n";
  if (kind.status == 503) {
    response.headers.emplace_back("Retry-After", std::to_string(kRetryAfterS));
  }
  return response;
}

Counter& requests(Registry& registry, const char* outcome) {
  return registry.counter("consort_gather_leaf_requests_total",
                          "Requests by what became of their command.", {{"outcome", outcome}});
}

std::vector<std::string> environment_of(const http::Request& request) {
  const std::string_view type = request.header("content-type");
  const bool has_body = !request.body.empty() || !request.header("content-length").empty();
  std::vector<std::string> environment = cgi_environment({.method = request.method,
                                                          .path = request.path,
                                                          .query = request.query,
                                                          .headers = &request.headers,
                                                          .content_type = type,
                                                          .content_length = request.body.size(),
                                                          .has_body = has_body});
  environment.push_back("REMOTE_ADDR=" + request.peer.text);
  constexpr std::pair<std::string_view, std::string_view> kOfTheRoot[] = {
      {"CONSORT_SHARD", "consort-shard"},
      {"CONSORT_SHARDS", "consort-shards"},
      {"CONSORT_ATTEMPT", "consort-attempt"},
      {"CONSORT_REQUEST_ID", "consort-request-id"},
  };
  for (const auto& [name, header] : kOfTheRoot) {
    const std::string_view value = request.header(header);
    if (!value.empty()) environment.push_back(std::string(name).append("=").append(value));
  }
  return environment;
}

}  // namespace

LeafHandler::Metrics::Metrics(Registry& registry)
    : ok(requests(registry, "ok")),
      exit_code(requests(registry, "exit_code")),
      signal(requests(registry, "signal")),
      timeout(requests(registry, "timeout")),
      not_started(requests(registry, "not_started")),
      too_large(requests(registry, "too_large")),
      busy(requests(registry, "busy")),
      bad_output(requests(registry, "bad_output")),
      client_gone(requests(registry, "client_gone")),
      bad_deadlines(registry.counter("consort_gather_leaf_bad_deadlines_total",
                                     "Deadline headers that were ignored as malformed.")),
      seconds(registry.histogram("consort_gather_leaf_seconds",
                                 "From a request to its answer, waiting included.")),
      running(registry.gauge("consort_gather_leaf_processes", "Commands that run.")),
      waiting(registry.gauge("consort_gather_leaf_waiting",
                             "Requests that wait for a command to end.")) {}

Counter& LeafHandler::Metrics::of(const CommandOutcome& outcome) {
  switch (outcome.end) {
    case End::timed_out:
      return timeout;
    case End::not_started:
      return not_started;
    case End::too_large:
      return too_large;
    case End::busy:
      return busy;
    case End::exited:
      break;
  }
  if (outcome.status.signal != 0) return signal;
  return outcome.status.code == 0 ? ok : exit_code;
}

/// Counts a request, whether it ends by its answer or by its task being dropped.
class LeafHandler::Visit {
 public:
  explicit Visit(LeafHandler& handler)
      : counted(&handler.metrics_.client_gone),
        handler_(handler),
        began_ns_(handler.services_.loop.now_ns()) {}
  ~Visit() {
    counted->add();
    handler_.metrics_.seconds.observe_ns(handler_.services_.loop.now_ns() - began_ns_);
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  Counter* counted;  ///< what the request ended as

 private:
  LeafHandler& handler_;
  const std::uint64_t began_ns_;
};

RunnerOptions LeafHandler::with_gauges(RunnerOptions options, Metrics& metrics) {
  options.running = &metrics.running;
  options.waiting = &metrics.waiting;
  return options;
}

LeafHandler::LeafHandler(const Services& services, Settings settings, RunnerOptions options)
    : services_(services),
      settings_(std::move(settings)),
      metrics_(services.metrics),
      runner_(services, with_gauges(options, metrics_)) {}

Task<http::Response> LeafHandler::handle(http::Request request) {
  Visit visit(*this);
  // A reload meanwhile is for later requests.
  const Settings settings = settings_;
  CommandRun wanted;
  wanted.deadline = deadline_of(request);
  wanted.command.argv = command_argv(settings.exec);
  wanted.command.environment = environment_of(request);
  wanted.input = std::move(request.body);
  wanted.id = request.header("consort-request-id");
  CommandOutcome outcome = co_await runner_.run(std::move(wanted));
  tell_health(outcome);
  co_return answer(std::move(outcome), settings, visit.counted);
}

Deadline LeafHandler::deadline_of(const http::Request& request) {
  const std::uint64_t now_ms = services_.loop.now_ms();
  const Deadline ours = Deadline::after(now_ms, settings_.timeout);
  const AskedDeadline asked = AskedDeadline::from(request.headers);
  metrics_.bad_deadlines.add(asked.malformed);
  if (!asked.left) return ours;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*asked.left);
  return earlier(ours, Deadline::after(now_ms, left));
}

http::Response LeafHandler::answer(CommandOutcome outcome, const Settings& settings,
                                   Counter*& counted) {
  counted = &metrics_.of(outcome);
  if (!outcome.is_success()) return problem(outcome);
  http::Response response;
  response.content_type = settings.content_type;
  if (settings.cgi) {
    Result<CgiAnswer> parsed = parse_cgi_answer(outcome.output);
    if (!parsed) {
      counted = &metrics_.bad_output;
      outcome.why = parsed.error().message();
      return problem(outcome);
    }
    response.status = parsed->status;
    if (!parsed->content_type.empty()) response.content_type = std::move(parsed->content_type);
    response.headers = std::move(parsed->headers);
    const std::size_t headers_bytes = outcome.output.size() - parsed->body.size();
    outcome.output.erase(0, headers_bytes);
  }
  response.body = std::move(outcome.output);
  if (response.content_type.empty()) response.content_type = guess_content_type(response.body);
  return response;
}

/// Never a reason to be unready: a leaf that gets no requests would never get well.
void LeafHandler::tell_health(const CommandOutcome& outcome) {
  if (outcome.end == End::busy || outcome.end == End::timed_out) return;
  const bool runs = outcome.end != End::not_started;
  services_.checks.set(kCheck, runs ? Health::pass : Health::fail,
                       runs ? "the command runs" : outcome.why, false);
}

void LeafHandler::on_accept_paused(const Error& why) {
  services_.log.warn("accept.paused", {{"error", why.message()}});
}

}  // namespace consort::gather
