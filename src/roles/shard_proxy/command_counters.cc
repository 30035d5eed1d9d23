#include "roles/shard_proxy/command_counters.hpp"

#include <utility>

namespace consort::shard_proxy {

CommandCounters::CommandCounters(Registry& registry, std::string pool, std::size_t count)
    : registry_(registry), pool_(std::move(pool)), by_index_(count, nullptr) {}

void CommandCounters::renumber(std::size_t count) {
  by_index_.assign(count, nullptr);
}

Counter& CommandCounters::find_later(std::size_t index, std::string name) {
  if (by_name_.size() >= kMaxNames && !by_name_.contains(name)) name = kOther;
  Counter& counter = of_name(name);
  if (index < by_index_.size()) by_index_[index] = &counter;
  return counter;
}

Counter& CommandCounters::of_name(const std::string& name) {
  Counter*& counter = by_name_[name];
  if (counter == nullptr) {
    counter = &registry_.counter("consort_commands_total", "Requests of clients by command.",
                                 {{"pool", pool_}, {"command", name}});
  }
  return *counter;
}

std::string_view command_word(memcache::Command command) {
  using memcache::Command;
  switch (command) {
    case Command::get:
      return "get";
    case Command::gets:
      return "gets";
    case Command::gat:
      return "gat";
    case Command::gats:
      return "gats";
    case Command::set:
      return "set";
    case Command::add:
      return "add";
    case Command::replace:
      return "replace";
    case Command::append:
      return "append";
    case Command::prepend:
      return "prepend";
    case Command::cas:
      return "cas";
    case Command::remove:
      return "delete";
    case Command::incr:
      return "incr";
    case Command::decr:
      return "decr";
    case Command::touch:
      return "touch";
    case Command::meta_get:
      return "mg";
    case Command::meta_set:
      return "ms";
    case Command::meta_delete:
      return "md";
    case Command::meta_arithmetic:
      return "ma";
    case Command::meta_debug:
      return "me";
    case Command::meta_noop:
      return "mn";
    case Command::flush_all:
      return "flush_all";
    case Command::version:
      return "version";
    case Command::verbosity:
      return "verbosity";
    case Command::stats:
      return "stats";
    case Command::cache_memlimit:
      return "cache_memlimit";
    case Command::shutdown:
      return "shutdown";
    case Command::quit:
      return "quit";
    case Command::admin:
      return "admin";
    case Command::watch:
      return "watch";
    case Command::dump:
      return "lru_crawler";
    case Command::unknown:
      break;
  }
  return "unknown";
}

}  // namespace consort::shard_proxy
