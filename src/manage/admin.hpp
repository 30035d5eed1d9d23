// The admin interface: what every consort process answers to probes, scrapers and operators.
//
//   anyone    GET  /livez /readyz /startupz [?verbose]  /health  /metrics   (also /healthz, /ready)
//   guarded   GET  /  /config  /logs  /loop  /lifecycle
//             POST /lifecycle/drain  /lifecycle/stop  /reload  /quitquitquit
//             and the role's own pages (admin_page.hpp)
//
// It runs on a thread of its own, so that /livez can tell that the role's loop hangs. GET never
// changes anything. Who passes the guard: admin_guard.hpp. What is answered: admin_views.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "async/event.hpp"
#include "base/checks.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "io/loop.hpp"
#include "manage/admin_guard.hpp"
#include "manage/admin_page.hpp"
#include "manage/admin_views.hpp"
#include "manage/control.hpp"
#include "manage/lifecycle.hpp"
#include "manage/loop_watch.hpp"
#include "manage/waiting.hpp"
#include "net/http_server.hpp"

namespace consort {

/// Belongs to the admin loop; every part is safe to read from there.
class Admin final : public http::Handler {
 public:
  struct Parts {
    Identity identity;
    io::Loop& loop;  ///< the admin's own
    Lifecycle& lifecycle;
    CheckBoard& checks;
    Registry& metrics;
    Logger& log;
    LoopWatch& watch;
    const LatencyHistogram& turns;
    ConfigStore& config;
    Control& control;
    Clock clock;
    Millis grace;
    Millis stall_limit;
    std::string token_file;
    std::vector<std::string> hosts;         ///< further Host names that guarded paths accept
    std::span<const AdminPage> pages = {};  ///< the role's own; they must not clash with ours
  };
  /// The longest that `?wait=` blocks, and how long the role's thread may take to answer.
  static constexpr Millis kMaxWait{600'000};
  static constexpr Millis kRoleWait{10'000};
  static constexpr Millis kMaxGrace{24 * 3'600'000};
  static constexpr std::size_t kDefaultTail = 100;

  explicit Admin(Parts parts);

  Task<http::Response> handle(http::Request request) override;
  void on_accept_paused(const Error& why) override;

  /// To be told on the admin loop after each transition: wakes requests that wait for one.
  void on_transition();
  /// Requests under way; the process lingers for them at its end.
  std::size_t in_flight() const { return in_flight_; }

 private:
  struct Route {
    enum class Access : std::uint8_t { open, guarded };
    std::string_view path;
    std::string_view method;  ///< GET (then HEAD too), POST, PUT or DELETE
    Access access;
    Task<http::Response> (Admin::*answer)(const http::Request& request);
    std::string_view summary;

    bool answers(std::string_view asked) const {
      return asked == method || (asked == "HEAD" && method == "GET");
    }
  };
  static const Route kRoutes[];
  /// The route of that path and method; else one of the path alone; else nothing.
  const Route* find_route(std::string_view path, std::string_view method) const;

  Task<http::Response> dispatch(const http::Request& request, const Route* route);
  http::Response unknown_path(const std::string& path) const;
  http::Response wrong_method(const http::Request& request) const;
  HealthFacts facts() const;
  void count(std::string_view path, int status);

  Task<http::Response> get_live(const http::Request& request);
  Task<http::Response> get_ready(const http::Request& request);
  Task<http::Response> get_startup(const http::Request& request);
  Task<http::Response> get_health(const http::Request& request);
  Task<http::Response> get_metrics(const http::Request& request);
  Task<http::Response> get_index(const http::Request& request);
  Task<http::Response> get_config(const http::Request& request);
  Task<http::Response> get_logs(const http::Request& request);
  Task<http::Response> get_loop(const http::Request& request);
  Task<http::Response> get_lifecycle(const http::Request& request);
  Task<http::Response> post_drain(const http::Request& request);
  Task<http::Response> post_stop(const http::Request& request);
  Task<http::Response> post_reload(const http::Request& request);
  Task<http::Response> ask_role(const http::Request& request);

  http::Response order_response(const OrderReply& reply) const;
  Task<bool> wait_for_end(Millis at_most);

  Parts parts_;
  AdminGuard guard_;
  std::size_t in_flight_ = 0;
  std::vector<Route> routes_;  ///< ours, then the role's
  std::set<Event*> waiting_;   ///< for the next transition
  RoleAnswers<ReloadReport> reports_;
  RoleAnswers<AdminAnswer> answers_;
  std::map<std::string, Counter*> request_counts_;  ///< "path code"; bounded by routes and codes
};

}  // namespace consort
