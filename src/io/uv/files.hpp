// The real files, watched by inotify (inotify(7)).
//
//   inotify -> directory and name -> every watch with that place --> Burst -> on_file_changed
//                                      | a link, a directory or a
//                                      | missing part may be new:
//                                      +-> walk the path again
//
// Directories are watched, not files: a rename puts another inode in the place, and inotify follows
// inodes. One inotify descriptor serves all watches and is opened for the first one. Where the
// kernel cannot tell (no watches left, a directory that may not be listed, a file system whose
// changes come from other machines) the path is looked at every poll_ms.
//
// Cost: events of a whole directory wake the loop, so a watched file in a busy directory such as
// /tmp is a poor idea. Linear in watches per event; fine below 1000.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/fd.hpp"
#include "io/files.hpp"
#include "io/uv/fd_watcher.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

struct UvFilesOptions {
  bool inotify = true;  ///< false: as if the kernel had none, for tests
  std::uint64_t poll_ms = 2000;
};

class UvFiles final : public Files {
 public:
  explicit UvFiles(UvLoop& loop, UvFilesOptions options = {});
  ~UvFiles() override;
  UvFiles(const UvFiles&) = delete;
  UvFiles& operator=(const UvFiles&) = delete;

  Result<std::string> read(const std::string& path, std::size_t bytes_max) override;
  std::unique_ptr<FileWatch> watch(const std::string& path, FileHandler& handler) override;

 private:
  class Watch;

  /// Empty, or why there is no inotify.
  std::string open();
  /// The watch descriptor, or -1 with errno.
  int add_directory(const std::string& directory);
  void drop_if_unused(int directory);
  void on_readable();
  void on_event(int directory, std::uint32_t mask, const std::string& name);

  UvLoop& loop_;
  const UvFilesOptions options_;
  Fd inotify_;
  FdWatcher readable_;
  std::vector<Watch*> watches_;
};

}  // namespace consort::io
