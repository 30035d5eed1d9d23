// Answers requests by running a command for each; what gather-leaf serves.
#pragma once

#include <cstdint>
#include <string>

#include "manage/role.hpp"
#include "net/http_server.hpp"
#include "roles/gather/command_run.hpp"
#include "roles/gather/leaf_config.hpp"

namespace consort::gather {

/// Belongs to the role's loop; services and the handler outlive its requests.
class LeafHandler final : public http::Handler {
 public:
  /// What a reload may change.
  struct Settings {
    std::string exec;
    bool cgi = false;
    std::string content_type;
    Millis timeout{2000};

    static Settings of(const LeafConfig& config) {
      return {config.exec, config.cgi, config.content_type, config.timeout};
    }
  };

  LeafHandler(const Services& services, Settings settings, RunnerOptions options);

  Task<http::Response> handle(http::Request request) override;
  void on_accept_paused(const Error& why) override;
  void set(Settings settings) { settings_ = std::move(settings); }

 private:
  struct Metrics {
    explicit Metrics(Registry& registry);
    Counter& of(const CommandOutcome& outcome);
    Counter& ok;
    Counter& exit_code;
    Counter& signal;
    Counter& timeout;
    Counter& not_started;
    Counter& too_large;
    Counter& busy;
    Counter& bad_output;
    Counter& client_gone;
    Counter& bad_deadlines;
    LatencyHistogram& seconds;
    Gauge& running;
    Gauge& waiting;
  };
  class Visit;
  static RunnerOptions with_gauges(RunnerOptions options, Metrics& metrics);

  Deadline deadline_of(const http::Request& request);
  http::Response answer(CommandOutcome outcome, const Settings& settings, Counter*& counted);
  void tell_health(const CommandOutcome& outcome);

  const Services services_;
  Settings settings_;
  Metrics metrics_;
  CommandRunner runner_;
};

}  // namespace consort::gather
