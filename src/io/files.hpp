// Small local files: what is in them, and when that may have changed.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/error.hpp"

namespace consort::io {

class FileHandler {
 public:
  /// The file may have changed, come or gone; reading it tells. May destroy the watch.
  virtual void on_file_changed() = 0;

 protected:
  ~FileHandler() = default;
};

/// One path under watch. Destroying it ends the watch.
class FileWatch {
 public:
  virtual ~FileWatch() = default;
  /// Why changes are seen late, by looking every few seconds; empty while the kernel tells of them.
  virtual std::string degraded() const = 0;
};

/// Belongs to the loop's thread and outlives its watches. Relative paths start where the process
/// stands. Reading and looking block as long as the file system does: for local files only.
class Files {
 public:
  virtual ~Files() = default;
  /// The whole content of a regular file; errors name the path, too much is Errc::limit.
  virtual Result<std::string> read(const std::string& path, std::size_t bytes_max) = 0;
  /// What counts is which bytes the path leads to: writing in place, renaming over it, deleting and
  /// making it again, and turning any symbolic link on the way (a ConfigMap's `..data`) are all
  /// seen. The path need not exist yet. What is no regular file (a pipe) is never told of.
  ///
  /// Told once per burst (burst.hpp), and once soon after this call: what was read before it may be
  /// old already. Never fails; where the kernel cannot tell, degraded() says why.
  virtual std::unique_ptr<FileWatch> watch(const std::string& path, FileHandler& handler) = 0;
};

}  // namespace consort::io
