// Tells when a file of the configuration has other content than was last read from it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "io/files.hpp"
#include "manage/config.hpp"

namespace consort {

/// Touching a file, or writing the same bytes again, is not told. Neither is content that was read
/// and refused: a broken file is complained of once. Belongs to the role's thread.
class ConfigWatch {
 public:
  struct Parts {
    io::Files& files;
    std::function<Result<std::string>(const std::string& path)> read_file;
    Registry& metrics;
    Logger& log;
    std::function<void(const std::string& path)> on_changed;
  };
  explicit ConfigWatch(Parts parts);
  ~ConfigWatch();

  /// What has been read, and of which files; only other content counts from now on. Files that are
  /// new here are watched from now on.
  void set_read(const std::vector<SourceFile>& read);

 private:
  class Entry;
  void tell_degraded(const Entry& entry);

  Parts parts_;
  Gauge& polled_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace consort
