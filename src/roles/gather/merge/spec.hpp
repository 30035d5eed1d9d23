// Which built-in merge a route has, and its parameters: the text of --merge and of `merge` in a
// file, read, printed and made into a Merge.
//
//   concat[:SEPARATOR]     the bodies one after the other; \n \r \t \\ in SEPARATOR are read
//   array                  [BODY,..] in shard order, the bytes as they came
//   object                 {"SHARD":BODY,..}
//   ndjson                 one line per body; a body of application/x-ndjson gives all its lines
//   deep                   objects merge by key, arrays are joined, of the rest the last shard wins
//   json-merge-patch       RFC 7396: each body patches those of the shards before it
//   sum|min|max|avg|count[:POINTER]         numbers at equal places, or only the value at POINTER
//   top-k[:KEY][:K][:asc]                   the K best elements of all lists
//   sorted[:KEY][:desc]                     all elements of all lists
//   union[:KEY]                             the elements of all lists, each KEY once
//   first                  the answer that came first
//   quorum[:POINTER]       the answer, or the value in it, that more than half of the leaves give
//
// KEY and POINTER are JSON pointers (RFC 6901); a bare name is one too: "score" is "/score".
// Further fields are NAME=VALUE: items=POINTER (where in each body the list is), dedup=POINTER,
// k-max=N, k-query=NAME (the query parameter that sets K), validate=no. A colon within a field is
// written \:
//
//   top-k:score:20:items=/hits:dedup=/id:k-query=size
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "roles/gather/merge/merge.hpp"

namespace consort::gather {

enum class MergeKind : std::uint8_t {
  concat,
  array,
  object,
  ndjson,
  deep,
  json_merge_patch,
  sum,
  min,
  max,
  avg,
  count,
  top_k,
  sorted,
  union_,
  first,
  quorum,
};

/// The name in configurations: "json-merge-patch", "union".
std::string_view to_string(MergeKind kind);

struct MergeSpec {
  static constexpr std::uint32_t kHighestK = 1'000'000;

  MergeKind kind = MergeKind::array;
  std::string separator;  ///< concat
  // JSON pointers as text; empty: the whole body or element.
  std::string items;    ///< top-k, sorted, union: the list within each body
  std::string key;      ///< top-k, sorted: by what; union: what makes elements the same
  std::string dedup;    ///< top-k: of elements that agree here only the best stays; empty: all stay
  std::string pointer;  ///< sum and its kin, quorum: the value that counts
  bool descending = false;       ///< parse() sets it for top-k, whose best are the highest
  std::uint32_t k_default = 10;  ///< top-k
  std::uint32_t k_max = 10'000;  ///< top-k; what the query asks beyond is cut to this
  std::string k_query;           ///< query parameter that sets k; empty: none
  /// Whether bodies must be JSON (RFC 8259), or their leaf has failed. Off, only quotes and
  /// brackets are followed: for leaves that are trusted, or the answer may be no JSON either.
  bool validate = true;

  /// The form above; one clear sentence when it is not.
  static Result<MergeSpec> parse(std::string_view text);
  /// After fields were set one by one: whether they make sense together.
  Result<> check() const;
  /// The shortest text that parse() reads back to the same.
  std::string to_string() const;

  friend bool operator==(const MergeSpec&, const MergeSpec&) = default;
};

/// `width` is the number of leaves that were asked; `k` is what top-k keeps (within k_max). The
/// spec is one that check() accepts.
std::unique_ptr<Merge> make_merge(const MergeSpec& spec, std::uint32_t width, std::uint32_t k);

}  // namespace consort::gather
