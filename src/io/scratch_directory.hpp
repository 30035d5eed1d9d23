// A private directory for the files of one job, removed with all that is in it.
//
// In $TMPDIR when that is set, else in /dev/shm (memory) when that can be written to, else in /tmp.
// Its calls block as long as the file system does: for memory and local disks only.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort::io {

/// Mode 0700. Destroying it removes it, also files that others put there; what cannot be removed
/// stays.
class ScratchDirectory {
 public:
  /// Errors name the directory in which none could be made.
  static Result<std::unique_ptr<ScratchDirectory>> create();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }
  /// A new file, mode 0600. The name holds no slash.
  Result<> write(const std::string& name, std::string_view bytes) const;

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace consort::io
