// What operators see without asking for details, once a second: the checks of /health, and the
// series of /metrics. What the checks mean and what to do about them is in the manual.
#pragma once

#include <cstdint>
#include <string>

#include "base/checks.hpp"
#include "base/metrics.hpp"
#include "roles/logsaver/metrics.hpp"
#include "roles/logsaver/saver.hpp"
#include "roles/logsaver/scavenger.hpp"
#include "roles/logsaver/standard_input.hpp"

namespace consort::logsaver {

/// Belongs to the loop's thread; all that it is given outlives it.
class Status {
 public:
  /// `saver` has all its deliveries already.
  Status(CheckBoard& checks, Registry& registry, const Saver& saver, const RecordRules& rules)
      : checks_(checks), saver_(saver), metrics_(registry, saver, rules) {}

  /// Null for what there is not.
  struct Others {
    const Scavenger* scavenger = nullptr;
    const StandardInput* input = nullptr;
    std::uint64_t throttled_ms = 0;
  };
  /// Linear in destinations; in files only while something happens, and each 10 s.
  void update(std::uint64_t now_ms, const Others& others);

 private:
  void set(std::string_view name, const std::string& trouble, std::string fine);
  void look_at_files(std::uint64_t now_ms);
  void check_files();
  void check_sinks();

  CheckBoard& checks_;
  const Saver& saver_;
  SaverMetrics metrics_;
  FileSums sums_;
  std::uint64_t moved_ = 0;  ///< a sum of counters: another one, and files have changed
  bool is_quiet_ = false;    ///< nothing was to be done when sums_ were made
  std::uint64_t look_at_ms_ = 0;
};

}  // namespace consort::logsaver
