// consort_logsaver_*: the counters of follower, deliveries and rules, as /metrics shows them. The
// names are in the manual, METRICS.
//
// The parts count for themselves; this copies what they say, once a second, into series that the
// admin's thread may read. There is no series for each file: there may be a million, and GET /files
// tells of each.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/metrics.hpp"
#include "roles/logsaver/deliver/record_rules.hpp"
#include "roles/logsaver/saver.hpp"

namespace consort::logsaver {

/// Belongs to the loop's thread. `saver` has all its deliveries already; both outlive it.
class SaverMetrics {
 public:
  SaverMetrics(Registry& registry, const Saver& saver, const RecordRules& rules);

  /// What the saver does not know of itself.
  struct Others {
    FileSums files;
    std::uint64_t now_ms = 0;
    std::uint64_t throttled_ms = 0;      ///< --scavenger has let others go first
    std::uint64_t unsaved_of_stdin = 0;  ///< bytes
  };
  /// Linear in destinations and rules; no allocation.
  void update(const Others& others);

 private:
  /// One of a part's counters and what shows it.
  struct Mirror {
    const std::uint64_t* counted = nullptr;
    Counter* shown = nullptr;
  };
  struct SinkGauges {
    const Delivery& delivery;
    Gauge& waiting;
    Gauge& in_flight;
    Gauge& concurrency;
    Gauge& is_ok;
    Gauge& is_held;
    Gauge& adds_up;
    std::shared_ptr<Gauge> oldest_ms;  ///< with the registry, which may outlive us
  };

  void add_sink(Registry& registry, const Delivery& delivery);
  void add_rules(Registry& registry, const RecordRules& rules);
  void add_files(Registry& registry);

  const Saver& saver_;
  std::vector<Mirror> mirrors_;
  std::vector<SinkGauges> sinks_;
  std::shared_ptr<Gauge> throttled_ms_ = std::make_shared<Gauge>();
  Gauge& files_;
  Gauge& unreadable_;
  Gauge& directories_;
  Gauge& is_polling_;
  Gauge& unread_;
  Gauge& unsafe_;
  Gauge& spool_;
  Gauge& stdin_;
};

}  // namespace consort::logsaver
