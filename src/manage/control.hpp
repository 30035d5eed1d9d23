// What the admin interface and signals may ask of a managed role: the verbs of its lifecycle.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "manage/admin_page.hpp"
#include "manage/config.hpp"
#include "manage/lifecycle.hpp"

namespace consort {

/// The answer to an order. Orders are idempotent: a second drain gets the first one's answer, what
/// follows a stop is refused.
struct OrderReply {
  bool accepted = false;               ///< false: the process was ending already
  Transition state;                    ///< the state as of now
  std::uint64_t deadline_mono_ms = 0;  ///< by when the work in flight is dropped; 0 for none
};

struct ReloadReport {
  bool applied = false;                    ///< of try_reload: it would be
  std::uint64_t generation = 0;            ///< of the configuration in effect now
  std::vector<std::string> changed;        ///< keys that took effect
  std::vector<std::string> needs_restart;  ///< keys that differ from what the process started with
  std::vector<std::string> problems;       ///< why nothing was applied
  std::string effect;                      ///< of try_reload: the role's own words, or empty
};

/// Every member may be called on any thread.
class Control {
 public:
  /// Turns READY to DRAINING and lets the role finish its work; the process stays.
  virtual OrderReply drain(std::string cause) = 0;
  /// Drains, then ends the process; `grace` bounds all of it.
  virtual OrderReply stop(std::string cause, Millis grace) = 0;
  /// Reads the configuration again, once for all orders that came before it began. `done` is called
  /// on the role's thread, later; or at once, with a refusal, when too many wait already.
  virtual void reload(std::string cause, std::function<void(ReloadReport)> done) = 0;
  /// What reload() would do now. Changes nothing, logs nothing. Answered as reload() is.
  virtual void try_reload(std::function<void(ReloadReport)> done) = 0;
  /// Lets the role answer for one of its pages. `done` is called on the role's thread, later; or at
  /// once, with 503, when too many questions wait already.
  virtual void ask(AdminQuestion question, std::function<void(AdminAnswer)> done) = 0;
  /// Brings READY and UNREADY in line with the checks.
  virtual void refresh() = 0;

 protected:
  ~Control() = default;
};

/// The configuration in effect, for /config.
struct ConfigView {
  std::vector<Setting> settings;
  std::uint64_t generation = 1;
  std::int64_t loaded_wall_ms = 0;
  std::vector<std::string> needs_restart;  ///< keys whose file value waits for a restart
};

/// Hands immutable snapshots from the role's thread to the admin's. Thread-safe.
class ConfigStore {
 public:
  void set(ConfigView view) {
    auto fresh = std::make_shared<const ConfigView>(std::move(view));
    std::lock_guard lock(mutex_);
    view_ = std::move(fresh);
  }
  std::shared_ptr<const ConfigView> get() const {
    std::lock_guard lock(mutex_);
    return view_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ConfigView> view_ = std::make_shared<const ConfigView>();
};

}  // namespace consort
