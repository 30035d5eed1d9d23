// Which shards a request goes to: all, the one that holds a key, those whose range or tags fit, or
// those that the request names.
//
//   request names shards?  --yes--> exactly those; a name that is unknown is an error
//        | no
//   all                             every shard
//   key:header:X-User               hash of the value --Placement--> one shard
//   range:ts                        ?ts=5, ?ts=0-99: shards whose range of `ts` meets the value
//   range:ts:header:X-Time          the same from a header
//   tags:zone=a,tier=hot            shards that have every one of these tags
//   tags:header:X-Tags              the same, said by the request
//
// A value comes from header:NAME, query:NAME, path:N (the N-th segment, from 1) or body:POINTER
// (RFC 6901; a string, a number or true/false). Nothing matched is an empty list and no error.
//
// Keys are placed as shard-proxy places them: the same hashes and distributions, with the shards'
// ids for names and equal weights (a shard that grows must not move keys).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/options.hpp"
#include "net/key_hash.hpp"
#include "net/placement.hpp"
#include "roles/gather/topology.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {

/// Where a request has the value.
struct ValueSource {
  enum class Kind : std::uint8_t { header, query, path, body };

  Kind kind = Kind::query;
  std::string name;           ///< of a header (lower case) or a query parameter
  std::uint32_t segment = 0;  ///< of the path, from 1
  JsonPointer pointer;        ///< into the body

  /// "header:NAME", "query:NAME", "path:N", "body:POINTER".
  static Result<ValueSource> parse(std::string_view text);
  std::string to_string() const;
};

using Tags = std::vector<std::pair<std::string, std::string>>;
/// "zone=a,tier=hot"; all of them must fit. At least one, at most 32.
Result<Tags> parse_tags(std::string_view text);

/// What a request without the value gets.
enum class OnMissing : std::uint8_t { error, all };

struct SelectSpec {
  enum class Mode : std::uint8_t { all, key, range, tags };

  Mode mode = Mode::all;
  std::optional<ValueSource> from;  ///< none: mode all, or fixed tags
  std::string field;                ///< mode range: of the shards' ranges
  Tags tags;                        ///< mode tags, when fixed
  OnMissing on_missing = OnMissing::error;
  Distribution distribution = Distribution::jump;
  KeyHash hash = KeyHash::murmur;
  std::string hash_tag;  ///< empty or two characters, as of shard-proxy
  /// Where a request may name its shards ("s1,s7"), whatever the mode; empty for nowhere.
  std::string named_query = "shards";
  std::string named_header = "consort-shards-wanted";  ///< lower case

  /// The forms above; the other members keep their defaults. An error is one sentence.
  static Result<SelectSpec> parse(std::string_view text);
  /// Mode and source, as parse reads them.
  std::string to_string() const;
  /// What the options beside it may get wrong: a hash tag that is not two characters, distribution
  /// random (a key must have one place), a source of named shards that is no name.
  Result<> check() const;
};

/// What of a request counts. Views: they live as long as the call.
struct SelectInput {
  std::string_view path;   ///< as sent, before '?'; segments are decoded here
  std::string_view query;  ///< as sent, after '?'
  const std::vector<std::pair<std::string, std::string>>* headers = nullptr;  ///< lower-case names
  std::string_view body;
};

/// One rule for one topology, with its placement and index built once. Immutable; any thread.
///
/// Cost of select: mode all copies a list; key hashes and places (placement.hpp), and reads the
/// body once when the key is in it; range and tags are linear in shards.
class ShardSelector {
 public:
  /// spec.check() has passed.
  ShardSelector(std::shared_ptr<const Topology> topology, SelectSpec spec);

  /// Indexes into topology().shards, ascending, each once. An error is for the client (400): its
  /// text says what the request lacks.
  Result<std::vector<std::uint32_t>> select(const SelectInput& input) const;

  const Topology& topology() const { return *topology_; }
  const SelectSpec& spec() const { return spec_; }

 private:
  std::vector<std::uint32_t> all() const;
  std::optional<std::uint32_t> index_of(std::string_view id) const;
  Result<std::vector<std::uint32_t>> named(std::string_view ids) const;
  Result<std::vector<std::uint32_t>> chosen_by(std::string_view value) const;
  Result<std::vector<std::uint32_t>> in_range(std::string_view value) const;
  std::vector<std::uint32_t> tagged(const Tags& tags) const;

  std::shared_ptr<const Topology> topology_;
  SelectSpec spec_;
  std::vector<std::uint32_t> by_id_;  ///< indexes, sorted by the shards' ids
  std::optional<Placement> placement_;
};

}  // namespace consort::gather

namespace consort {
template <>
struct Choices<gather::OnMissing> {
  static constexpr std::string_view names[] = {"error", "all"};
};
template <>
struct Text<gather::SelectSpec> : PlainText<gather::SelectSpec> {
  static constexpr std::string_view kind = "selection";
  static Result<gather::SelectSpec> parse(std::string_view text) {
    return gather::SelectSpec::parse(text);
  }
  static std::string print(const gather::SelectSpec& spec) { return spec.to_string(); }
};
}  // namespace consort
