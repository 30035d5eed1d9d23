#include "manage/supervisor.hpp"

#include <algorithm>
#include <utility>

#include "manage/admin_guard.hpp"

namespace consort {

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUnavailable = 69;

/// What is left of the grace period for dropping connections and leaving.
std::uint64_t kill_reserve_ms(Millis grace) {
  return static_cast<std::uint64_t>(std::min<std::int64_t>(1000, grace.count() / 10));
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    if (!out.empty()) out += "; ";
    out += text;
  }
  return out;
}

}  // namespace

Supervisor::Supervisor(Parts parts, LoadedConfig loaded)
    : parts_(std::move(parts)),
      started_(std::move(loaded)),
      reload_ok_(parts_.services.metrics.gauge("consort_config_last_reload_successful",
                                               "Whether the last reading of the configuration "
                                               "was taken over.")),
      reload_at_(
          parts_.services.metrics.gauge("consort_config_last_reload_success_timestamp_seconds",
                                        "When a configuration was last taken over.")),
      reloads_applied_(parts_.services.metrics.counter(
          "consort_config_reloads_total", "Readings of a changed configuration, by their result.",
          {{"result", "applied"}})),
      reloads_refused_(parts_.services.metrics.counter(
          "consort_config_reloads_total", "Readings of a changed configuration, by their result.",
          {{"result", "refused"}})),
      alarm_(
          parts_.services.loop.timers(),
          [](void* self) { static_cast<Supervisor*>(self)->changed_.set(); }, this) {
  const std::int64_t now_ms = parts_.clock().wall_ms;
  reload_ok_.set(1);
  reload_at_.set(now_ms / 1000);
  ConfigView view;
  view.settings = started_.settings;
  view.loaded_wall_ms = now_ms;
  parts_.config_view.set(std::move(view));
  parts_.services.checks.set("config", Health::pass, "valid", false);
  parts_.services.loop.add_turn_hook(*this);
}

Supervisor::~Supervisor() {
  parts_.services.loop.remove_turn_hook(*this);
}

void Supervisor::begin() {
  // These two cannot be refused: nobody else has seen the lifecycle yet.
  (void)parts_.lifecycle.move_to(State::initializing, "configuration is valid");
  watch_files();
  main_.spawn(supervise());
}

Task<> Supervisor::supervise() {
  role_ = parts_.spec.make(parts_.services, *started_.role);
  const Orders early = orders();
  // A signal that came while the process was CREATED could not move it to DRAINING.
  if (early.drain || early.stop) {
    (void)parts_.lifecycle.move_to(State::draining, "ordered before the start", early.deadline_ms);
  }
  if (parts_.lifecycle.move_to(State::starting, "role made")) work_.spawn(start_and_run());
  for (Orders now = orders(); !outcome_ && !now.drain && !now.stop; now = orders()) {
    co_await woken_by(TimerQueue::kNever);
  }
  if (!outcome_) co_await drain_by_order();
  // Also after drain_by_order: a role that was told to drain waits for the order to end.
  while (!outcome_ && !orders().stop) co_await woken_by(TimerQueue::kNever);
  end();
}

Task<> Supervisor::start_and_run() {
  Result<> started = co_await role_->start();
  if (started) {
    started_up_ = true;
    const bool is_healthy = parts_.services.checks.worst(true) != Health::fail;
    // Refused when a stop has come first.
    (void)parts_.lifecycle.move_to(is_healthy ? State::ready : State::unready, "started");
    if (!changed_while_starting_.empty()) on_file_changed(changed_while_starting_);
    outcome_ = co_await role_->run();
  } else {
    outcome_ = std::move(started);
  }
  wake();
}

Task<> Supervisor::drain_by_order() {
  const std::uint64_t delay_until_ms =
      parts_.services.loop.now_ms() +
      static_cast<std::uint64_t>(started_.manage.shutdown_delay.count());
  // Balancers learn late that we leave: until then new work is still accepted.
  while (started_up_ && !outcome_ && !orders().hurry) {
    const std::uint64_t until_ms = std::min(delay_until_ms, drain_limit_ms());
    if (parts_.services.loop.now_ms() >= until_ms) break;
    co_await woken_by(until_ms);
  }
  if (!started_up_) {
    work_.cancel();
    co_return;
  }
  if (orders().hurry) co_return;
  draining_.spawn(drain_role());
  while (!drained_ && !orders().hurry && parts_.services.loop.now_ms() < drain_limit_ms()) {
    co_await woken_by(drain_limit_ms());
  }
  if (!drained_) {
    parts_.services.log.warn("drain.unfinished", {{"why", orders().hurry ? "second order to stop"
                                                                         : "the grace period is "
                                                                           "used up"}});
  }
  draining_.cancel();
}

Task<> Supervisor::drain_role() {
  co_await role_->drain(drain_limit_ms());
  drained_ = true;
  wake();
}

void Supervisor::end() {
  Lifecycle& life = parts_.lifecycle;
  const bool is_failed = outcome_ && !outcome_->has_value();
  std::string cause = drained_ ? "drained" : "stopped at once";
  if (outcome_) cause = "the work is done";
  if (is_failed) {
    cause = outcome_->error().message();
    exit_code_ = started_up_ ? kExitFailed : kExitUnavailable;
    parts_.services.log.error(started_up_ ? "role.failed" : "start.failed", {{"error", cause}});
  } else {
    (void)life.move_to(State::stopping, cause, orders().deadline_ms);
    if (role_ != nullptr) exit_code_ = role_->exit_code();
  }
  draining_.cancel();
  work_.cancel();
  role_.reset();
  (void)life.move_to(is_failed ? State::failed : State::stopped, std::move(cause));
  parts_.services.loop.stop();
}

// --- waiting ---------------------------------------------------------------------------------

Task<> Supervisor::woken_by(std::uint64_t at_ms) {
  // wake() may have armed the alarm already; a later time must not replace it.
  if (!alarm_.armed() || alarm_.at() > at_ms) alarm_.arm_at(at_ms);
  changed_.reset();
  co_await changed_.wait();
}

/// By a timer, never directly: supervise() drops tasks, and one of them may be calling.
void Supervisor::wake() {
  alarm_.arm_at(parts_.services.loop.now_ms());
}

Supervisor::Orders Supervisor::orders() const {
  std::lock_guard lock(orders_mutex_);
  return orders_;
}

std::uint64_t Supervisor::drain_limit_ms() const {
  const Orders now = orders();
  return now.deadline_ms - kill_reserve_ms(now.grace);
}

// --- orders, on any thread -------------------------------------------------------------------

OrderReply Supervisor::drain(std::string cause) {
  const Millis grace = started_.manage.grace;
  const std::uint64_t deadline_ms =
      parts_.clock().mono_ms + static_cast<std::uint64_t>(grace.count());
  OrderReply reply;
  bool is_new = false;
  {
    std::lock_guard lock(orders_mutex_);
    is_new = !orders_.drain && !orders_.stop && !is_ending(parts_.lifecycle.state());
    if (is_new) {
      orders_.drain = true;
      orders_.grace = grace;
      orders_.deadline_ms = deadline_ms;
    }
    reply.accepted = orders_.drain && !orders_.stop;
    reply.deadline_mono_ms = orders_.deadline_ms;
  }
  if (is_new) {
    (void)parts_.lifecycle.move_to(State::draining, std::move(cause), deadline_ms);
    parts_.services.loop.post([this] { wake(); });
  }
  reply.state = parts_.lifecycle.current();
  return reply;
}

OrderReply Supervisor::stop(std::string cause, Millis grace) {
  const std::uint64_t deadline_ms =
      parts_.clock().mono_ms + static_cast<std::uint64_t>(grace.count());
  OrderReply reply;
  {
    std::lock_guard lock(orders_mutex_);
    const State state = parts_.lifecycle.state();
    // A role that only drains may still be told to stop, by a deadline of its own.
    reply.accepted = !orders_.stop && (!is_ending(state) || state == State::draining);
    if (reply.accepted) {
      orders_.stop = true;
      orders_.grace = grace;
      orders_.deadline_ms = deadline_ms;
    }
    reply.deadline_mono_ms = orders_.deadline_ms;
  }
  if (reply.accepted) {
    parts_.services.log.info("stop.ordered", {{"cause", cause}, {"grace_ms", grace.count()}});
    (void)parts_.lifecycle.move_to(State::draining, std::move(cause), deadline_ms);
    parts_.services.loop.post([this] { wake(); });
    if (parts_.on_stop) parts_.on_stop(deadline_ms);
  }
  reply.state = parts_.lifecycle.current();
  return reply;
}

void Supervisor::hurry() {
  {
    std::lock_guard lock(orders_mutex_);
    orders_.hurry = true;
  }
  parts_.services.loop.post([this] { wake(); });
}

// --- readiness -------------------------------------------------------------------------------

void Supervisor::refresh() {
  const State state = parts_.lifecycle.state();
  if (state != State::ready && state != State::unready) return;
  const bool is_healthy = parts_.services.checks.worst(true) != Health::fail;
  const State wanted = is_healthy ? State::ready : State::unready;
  if (wanted == state) return;
  std::string cause = "all checks pass";
  if (!is_healthy) {
    for (const Check& check : parts_.services.checks.all()) {
      if (!check.gates_readiness || check.health != Health::fail) continue;
      cause = "check " + check.name + ": " + check.text;
      break;
    }
  }
  // Refused when another thread was faster or the end has begun; both are right.
  (void)parts_.lifecycle.move_to(wanted, std::move(cause));
}

void Supervisor::on_turn_end() {
  const std::uint64_t now_ms = parts_.services.loop.now_ms();
  if (now_ms < refresh_at_ms_) return;
  refresh_at_ms_ = now_ms + kRefreshMs;
  refresh();
  if (now_ms < flush_at_ms_) return;
  flush_at_ms_ = now_ms + kLogFlushMs;
  parts_.services.log.flush();
}

// --- reload ----------------------------------------------------------------------------------

void Supervisor::reload(std::string cause, std::function<void(ReloadReport)> done) {
  bool is_first = false;
  {
    std::lock_guard lock(orders_mutex_);
    is_first = reloads_.empty();
    // The files have not been read yet for the order that waits: a storm of signals is one reload.
    if (!is_first && !done) return;
    if (reloads_.size() < kReloadsMax) {
      reloads_.push_back({.cause = std::move(cause), .done = std::exchange(done, {})});
    }
  }
  if (done) {
    done(refusal({"too many reloads wait for the role's loop already"}));
  }
  if (is_first) parts_.services.loop.post([this] { run_reloads(); });
}

void Supervisor::run_reloads() {
  std::vector<ReloadOrder> waiting;
  {
    std::lock_guard lock(orders_mutex_);
    waiting.swap(reloads_);
  }
  const ReloadReport report = reload_now(waiting.front().cause);
  for (const ReloadOrder& order : waiting) {
    if (order.done) order.done(report);
  }
}

std::string Supervisor::why_no_reload() const {
  const State state = parts_.lifecycle.state();
  if (state == State::ready || state == State::unready) return {};
  return "cannot reload while " + std::string(to_string(state));
}

ReloadReport Supervisor::reload_now(const std::string& cause) {
  if (const std::string why = why_no_reload(); !why.empty()) return refuse_reload({why});
  Problems problems;
  LoadedConfig next = load_config(parts_.spec, parts_.sources, problems);
  if (watch_) watch_->set_read(next.files);
  if (!problems.ok()) return refuse_reload(problems.errors());
  for (const std::string& warning : problems.warnings()) {
    parts_.services.log.warn("config.warning", {{"text", warning}});
  }
  ReloadReport report = take_over(std::move(next));
  if (report.applied) {
    parts_.services.log.info("config.reloaded", {{"cause", cause},
                                                 {"generation", report.generation},
                                                 {"changed", joined(report.changed)},
                                                 {"needs_restart", joined(report.needs_restart)}});
  }
  return report;
}

ReloadReport Supervisor::report_on(const LoadedConfig& next) const {
  ReloadReport report;
  report.generation = parts_.config_view.get()->generation;
  report.changed = compare(current_.role ? current_ : started_, next).reloadable;
  report.needs_restart = compare(started_, next).needs_restart;
  return report;
}

ReloadReport Supervisor::take_over(LoadedConfig next) {
  ReloadReport report = report_on(next);
  Result<> taken = role_->reload(*next.role);
  if (!taken) return refuse_reload({taken.error().message()});
  parts_.services.log.set_level(next.manage.log_level);

  const std::int64_t now_ms = parts_.clock().wall_ms;
  ConfigView view;
  view.settings = next.settings;
  view.generation = report.generation + 1;
  view.loaded_wall_ms = now_ms;
  view.needs_restart = report.needs_restart;
  report.applied = true;
  report.generation = view.generation;
  parts_.config_view.set(std::move(view));
  current_ = std::move(next);
  reload_ok_.set(1);
  reload_at_.set(now_ms / 1000);
  reloads_applied_.add();
  parts_.services.checks.set("config", Health::pass, "valid", false);
  return report;
}

ReloadReport Supervisor::refuse_reload(std::vector<std::string> problems) {
  const std::string text = joined(problems);
  parts_.services.log.warn("config.reload_refused", {{"problems", text}});
  parts_.services.checks.set("config", Health::warn, "last reload refused: " + text, false);
  reload_ok_.set(0);
  reloads_refused_.add();
  return refusal(std::move(problems));
}

ReloadReport Supervisor::refusal(std::vector<std::string> problems) const {
  ReloadReport report;
  report.generation = parts_.config_view.get()->generation;
  report.problems = std::move(problems);
  return report;
}

ReloadReport Supervisor::foresee_reload() {
  if (std::string why = why_no_reload(); !why.empty()) return refusal({std::move(why)});
  Problems problems;
  const LoadedConfig next = load_config(parts_.spec, parts_.sources, problems);
  if (!problems.ok()) return refusal(problems.errors());
  Result<std::string> effect = role_->would_reload(*next.role);
  if (!effect) return refusal({effect.error().message()});
  ReloadReport report = report_on(next);
  report.applied = true;
  report.effect = std::move(*effect);
  return report;
}

// --- files of the configuration --------------------------------------------------------------

void Supervisor::watch_files() {
  if (!started_.manage.watch_config || started_.files.empty()) return;
  watch_.emplace(
      ConfigWatch::Parts{.files = parts_.services.files,
                         .read_file = parts_.sources.read_file,
                         .metrics = parts_.services.metrics,
                         .log = parts_.services.log,
                         .on_changed = [this](const std::string& path) { on_file_changed(path); }});
  watch_->set_read(started_.files);
}

void Supervisor::on_file_changed(const std::string& path) {
  if (is_ending(parts_.lifecycle.state())) return;
  if (why_no_reload().empty()) {
    reload("file changed: " + path, {});
  } else {
    changed_while_starting_ = path;
  }
}

// --- questions, on any thread ----------------------------------------------------------------

void Supervisor::try_reload(std::function<void(ReloadReport)> done) {
  if (!post_question([this, done] { done(foresee_reload()); })) {
    done(refusal({"too many questions wait for the role's loop already"}));
  }
}

void Supervisor::ask(AdminQuestion question, std::function<void(AdminAnswer)> done) {
  const bool is_posted = post_question([this, done, question = std::move(question)] {
    done(role_ ? role_->ask(question)
               : admin_error(503, "not_running", "the role is not running",
                             "GET /lifecycle shows its state"));
  });
  if (!is_posted) {
    done(admin_error(503, "role_busy", "too many questions wait for the role's loop already",
                     "GET /loop shows whether it hangs"));
  }
}

/// False when too many wait already.
bool Supervisor::post_question(std::function<void()> answer) {
  if (questions_.fetch_add(1) >= kQuestionsMax) {
    questions_.fetch_sub(1);
    return false;
  }
  parts_.services.loop.post([this, answer = std::move(answer)] {
    questions_.fetch_sub(1);
    answer();
  });
  return true;
}

}  // namespace consort
