// A tail: what one file held from its birth, or its last truncation, on.
//
//   listed --renamed--> unlisted --its name deleted--> unlinked     read on through the descriptor
//     |                    |                              |         until nothing came for 30 s
//     +-- truncated -------+------------------------------+--> moved to the copy that was made of
//     it, |                                                        or ended: what was not read is
//     lost
//     +-- next: the tail that took its place under the same path
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/file_system.hpp"
#include "roles/logsaver/state/ledger.hpp"

namespace consort::logsaver {

class SpoolCopy;

struct Tail {
  Tail();
  ~Tail();
  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;

  TailRecord record;
  io::FileIdentity identity;  ///< of `file`; record.identity is what a restart is to open
  /// Null while nothing is to be read, and for good when the content is gone (is_ended).
  std::unique_ptr<io::File> file;
  /// record.base, unless the spool has the rest and the file itself is still open.
  std::uint64_t base = 0;
  bool is_spool = false;        ///< `file` is the spool's copy: the file itself is gone
  std::uint64_t size = 0;       ///< its bytes when last looked at, base included
  std::uint64_t size_read = 0;  ///< up to here its bytes were seen
  std::int64_t modified_ns = 0;
  std::uint64_t begin = 0;     ///< the first byte that counts: behind a truncation lies a hole
  bool is_begin_known = true;  ///< else it is further on than `begin`
  bool is_recorded = false;    ///< the journal knows record as it is, but for path and head
  bool is_head_recorded = false;
  bool is_listed = false;        ///< record.path leads to it
  bool is_unlinked = false;      ///< no path leads to it
  bool is_ended = false;         ///< its content is gone
  std::uint64_t changed_ms = 0;  ///< loop time at which it last grew or was renamed
  std::uint64_t scan = 0;        ///< the last look at all directories that saw it
  Tail* next = nullptr;
  Tail* previous = nullptr;
  /// It began like this one: held back until it is known whether it is a copy (copytruncate).
  Tail* copy_of = nullptr;
  bool may_be_copy = false;
  bool is_original = false;  ///< some tail's copy_of is, or was, this one
  std::uint64_t held_until_ms = 0;
  std::unique_ptr<SpoolCopy> spool;
  std::string trouble;  ///< why it cannot be read, for people; empty for none
};

}  // namespace consort::logsaver
