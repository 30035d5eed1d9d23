#include "manage/admin_host.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "manage/clock.hpp"
#include "manage/probe.hpp"

namespace consort {

namespace {

/// No verb has a body to speak of, and anyone on the network may open all connections.
constexpr http::Limits kLimits{.body_bytes = 4096};

constexpr std::uint64_t kLingerStepMs = 5;
constexpr int kExitForced = 1;

std::string_view signal_name(int number) {
  switch (number) {
    case SIGTERM:
      return "TERM";
    case SIGINT:
      return "INT";
    case SIGHUP:
      return "HUP";
    default:
      return "?";
  }
}

/// Read on the admin's thread, as scrapes are requests to it.
void add_server_metrics(Registry& metrics, const http::Server& server) {
  auto add = [&](std::string_view name, std::string_view help, std::uint64_t http::Counters::* at) {
    metrics.counter_fn(name, help, {},
                       [&server, at] { return static_cast<double>(server.counters().*at); });
  };
  metrics.gauge_fn("consort_admin_open_connections", "Connections to the admin interface.", {},
                   [&server] { return static_cast<double>(server.connections()); });
  add("consort_admin_connections_total", "Connections to the admin interface, refused ones too.",
      &http::Counters::accepted);
  add("consort_admin_connections_over_limit_total",
      "Connections refused because too many were open.", &http::Counters::over_limit);
  add("consort_admin_connections_displaced_total",
      "Idle connections closed to make room for new ones.", &http::Counters::displaced);
  add("consort_admin_accept_pauses_total",
      "Pauses of accepting, for lack of descriptors or memory.", &http::Counters::accept_pauses);
  add("consort_admin_requests_refused_total",
      "Requests that were malformed, too large or too slow.", &http::Counters::refused);
  add("consort_admin_requests_abandoned_total",
      "Requests whose client left, or read its answer too slowly.", &http::Counters::abandoned);
}

}  // namespace

AdminHost::AdminHost(Logger& log)
    : log_(log),
      network_(loop_),
      signals_(loop_),
      linger_timer_(
          loop_.timers(), [](void* self) { static_cast<AdminHost*>(self)->linger(); }, this),
      force_timer_(
          loop_.timers(), [](void* self) { static_cast<AdminHost*>(self)->end_by_force(); }, this) {
}

AdminHost::~AdminHost() = default;

void AdminHost::attach(Admin& admin, Supervisor& supervisor, Registry& metrics, Millis grace) {
  admin_ = &admin;
  supervisor_ = &supervisor;
  grace_ = grace;
  server_ = std::make_unique<http::Server>(loop_, network_, admin, kLimits);
  add_server_metrics(metrics, *server_);
}

// --- listening -------------------------------------------------------------------------------

Result<> AdminHost::listen(const ManageConfig& manage, std::uint16_t default_port,
                           const Identity& identity) {
  if (manage.admin != "none") {
    const std::string text =
        manage.admin.empty() ? ":" + std::to_string(default_port) : manage.admin;
    Result<Address> address = Address::parse(text);
    if (!address) return fail(std::move(address.error()).in("--admin"));
    if (Result<> open = listen_tcp(*address); !open) return open;
  }
  listen_abstract(identity);
  return {};
}

Result<> AdminHost::listen_tcp(const Address& address) {
  const Result<Address> bound = server_->listen(address);
  if (bound) {
    log_.info("admin.listening", {{"address", bound->to_string()}});
    return {};
  }
  const std::string text = address.to_string();
  if (bound.error().sys() == EADDRINUSE) {
    return fail(Errc::unavailable, "admin address " + text +
                                       " is in use by another process; choose another with "
                                       "--admin HOST:PORT, or --admin none");
  }
  return fail(Errc::unavailable, "cannot listen on admin address " + text + ": " +
                                     bound.error().message() + "; see --admin");
}

void AdminHost::listen_abstract(const Identity& identity) {
  Address address;
  address.kind = Address::Kind::unix_abstract;
  address.path = admin_socket_name(identity.hostname, identity.name);
  std::optional<Result<Address>> bound(server_->listen(address));
  if (!*bound && bound->error().sys() == EADDRINUSE) {
    const std::string other = identity.name + "." + std::to_string(::getpid());
    log_.warn("admin.name_taken", {{"name", identity.name},
                                   {"using", other},
                                   {"hint", "give each process of a pod its own --name"}});
    address.path = admin_socket_name(identity.hostname, other);
    bound.emplace(server_->listen(address));
  }
  if (!*bound) {
    log_.warn("admin.no_local_socket", {{"address", address.to_string()},
                                        {"error", bound->error().message()},
                                        {"hint",
                                         "consort health and status will not find this "
                                         "process; try a shorter --name"}});
  }
}

// --- signals ---------------------------------------------------------------------------------

Result<> AdminHost::watch_signals(std::string_view usr1_page) {
  usr1_page_ = usr1_page;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    if (number == SIGUSR1 && usr1_page_.empty()) continue;
    if (Result<> watched = signals_.watch(number, *this); !watched) return watched;
  }
  return {};
}

void AdminHost::on_signal(int number) {
  if (finishing_) return;  // the role has ended, and its exit code stands
  const std::string cause = "signal " + std::string(signal_name(number));
  if (number == SIGHUP) {
    supervisor_->reload(cause, {});
  } else if (number == SIGUSR1) {
    ask_by_signal();
  } else {
    on_stop_signal(number);
  }
}

/// Nobody is there to read the answer.
void AdminHost::ask_by_signal() {
  log_.info("signal", {{"signal", "USR1"}, {"does", "POST " + usr1_page_}});
  AdminQuestion question;
  question.method = "POST";
  question.path = usr1_page_;
  supervisor_->ask(std::move(question), [](const AdminAnswer&) {});
}

void AdminHost::on_stop_signal(int number) {
  ++stop_signals_;
  if (stop_signals_ == 1) {
    // Refused when an order by HTTP came first: then that one's grace period counts.
    (void)supervisor_->stop("signal " + std::string(signal_name(number)), grace_);
    return;
  }
  log_.warn("stop.hurried", {{"cause", "second signal"}, {"signal", signal_name(number)}});
  supervisor_->hurry();
  force_timer_.arm_at(loop_.now_ms() + kHurryMs);
}

// --- the end ---------------------------------------------------------------------------------

void AdminHost::end_by(std::uint64_t mono_ms) {
  loop_.post([this, mono_ms] {
    // Even a grace period of nothing leaves the loop the time to see the order.
    const std::uint64_t at_ms = std::max(mono_ms, loop_.now_ms() + kHurryMs);
    if (!force_timer_.armed() || force_timer_.at() > at_ms) force_timer_.arm_at(at_ms);
  });
}

void AdminHost::end_by_force() {
  const bool was_asked = stop_signals_ > 1;
  log_.error("stop.forced", {{"why", was_asked ? "second signal" : "the grace period is used up"},
                             {"hint", "the role's loop hangs; work in flight is lost"}});
  log_.flush();
  // No destructors: the other thread is inside objects that they would take away.
  std::_Exit(was_asked ? 0 : kExitForced);
}

void AdminHost::finish() {
  loop_.post([this] {
    finishing_ = true;
    force_timer_.cancel();
    server_->stop_accepting();
    linger_until_ms_ = loop_.now_ms() + kLingerMs;
    linger();
  });
}

void AdminHost::linger() {
  if (admin_->in_flight() == 0 || loop_.now_ms() >= linger_until_ms_) {
    loop_.stop();
    return;
  }
  linger_timer_.arm_at(loop_.now_ms() + kLingerStepMs);
}

void AdminHost::tell_transition() {
  loop_.post([this] { admin_->on_transition(); });
}

}  // namespace consort
