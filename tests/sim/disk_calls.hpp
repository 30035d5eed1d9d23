// What the code under test asked of a simulated disk, and which of it is to fail.
//
//   CHECK(disk.calls.count(DiskCall::read, "/log/a") == 2);   // access patterns
//   disk.calls.fail(DiskCall::read, "/log/a", EIO);           // from now on
//   disk.calls.fail(DiskCall::sync, "", ENOSPC, 1);           // of any file, once
//   disk.calls.heal();
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace consort::sim {

enum class DiskCall : std::uint8_t {
  open,
  stat,  ///< by path
  list,
  resolve,
  rename,
  remove,
  make_directory,
  sync_directory,
  free_bytes,
  watch,
  look,  ///< File::stat
  read,
  write,
  truncate,
  data_from,
  sync,
  lock,
};

struct DiskCallRecord {
  DiskCall call;
  std::string path;  ///< as the code named it; an open file has the path it was opened with
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< asked for
  friend bool operator==(const DiskCallRecord&, const DiskCallRecord&) = default;
};

class DiskCalls {
 public:
  static constexpr std::size_t kRecordsMax = 100'000;  ///< then the oldest are forgotten
  static constexpr int kAlways = std::numeric_limits<int>::max();

  /// An empty path stands for all.
  void fail(DiskCall call, const std::string& path, int error, int times = kAlways) {
    faults_[{call, path}] = {error, times};
  }
  void heal() { faults_.clear(); }
  void heal(DiskCall call, const std::string& path) { faults_.erase({call, path}); }

  std::size_t count(DiskCall call) const {
    std::size_t all = 0;
    for (const auto& [which, times] : counts_) all += which.first == call ? times : 0;
    return all;
  }
  std::size_t count(DiskCall call, const std::string& path) const {
    const auto found = counts_.find({call, path});
    return found == counts_.end() ? 0 : found->second;
  }
  /// All of them, in order, and forgets them and the counts.
  std::vector<DiskCallRecord> take() {
    counts_.clear();
    std::vector<DiskCallRecord> taken(records_.begin(), records_.end());
    records_.clear();
    return taken;
  }

  /// For the disk: notes the call; an errno when it is to fail, else 0. `place` is the path without
  /// links, by which faults are found as well.
  int note(DiskCallRecord record, const std::string& place) {
    ++counts_[{record.call, record.path}];
    int error = 0;
    for (const std::string& path : {record.path, place, std::string()}) {
      const auto found = faults_.find({record.call, path});
      if (found == faults_.end()) continue;
      error = found->second.error;
      if (found->second.times != kAlways && --found->second.times == 0) faults_.erase(found);
      break;
    }
    records_.push_back(std::move(record));
    if (records_.size() > kRecordsMax) records_.pop_front();
    return error;
  }

 private:
  struct Fault {
    int error = 0;
    int times = 0;
  };
  std::map<std::pair<DiskCall, std::string>, Fault> faults_;
  std::map<std::pair<DiskCall, std::string>, std::size_t> counts_;
  std::deque<DiskCallRecord> records_;
};

}  // namespace consort::sim
