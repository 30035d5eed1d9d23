// Takes one role through its life: start, ready, drain, stop; and reloads its configuration.
//
//   supervise():  start ----------> serve ------------------> drain --------------> end
//                   | error: 69       | run() ends: 0 or 1      | all of it ends by
//                   | stop: end       | drain or stop ordered   | deadline - reserve
//
// Budget of a stop (grace): shutdown delay, then the role's drain, and a reserve of
// min(1 s, 10 % of grace) for dropping what is left. A second order to stop skips the waits.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "manage/config_watch.hpp"
#include "manage/control.hpp"
#include "manage/role.hpp"

namespace consort {

/// Belongs to the role's thread, except for the members of Control and hurry().
class Supervisor final : public Control, private io::TurnHook {
 public:
  struct Parts {
    const RoleSpec& spec;
    Services services;
    Lifecycle& lifecycle;
    ConfigStore& config_view;
    ConfigSources sources;
    Clock clock;
    /// Told once a stop is ordered, on the thread that ordered it: by when the process must end.
    std::function<void(std::uint64_t deadline_mono_ms)> on_stop;
  };
  /// How often turns look at the checks. Requests to the admin interface always look themselves.
  static constexpr std::uint64_t kRefreshMs = 100;
  /// How often a log line that repeats may show its count.
  static constexpr std::uint64_t kLogFlushMs = 1000;
  /// Reloads whose report is awaited, while the role's loop is busy; more are refused.
  static constexpr std::size_t kReloadsMax = 64;
  /// Questions to the role that wait for its loop; more are refused.
  static constexpr std::size_t kQuestionsMax = 64;

  Supervisor(Parts parts, LoadedConfig loaded);
  ~Supervisor();

  /// Begins supervising; the loop is stopped when the role has ended. Call once, before run().
  void begin();
  /// 1 or 69 after an error, else the role's; meaningful once the loop has stopped.
  int exit_code() const { return exit_code_; }

  OrderReply drain(std::string cause) override;
  OrderReply stop(std::string cause, Millis grace) override;
  void reload(std::string cause, std::function<void(ReloadReport)> done) override;
  void try_reload(std::function<void(ReloadReport)> done) override;
  void ask(AdminQuestion question, std::function<void(AdminAnswer)> done) override;
  void refresh() override;
  /// Ends all waits of a stop under way: a second signal. Any thread.
  void hurry();

 private:
  struct Orders {
    bool drain = false;
    bool stop = false;
    bool hurry = false;
    std::uint64_t deadline_ms = 0;
    Millis grace{0};
  };

  Task<> supervise();
  Task<> start_and_run();
  Task<> drain_role();
  Task<> drain_by_order();
  Task<> woken_by(std::uint64_t at_ms);
  void end();
  void wake();
  Orders orders() const;
  std::uint64_t drain_limit_ms() const;
  void on_turn_end() override;

  struct ReloadOrder {
    std::string cause;
    std::function<void(ReloadReport)> done;
  };
  void run_reloads();
  ReloadReport reload_now(const std::string& cause);
  ReloadReport take_over(LoadedConfig next);
  ReloadReport refuse_reload(std::vector<std::string> problems);
  ReloadReport refusal(std::vector<std::string> problems) const;
  ReloadReport report_on(const LoadedConfig& next) const;
  ReloadReport foresee_reload();
  std::string why_no_reload() const;
  void watch_files();
  void on_file_changed(const std::string& path);
  bool post_question(std::function<void()> answer);

  Parts parts_;
  LoadedConfig started_;  ///< what needs_restart compares with; alive as long as the role
  LoadedConfig current_;  ///< after a reload; empty before
  Gauge& reload_ok_;
  Gauge& reload_at_;
  Counter& reloads_applied_;
  Counter& reloads_refused_;
  std::optional<ConfigWatch> watch_;
  std::string changed_while_starting_;  ///< a file, taken over once the start is done

  mutable std::mutex orders_mutex_;
  Orders orders_;
  std::vector<ReloadOrder> reloads_;  ///< one reading of the files answers all of them

  std::atomic<std::size_t> questions_{0};  ///< that wait for the role's loop

  std::unique_ptr<Role> role_;
  bool started_up_ = false;
  bool drained_ = false;
  std::optional<Result<>> outcome_;  ///< of start() or run()
  int exit_code_ = 0;
  std::uint64_t refresh_at_ms_ = 0;
  std::uint64_t flush_at_ms_ = 0;

  Event changed_;
  Timer alarm_;
  TaskScope work_;      ///< start and run
  TaskScope draining_;  ///< the role's drain
  TaskScope main_;      ///< supervise() itself
};

}  // namespace consort
