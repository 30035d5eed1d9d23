// The entries of the ledger as bytes: what one frame of the journal holds.
//
//   entry     kind (1 byte: the place in entry::Variant, from 1 on), then its fields in their order
//   number    unsigned LEB128, in the shortest form; at most 10 bytes
//   fixed     8 bytes, little-endian: hashes, random numbers, times
//   text      number of bytes, then the bytes; a tail's origin is 1 when it is the path, else 0 and
//             the text
//   check     number length | fixed low | fixed high
//   hash      32 bytes
//   extent    number tail | number start | number end - start | 1 byte (1: continues) | check
//
// "acknowledged: sink 0, batch 300" is 07 00 ac 02. An entry has one encoding only, and bytes that
// are not one (a longer number, bytes left over, an unknown kind) are refused. Kinds are never
// given another meaning: what must change becomes a new kind at the end, and a new kVersion of the
// journal, so that an older consort says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.hpp"
#include "roles/logsaver/state/ledger.hpp"

namespace consort::logsaver {

namespace entry {

struct Begun {
  std::uint64_t state_id = 0;
};
struct SinkAdded {
  std::string name;
};
struct TailPut {
  TailRecord record;
};
struct TailForgotten {
  TailId id = 0;
};
struct Skipped {
  SinkIndex sink = 0;
  TailId tail = 0;
  Progress progress;
};
struct Planned {
  SinkIndex sink = 0;
  Intent intent;
};
struct Acknowledged {
  SinkIndex sink = 0;
  BatchNumber number = 0;
};

// Of snapshots only: what is left of entries that they leave out.
struct TailsGiven {
  TailId last = 0;  ///< ids up to here were given, to tails that may be forgotten by now
};
struct SinkNumbered {
  SinkIndex sink = 0;
  BatchNumber next = 0;  ///< the batches before it are settled
};
struct ProgressKept {
  SinkIndex sink = 0;
  TailId tail = 0;
  Progress planned;
  std::optional<Progress> settled;
};
struct IntentKept {  ///< its bytes are planned already
  SinkIndex sink = 0;
  Intent intent;
};

// Since version 2 of the journal.
struct Manifested {  ///< acknowledged, with a manifest
  SinkIndex sink = 0;
  BatchNumber number = 0;
  ManifestHash manifest{};
};
struct ChainKept {  ///< of snapshots only: the last manifest among the settled batches
  SinkIndex sink = 0;
  ManifestHash chain{};
};

/// The order is the format.
using Variant =
    std::variant<Begun, SinkAdded, TailPut, TailForgotten, Skipped, Planned, Acknowledged,
                 TailsGiven, SinkNumbered, ProgressKept, IntentKept, Manifested, ChainKept>;

struct Any {
  Variant value;
};

}  // namespace entry

/// No encoded entry is longer: an intent with kMaxExtents of the longest extents (52 bytes).
inline constexpr std::size_t kMaxEntryBytes = 6 * 1024 * 1024;

/// Texts and lists must be within the ledger's limits.
std::string encode(entry::Any entry);
/// Errc::io: not an entry that encode() gives. Never takes more memory than a few times the bytes.
Result<entry::Any> decode(std::string_view bytes);

}  // namespace consort::logsaver
