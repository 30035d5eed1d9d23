// Counts a pool's requests by command: consort_commands_total{pool,command}.
//
// Commands are numbered by the table that knows them (redis::CommandTable::index_of, or the enum
// memcache::Command), so counting is one look-up in an array and one add. A series is made when its
// command comes for the first time: hundreds of commands exist, and a pool sees a few dozen.
//
//   CommandCounters counters(registry, "alpha", table.size());
//   counters.add(table.index_of(command), [&] { return table.full_name(command); });
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.hpp"
#include "wire/memcache.hpp"

namespace consort::shard_proxy {

/// Belongs to the pool's thread.
class CommandCounters {
 public:
  /// Names that get a series of their own; a table learned from a server may hold anything.
  static constexpr std::size_t kMaxNames = 5000;
  /// What is beyond that, and numbers beyond the table, is counted under this name.
  static constexpr std::string_view kOther = "other";

  /// For commands with the numbers 0 to count - 1.
  CommandCounters(Registry& registry, std::string pool, std::size_t count);

  /// `name_if_new` is called when this number comes for the first time: `std::string name()`.
  template <class Name>
  void add(std::size_t index, const Name& name_if_new) {
    if (index >= by_index_.size() || by_index_[index] == nullptr) [[unlikely]] {
      find_later(index, index < by_index_.size() ? std::string(name_if_new()) : std::string(kOther))
          .add();
      return;
    }
    by_index_[index]->add();
  }
  /// Another table with other numbers. A name that is in both goes on counting where it was.
  void renumber(std::size_t count);

 private:
  Counter& find_later(std::size_t index, std::string name);
  Counter& of_name(const std::string& name);

  Registry& registry_;
  const std::string pool_;
  std::vector<Counter*> by_index_;
  std::map<std::string, Counter*> by_name_;
};

/// memcached's commands as CommandCounters numbers them.
inline constexpr std::size_t kMemcacheCommands =
    static_cast<std::size_t>(memcache::Command::unknown) + 1;
inline std::size_t command_index(memcache::Command command) {
  return static_cast<std::size_t>(command);
}
/// The word that begins its line ("mg"); those that are read alike share one ("admin").
std::string_view command_word(memcache::Command command);

}  // namespace consort::shard_proxy
