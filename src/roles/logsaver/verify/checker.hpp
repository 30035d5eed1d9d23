// Whether what was found at a destination is all of it, and as it was saved. Pure: what is found is
// told to it, in any order, and at the end it says what is wrong.
//
//   add(manifest)      a batch that is there --+
//   damaged(...)       one whose bytes are     +--> finish(): streams, problems, notes
//                      not what it says     ---+
//   foreign(name)      carries no manifest
//
// Of a stream (state directory and sink), in the order of numbers: none is missing between the
// first and the last, each names the hash of the one before, and in each tail bytes go on where
// those before end. What it cannot see: that batches behind the last one were taken away, or that
// somebody has made a whole chain anew. Against both there is a head that somebody has kept.
//
// Takes about 0.5 KiB for each batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "roles/logsaver/manifest.hpp"
#include "roles/logsaver/state/ledger.hpp"

namespace consort::logsaver {

/// A batch that must be there, with the hash of its manifest: "4f2a9c01d3b7e655-0-41=9c01...".
struct Head {
  std::string stream;
  BatchNumber number = 0;
  ManifestHash hash{};
};
Result<Head> parse_head(std::string_view text);

struct Problem {
  enum class Kind : std::uint8_t {
    missing,  ///< a batch is not there
    changed,  ///< its bytes, or its manifest, are not what they were
    gap,      ///< bytes of a followed file are in no batch
    twice,    ///< a batch, or bytes of a file, are there more than once
    unread,   ///< it could not be looked at
  };
  Kind kind = Kind::missing;
  std::string where;  ///< an object, or a stream
  std::string text;
};
std::string_view to_string(Problem::Kind kind);

struct StreamReport {
  std::string id;
  std::string noun;  ///< "objects", "batches"
  std::uint64_t count = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t stored = 0;
  std::size_t files = 0;
  BatchNumber first = 0;
  BatchNumber last = 0;
  ManifestHash head{};  ///< of the last one
  std::uint64_t problems = 0;
};

struct Report {
  std::vector<StreamReport> streams;
  std::vector<Problem> problems;  ///< at most Checker::kProblemsMax
  std::uint64_t problems_total = 0;
  std::vector<std::string> notes;
  std::uint64_t foreign = 0;
  std::string first_foreign;
  /// Something was there to be proved, and it is.
  bool is_complete() const { return problems_total == 0 && !streams.empty(); }
};

class Checker {
 public:
  static constexpr std::size_t kProblemsMax = 1000;
  static constexpr std::size_t kNotesMax = 1000;

  struct Rules {
    bool from_start = false;  ///< a stream must begin with batch 1
    std::vector<Head> heads;
  };
  struct Saved {
    std::string name;  ///< for people: its key, or its place in a file
    Manifest manifest;
    ManifestHash hash{};  ///< of the manifest's text
    bool is_object = true;
  };

  explicit Checker(Rules rules) : rules_(std::move(rules)) {}

  void add(Saved saved);
  /// Of a batch that is (or was) added too, or of something whose manifest cannot be read; of no
  /// stream when that is empty.
  void damaged(Problem::Kind kind, std::string where, std::string text, std::string_view stream);
  void foreign(std::string_view name);
  void note(std::string text);
  /// Once.
  Report finish();

 private:
  struct Source {
    std::uint32_t tail = 0;  ///< in names_
    std::uint32_t file = 0;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  struct Entry {
    BatchNumber number = 0;
    std::string name;
    ManifestHash prev{};
    ManifestHash hash{};
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t stored = 0;
    std::vector<Source> sources;
    bool has_more = false;
    bool is_rebuilt = false;
    bool is_object = true;
  };
  struct Stream {
    std::vector<Entry> entries;
    std::uint64_t problems = 0;
  };
  /// How far a tail has come, in a walk along a stream.
  struct Reached {
    std::uint64_t to = 0;
    BatchNumber number = 0;
  };
  struct Walk;

  std::uint32_t name_index(const std::string& name);
  StreamReport check(const std::string& id, Stream& stream);
  void check_link(Walk& walk, std::size_t at);
  void check_sources(Walk& walk, const Entry& entry);
  void check_heads();
  Problem* problem(Problem::Kind kind, std::string where, std::string text, Stream* stream);

  const Rules rules_;
  std::map<std::string, Stream, std::less<>> streams_;
  std::map<std::string, std::uint32_t, std::less<>> name_indexes_;
  std::vector<std::string> names_;
  Report report_;
};

}  // namespace consort::logsaver
