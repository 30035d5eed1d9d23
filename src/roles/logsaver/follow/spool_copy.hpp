// What is left of a file that nobody can open any more, on our own disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/file_system.hpp"

namespace consort::logsaver {

/// STATE/spool/<tail>: the tail's bytes from `from` to `to`.
class SpoolCopy {
 public:
  std::string path;
  std::unique_ptr<io::File> file;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool is_recorded = false;  ///< the journal knows it: a restart reads it
  bool is_full = false;      ///< it may not grow on: the limit, or the disk
};

}  // namespace consort::logsaver
