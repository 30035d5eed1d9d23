#include "manage/admin.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.hpp"
#include "base/json_writer.hpp"
#include "manage/accept.hpp"

namespace consort {

namespace {

constexpr std::string_view kJson = "application/json";

http::Response json_response(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.content_type = kJson;
  response.body = std::move(body);
  return response;
}

http::Response probe_response(std::string_view name, const Probe& probe,
                              const http::Request& request) {
  http::Response response;
  response.status = probe.ok ? 200 : 503;
  response.body = probe_text(name, probe, request.has_query("verbose"));
  return response;
}

/// A duration parameter within 0..most, or the refusal.
Result<Millis> duration_query(const http::Request& request, std::string_view name, Millis otherwise,
                              Millis most) {
  if (!request.has_query(name)) return otherwise;
  Result<Millis> value = Text<Millis>::parse(request.query_value(name));
  if (!value) return fail(std::move(value.error()).in(name));
  if (*value > most) {
    return fail(Errc::invalid, std::string(name) + ": at most " + Text<Millis>::print(most));
  }
  return value;
}

http::Response bad_query(const Error& why) {
  return admin_error(400, "bad_parameter", why.message(), "durations look like 500ms, 10s or 1m");
}

/// Decrements at the end of a request, also of one whose client has left.
class CountGuard {
 public:
  explicit CountGuard(std::size_t& count) : count_(count) { ++count_; }
  CountGuard(const CountGuard&) = delete;
  CountGuard& operator=(const CountGuard&) = delete;
  ~CountGuard() { --count_; }

 private:
  std::size_t& count_;
};

/// Whether a switch in the query is on: ?dry-run, ?dry-run=1, ?dry-run=true.
Result<bool> switch_query(const http::Request& request, std::string_view name) {
  if (!request.has_query(name)) return false;
  const std::string value = request.query_value(name);
  if (value.empty() || value == "1" || value == "true") return true;
  if (value == "0" || value == "false") return false;
  return fail(Errc::invalid, std::string(name) + ": \"" + value + "\" is neither 1 nor 0");
}

void put_list(JsonWriter& json, std::string_view key, const std::vector<std::string>& items) {
  json.key(key).begin_array();
  for (const std::string& item : items) json.value(item);
  json.end_array();
}

enum class ReloadKind : std::uint8_t { real, dry_run };

http::Response reload_response(const ReloadReport& report, ReloadKind kind) {
  JsonWriter json;
  json.begin_object();
  if (!report.applied) {
    json.key("error").begin_object().key("code").value("invalid_config");
    json.key("message").value("the configuration in effect was kept");
    put_list(json, "problems", report.problems);
    json.key("hint").value("correct the problems and reload again").end_object();
  }
  if (kind == ReloadKind::dry_run) {
    json.key("dry_run").value(true);
    json.key("effect").value(report.effect);
  }
  json.key("generation").value(report.generation);
  put_list(json, "changed", report.changed);
  put_list(json, "needs_restart", report.needs_restart);
  json.end_object();
  return json_response(report.applied ? 200 : 422, json.take() + "\n");
}

http::Response role_busy() {
  return admin_error(503, "role_busy", "the role's loop did not answer in time",
                     "GET /loop shows whether it hangs");
}

}  // namespace

const Admin::Route Admin::kRoutes[] = {
    {"/livez", "GET", Route::Access::open, &Admin::get_live, "the role's loop turns"},
    {"/readyz", "GET", Route::Access::open, &Admin::get_ready, "requests are welcome"},
    {"/startupz", "GET", Route::Access::open, &Admin::get_startup, "the start is over"},
    {"/health", "GET", Route::Access::open, &Admin::get_health, "state and checks as JSON"},
    {"/metrics", "GET", Route::Access::open, &Admin::get_metrics, "Prometheus or OpenMetrics text"},
    {"/healthz", "GET", Route::Access::open, &Admin::get_live, "same as /livez"},
    {"/ready", "GET", Route::Access::open, &Admin::get_ready, "same as /readyz"},
    {"/", "GET", Route::Access::guarded, &Admin::get_index, "this list"},
    {"/config", "GET", Route::Access::guarded, &Admin::get_config, "each value and its source"},
    {"/logs", "GET", Route::Access::guarded, &Admin::get_logs, "recent lines; ?tail=N&level=warn"},
    {"/loop", "GET", Route::Access::guarded, &Admin::get_loop, "turns and load of the role's loop"},
    {"/lifecycle", "GET", Route::Access::guarded, &Admin::get_lifecycle, "state and history"},
    {"/lifecycle/drain", "POST", Route::Access::guarded, &Admin::post_drain,
     "finish the work in flight and stay; ?wait=10s"},
    {"/lifecycle/stop", "POST", Route::Access::guarded, &Admin::post_stop,
     "drain and end; ?grace=10s&wait=10s"},
    {"/reload", "POST", Route::Access::guarded, &Admin::post_reload,
     "read the configuration again; ?dry-run=1 only tells what would change"},
    {"/quitquitquit", "POST", Route::Access::guarded, &Admin::post_stop, "same as /lifecycle/stop"},
};

Admin::Admin(Parts parts)
    : parts_(std::move(parts)),
      guard_(parts_.token_file, parts_.hosts),
      routes_(std::begin(kRoutes), std::end(kRoutes)),
      reports_(parts_.loop),
      answers_(parts_.loop) {
  for (const AdminPage& page : parts_.pages) {
    const Route* taken = find_route(page.path, page.method);
    CHECK(taken == nullptr || !taken->answers(page.method));
    routes_.push_back(
        {page.path, page.method, Route::Access::guarded, &Admin::ask_role, page.summary});
  }
}

Task<http::Response> Admin::handle(http::Request request) {
  CountGuard counted(in_flight_);
  const Route* route = find_route(request.path, request.method);
  http::Response response = co_await dispatch(request, route);
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  count(route != nullptr ? route->path : "other", response.status);
  co_return response;
}

void Admin::on_accept_paused(const Error& why) {
  parts_.log.warn("admin.accept_paused",
                  {{"error", why.message()},
                   {"hint", "probes fail meanwhile; raise the limit of open files or memory"}});
}

Task<http::Response> Admin::dispatch(const http::Request& request, const Route* route) {
  if (route == nullptr) co_return unknown_path(request.path);
  if (!route->answers(request.method)) co_return wrong_method(request);
  if (route->access == Route::Access::guarded) {
    std::optional<http::Response> refusal = guard_.refuse(request);
    if (refusal) co_return std::move(*refusal);
  }
  co_return co_await (this->*route->answer)(request);
}

http::Response Admin::unknown_path(const std::string& path) const {
  std::vector<std::string_view> paths;
  for (const Route& known : routes_) paths.push_back(known.path);
  const std::string_view near = nearest(path, paths);
  std::string hint = "GET / lists all paths";
  if (!near.empty()) hint = "did you mean \"" + std::string(near) + "\"? " + hint;
  return admin_error(404, "not_found", "no such path: " + path, hint);
}

http::Response Admin::wrong_method(const http::Request& request) const {
  std::string allowed;
  std::string hint;
  for (const Route& route : routes_) {
    if (route.path != request.path) continue;
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
    if (route.method == "GET") allowed += ", HEAD";
    hint += (hint.empty() ? "use " : " or ") + std::string(route.method);
  }
  http::Response response = admin_error(
      405, "method_not_allowed", request.path + " does not answer to " + request.method, hint);
  response.headers.emplace_back("Allow", allowed);
  return response;
}

const Admin::Route* Admin::find_route(std::string_view path, std::string_view method) const {
  const Route* found = nullptr;
  for (const Route& route : routes_) {
    if (route.path != path) continue;
    if (route.answers(method)) return &route;
    if (found == nullptr) found = &route;
  }
  return found;
}

void Admin::count(std::string_view path, int status) {
  const std::string code = std::to_string(status);
  Counter*& counter = request_counts_[std::string(path) + " " + code];
  if (counter == nullptr) {
    counter = &parts_.metrics.counter("consort_admin_requests_total",
                                      "Requests to the admin interface, by path and status.",
                                      {{"path", std::string(path)}, {"code", code}});
  }
  counter->add();
}

HealthFacts Admin::facts() const {
  // First the states follow the checks, so that one answer never contradicts itself.
  parts_.control.refresh();
  return {.now = parts_.clock(),
          .born = parts_.lifecycle.born(),
          .state = parts_.lifecycle.current(),
          .checks = parts_.checks.all(),
          .busy_for = parts_.watch.busy_for(),
          .stall_limit = parts_.stall_limit};
}

// --- open paths ------------------------------------------------------------------------------

Task<http::Response> Admin::get_live(const http::Request& request) {
  co_return probe_response("livez", live(facts()), request);
}

Task<http::Response> Admin::get_ready(const http::Request& request) {
  co_return probe_response("readyz", ready(facts()), request);
}

Task<http::Response> Admin::get_startup(const http::Request& request) {
  co_return probe_response("startupz", startup(facts()), request);
}

Task<http::Response> Admin::get_health(const http::Request& request) {
  const HealthFacts now = facts();
  const Health health = overall(now);
  const int status = health == Health::fail ? 503 : 200;
  const bool wants_text = request.query_value("format") == "text" ||
                          prefers(request.header("accept"), "text/plain", kJson);
  if (!wants_text) co_return json_response(status, health_json(parts_.identity, now));
  http::Response response;
  response.status = status;
  // Aurora compares the body with exactly these two letters.
  response.body = health == Health::fail ? "fail: " + std::string(to_string(now.state.to)) : "ok";
  co_return response;
}

Task<http::Response> Admin::get_metrics(const http::Request& request) {
  parts_.control.refresh();
  const bool is_open =
      prefers(request.header("accept"), "application/openmetrics-text", "text/plain");
  http::Response response;
  response.content_type = is_open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                  : "text/plain; version=0.0.4; charset=utf-8";
  response.body = parts_.metrics.render(is_open ? Registry::Format::openmetrics
                                                : Registry::Format::prometheus_text);
  co_return response;
}

// --- guarded reading -------------------------------------------------------------------------

Task<http::Response> Admin::get_index(const http::Request&) {
  JsonWriter json(2);
  json.begin_object();
  json.key("role").value(parts_.identity.role).key("name").value(parts_.identity.name);
  json.key("version").value(parts_.identity.version);
  json.key("state").value(to_string(parts_.lifecycle.state()));
  json.key("routes").begin_array();
  for (const Route& route : routes_) {
    json.begin_object().key("method").value(route.method).key("path").value(route.path);
    json.key("guarded").value(route.access == Route::Access::guarded);
    json.key("summary").value(route.summary).end_object();
  }
  json.end_array().end_object();
  co_return json_response(200, json.take() + "\n");
}

Task<http::Response> Admin::get_config(const http::Request&) {
  co_return json_response(200, config_json(*parts_.config.get()));
}

Task<http::Response> Admin::get_logs(const http::Request& request) {
  std::size_t tail = kDefaultTail;
  if (request.has_query("tail")) {
    const std::string text = request.query_value("tail");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tail);
    if (error != std::errc{} || end != text.data() + text.size()) {
      co_return admin_error(400, "bad_parameter", "tail: \"" + text + "\" is not a number",
                            "tail is a number of lines, for example ?tail=50");
    }
  }
  LogLevel least = LogLevel::trace;
  if (request.has_query("level")) {
    Result<LogLevel> level = Text<LogLevel>::parse(request.query_value("level"));
    if (!level) {
      co_return admin_error(400, "bad_parameter", level.error().message(),
                            "level is trace, debug, info, warn or error");
    }
    least = *level;
  }
  // Filtered before it is cut, so that ?tail=5&level=warn gives five warnings.
  std::vector<std::string> lines = parts_.log.tail(Logger::kRingLines);
  std::erase_if(lines, [least](const std::string& line) { return !has_level(line, least); });
  const std::size_t skipped = lines.size() > tail ? lines.size() - tail : 0;
  http::Response response;
  for (std::size_t i = skipped; i < lines.size(); ++i) {
    response.body += lines[i];
    if (!lines[i].ends_with('\n')) response.body += '\n';
  }
  co_return response;
}

Task<http::Response> Admin::get_loop(const http::Request&) {
  co_return json_response(200, loop_json(facts(), parts_.watch, parts_.turns));
}

Task<http::Response> Admin::get_lifecycle(const http::Request&) {
  co_return json_response(200, lifecycle_json(facts(), parts_.lifecycle.history()));
}

// --- verbs -----------------------------------------------------------------------------------

Task<http::Response> Admin::post_drain(const http::Request& request) {
  co_return order_response(
      parts_.control.drain("POST " + request.path + " from " + request.peer.text));
}

Task<http::Response> Admin::post_stop(const http::Request& request) {
  const Result<Millis> grace = duration_query(request, "grace", parts_.grace, kMaxGrace);
  if (!grace) co_return bad_query(grace.error());
  const Result<Millis> wait = duration_query(request, "wait", Millis{0}, kMaxWait);
  if (!wait) co_return bad_query(wait.error());
  const OrderReply reply =
      parts_.control.stop("POST " + request.path + " from " + request.peer.text, *grace);
  http::Response response = order_response(reply);
  if (reply.accepted && wait->count() > 0) {
    const bool has_ended = co_await wait_for_end(*wait);
    if (has_ended) response.status = 200;
  }
  co_return response;
}

Task<http::Response> Admin::post_reload(const http::Request& request) {
  const Result<bool> is_dry = switch_query(request, "dry-run");
  if (!is_dry) {
    co_return admin_error(400, "bad_parameter", is_dry.error().message(),
                          "POST /reload?dry-run=1 only tells what would change");
  }
  RoleAnswers<ReloadReport>::Waiting waiting(reports_, kRoleWait);
  if (*is_dry) {
    parts_.control.try_reload(waiting.receiver());
  } else {
    parts_.control.reload("POST " + request.path + " from " + request.peer.text,
                          waiting.receiver());
  }
  co_await waiting.wait();
  if (!waiting.answer) co_return role_busy();
  co_return reload_response(*waiting.answer, *is_dry ? ReloadKind::dry_run : ReloadKind::real);
}

Task<http::Response> Admin::ask_role(const http::Request& request) {
  RoleAnswers<AdminAnswer>::Waiting waiting(answers_, kRoleWait);
  parts_.control.ask(request, waiting.receiver());
  co_await waiting.wait();
  if (!waiting.answer) co_return role_busy();
  co_return std::move(*waiting.answer);
}

http::Response Admin::order_response(const OrderReply& reply) const {
  const Moment now = parts_.clock();
  JsonWriter json;
  json.begin_object();
  if (!reply.accepted) {
    json.key("error").begin_object().key("code").value("already_stopping");
    json.key("message").value("the process is ending already: " + reply.state.cause);
    json.key("since").value(to_rfc3339(reply.state.at.wall_ms));
    json.key("hint").value("GET /lifecycle shows how far it is").end_object();
  } else {
    json.key("seq").value(reply.state.seq).key("state").value(to_string(reply.state.to));
    const auto left_ms = static_cast<std::int64_t>(reply.deadline_mono_ms - now.mono_ms);
    json.key("deadline").value(to_rfc3339(now.wall_ms + left_ms));
  }
  json.end_object();
  return json_response(reply.accepted ? 202 : 409, json.take() + "\n");
}

Task<bool> Admin::wait_for_end(Millis at_most) {
  struct Listed {
    std::set<Event*>& list;
    Event* event;
    ~Listed() { list.erase(event); }
  };
  TimedEvent timed(parts_.loop, at_most);
  waiting_.insert(&timed.event);
  Listed listed{waiting_, &timed.event};
  auto has_ended = [this] {
    const State state = parts_.lifecycle.state();
    return state == State::stopped || state == State::failed;
  };
  while (!has_ended() && timed.timer.armed()) {
    timed.event.reset();
    co_await timed.event.wait();
  }
  co_return has_ended();
}

void Admin::on_transition() {
  // A waiter that goes on leaves the list, and may take others with it.
  const std::set<Event*> told = waiting_;
  for (Event* event : told) {
    if (waiting_.contains(event)) event->set();
  }
}

}  // namespace consort
