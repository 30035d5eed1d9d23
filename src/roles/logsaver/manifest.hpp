// What is said of a saved batch, so that anybody can prove later that a destination has all of them
// and that none was changed: what it holds, from where, its hash, and the hash of the one before.
//
//   {"v":1,"batch":"4f2a9c01d3b7e655-0-12","prev":"9c01..","records":41,"bytes":5002,
//    "form":"ndjson","coding":"zstd","stored":612,"sha256":"d3b7..",
//    "sources":[{"tail":"4f2a9c01d3b7e655-3","file":"/var/log/a.log","from":0,"to":5002}]}
//
//   batch    state directory (16 hex digits), sink, number: from 1 on without gaps
//   prev     SHA-256 of the manifest of the batch before, as text; empty for none
//   bytes    of the body before coding; stored, sha256: of the body as it is saved
//   form     ndjson: a line for each record; raw: as they were written
//   sources  which bytes of which files; "file" is left out where it is the one before
//   more     so many sources are not named, because there was no room; left out for 0
//   rebuilt  true: built again after a crash with other settings, or without bytes that were gone;
//            what was saved behind it may name what it was before; else left out
//
// On one line, without blanks, ASCII only (it travels in HTTP headers), members in this order. The
// hash of a manifest is that of these bytes. The same batch has the same manifest, in this life and
// the next. Whoever can rewrite a whole destination can make a chain that fits: against that, keep
// what `verify` says of the last batch somewhere else, and give it to --head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "roles/logsaver/state/ledger.hpp"
#include "wire/compressor.hpp"

namespace consort::logsaver {

/// Bytes of one tail, from..to.
struct ManifestSource {
  std::string tail;  ///< TailFacts::id
  std::string file;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  friend bool operator==(const ManifestSource&, const ManifestSource&) = default;
};

struct Manifest {
  std::string batch;  ///< Batch::id
  ManifestHash prev{};
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  bool has_line_each = false;  ///< ndjson
  Coding coding = Coding::none;
  std::uint64_t stored = 0;
  ManifestHash sha256{};
  std::vector<ManifestSource> sources;
  std::uint64_t more = 0;
  bool is_rebuilt = false;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// Of one file sink's line, and of an object in S3, where all metadata has 2 KiB.
inline constexpr std::size_t kFileManifestBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kObjectManifestBytesMax = 1400;

/// A batch with so many tails has room for all of them.
std::size_t manifest_tails_max(std::size_t bytes_max);
/// At most bytes_max long (which is at least 1000). Long names of files are cut in front.
std::string write_manifest(const Manifest& manifest, std::size_t bytes_max);
/// Of ours, with unknown members passed over. Errc::invalid says what is wrong.
Result<Manifest> read_manifest(std::string_view text);
ManifestHash hash_of_manifest(std::string_view text);

/// 64 hex digits; empty for none.
std::string to_text(const ManifestHash& hash);
/// What to_text() gives. Errc::invalid for anything else.
Result<ManifestHash> parse_hash(std::string_view text);

/// "4f2a9c01d3b7e655-0-12" -> "4f2a9c01d3b7e655-0" and 12.
struct BatchName {
  std::string_view stream;
  BatchNumber number = 0;
};
Result<BatchName> parse_batch(std::string_view id);

}  // namespace consort::logsaver
