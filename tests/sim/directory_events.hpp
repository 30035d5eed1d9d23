// What a simulated kernel tells of directories: a queue with inotify's rules, in virtual time.
//
//   emit --> an event equal to the last one in the queue is merged --> delivered delay_ms later
//     \-- nobody watches: nothing      \-- the queue is full: the rest is lost, on_overflow
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/file_system.hpp"
#include "sim/file_tree.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

/// As the kernel sees it; only equal ones are merged.
enum class SimNotice : std::uint8_t {
  created,
  moved_here,
  removed,
  moved_away,
  modified,
  closed_after_writing,
  attributes,
  gone,
  overflow,
};

class SimNotices;

struct SimWatch final : io::DirectoryWatch {
  static constexpr std::uint64_t kEver = std::numeric_limits<std::uint64_t>::max();

  SimWatch(SimNotices& owner, std::shared_ptr<SimInode> where, io::DirectoryHandler& told);
  ~SimWatch() override;

  SimNotices& notices;
  const std::shared_ptr<SimInode> directory;
  io::DirectoryHandler& handler;
  std::uint64_t from;           ///< the number of the first notice for it
  std::uint64_t until = kEver;  ///< and of the last: its directory went
};

class SimNotices {
 public:
  explicit SimNotices(SimLoop& loop) : loop_(loop) {}

  std::uint64_t delay_ms = 0;
  std::size_t queued_max = 16384;

  void emit(SimInode& directory, SimNotice what, const std::string& name) {
    const bool is_watched =
        std::any_of(directory.watches.begin(), directory.watches.end(),
                    [](SimWatch* watch) { return watch->until == SimWatch::kEver; });
    if (!is_watched) return;
    if (!queue_.empty() && queue_.back().directory.get() == &directory &&
        queue_.back().what == what && queue_.back().name == name &&
        directory.watches.back()->from <= queue_.back().number) {
      return;
    }
    if (queue_.size() == queued_max) return overflow();
    if (queue_.size() > queued_max) return;
    add(directory.watches.back()->directory, what, name);
    if (what != SimNotice::gone) return;
    for (SimWatch* watch : directory.watches) watch->until = std::min(watch->until, numbers_ - 1);
  }
  void overflow() { add(nullptr, SimNotice::overflow, ""); }
  std::size_t watches() const { return watches_.size(); }

 private:
  friend struct SimWatch;
  struct Item {
    std::uint64_t number;
    std::shared_ptr<SimInode> directory;
    SimNotice what;
    std::string name;
  };

  void add(std::shared_ptr<SimInode> directory, SimNotice what, const std::string& name) {
    if (queue_.empty()) loop_.after(delay_ms, [this] { deliver(); });
    queue_.push_back({numbers_++, std::move(directory), what, name});
  }
  void deliver() {
    const Item* before = nullptr;
    const std::vector<Item> items = std::exchange(queue_, {});
    for (const Item& item : items) {
      // A copy: handlers destroy watches and begin new ones.
      const std::vector<SimWatch*> watches = item.directory ? item.directory->watches : watches_;
      for (SimWatch* watch : watches) {
        const bool is_alive = std::find(watches_.begin(), watches_.end(), watch) != watches_.end();
        if (is_alive && watch->from <= item.number && item.number <= watch->until) {
          // The kernel puts both halves of a renaming one behind the other.
          if (item.what == SimNotice::moved_here && before != nullptr &&
              before->what == SimNotice::moved_away && before->directory == item.directory) {
            watch->handler.on_moved(before->name, item.name);
          }
          tell(watch->handler, item);
        }
      }
      before = &item;
    }
  }
  static void tell(io::DirectoryHandler& handler, const Item& item) {
    switch (item.what) {
      case SimNotice::created:
      case SimNotice::moved_here:
        return handler.on_event(io::DirectoryEvent::came, item.name);
      case SimNotice::removed:
      case SimNotice::moved_away:
        return handler.on_event(io::DirectoryEvent::went, item.name);
      case SimNotice::modified:
      case SimNotice::closed_after_writing:
      case SimNotice::attributes:
        return handler.on_event(io::DirectoryEvent::changed, item.name);
      case SimNotice::gone:
        return handler.on_gone();
      case SimNotice::overflow:
        return handler.on_overflow();
    }
  }

  SimLoop& loop_;
  std::uint64_t numbers_ = 0;
  std::vector<Item> queue_;
  std::vector<SimWatch*> watches_;  ///< in the order in which they were made
};

inline SimWatch::SimWatch(SimNotices& owner, std::shared_ptr<SimInode> where,
                          io::DirectoryHandler& told)
    : notices(owner), directory(std::move(where)), handler(told), from(owner.numbers_) {
  directory->watches.push_back(this);
  notices.watches_.push_back(this);
}

inline SimWatch::~SimWatch() {
  std::erase(directory->watches, this);
  std::erase(notices.watches_, this);
}

}  // namespace consort::sim
