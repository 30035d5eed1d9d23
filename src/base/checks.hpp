// What a role says of its own health, for /readyz and /health: a board of named checks.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace consort {

enum class Health : std::uint8_t { pass, warn, fail };
std::string_view to_string(Health health);

struct Check {
  std::string name;
  Health health = Health::pass;
  std::string text;             ///< one line for people: "3 of 4 servers answer"
  bool gates_readiness = true;  ///< a failing check turns /readyz to 503
};

/// Thread-safe; a check keeps its place, so that lists read the same each time.
class CheckBoard {
 public:
  void set(std::string_view name, Health health, std::string text, bool gates_readiness = true);
  void remove(std::string_view name);
  std::vector<Check> all() const;
  /// The worst health on the board; gating checks only when asked.
  Health worst(bool gating_only) const;

 private:
  mutable std::mutex mutex_;
  std::vector<Check> checks_;
};

}  // namespace consort
