// How the values of gather-root's options read and print.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/options.hpp"
#include "roles/gather/hedge_policy.hpp"
#include "roles/gather/merge/spec.hpp"
#include "roles/gather/replica_choice.hpp"
#include "roles/gather/shard_select.hpp"
#include "roles/gather/topology_source.hpp"

namespace consort::gather {

/// "GET /search", "/search", "GET /api/*", "*": a method or any, and a path or its beginning.
struct RouteMatch {
  std::string method;  ///< empty: any
  std::string path = "/";
  bool is_prefix = true;

  static Result<RouteMatch> parse(std::string_view text);
  std::string to_string() const;
  /// HEAD is answered by what answers GET.
  bool takes(std::string_view request_method, std::string_view request_path) const;
};

/// How many answers a request waits for.
struct Mode {
  enum class Kind : std::uint8_t {
    all,
    first,     ///< the first good answer
    first_n,   ///< the first n good answers
    majority,  ///< more than half of the shards have answered well
    quorum,    ///< more than half of the shards have answered well and the same
  };
  Kind kind = Kind::all;
  std::uint32_t n = 1;  ///< of first_n

  static Result<Mode> parse(std::string_view text);
  std::string to_string() const;
};

/// What part of the time that is left the last shards get, once min_coverage is reached: "0.5:1" is
/// half of it for one missing shard, all of it for as many as may be missing. Vespa's is "0:1", by
/// which nearly every answer lacks its slowest shard; who sets min_coverage rarely means that.
struct WaitFactor {
  double least = 0.5;
  double most = 1;

  static Result<WaitFactor> parse(std::string_view text);
  std::string to_string() const;
};

enum class MergeFormat : std::uint8_t { json, ndjson, multipart };

/// The merge that stands in for an external one that fails; none unless given.
struct MergeFallback {
  std::optional<MergeSpec> spec;
};

/// --topology; nothing when the leaves are flags.
struct TopologyFrom {
  std::optional<TopologyOrigin> source;
};

}  // namespace consort::gather

namespace consort {

template <>
struct Choices<gather::MergeFormat> {
  static constexpr std::string_view names[] = {"json", "ndjson", "multipart"};
};

/// For types that read themselves: T::parse and to_string.
template <class T>
struct SelfText : PlainText<T> {
  static Result<T> parse(std::string_view text) { return T::parse(text); }
  static std::string print(const T& value) { return value.to_string(); }
};
template <>
struct Text<gather::RouteMatch> : SelfText<gather::RouteMatch> {
  static constexpr std::string_view kind = "match";
};
template <>
struct Text<gather::Mode> : SelfText<gather::Mode> {
  static constexpr std::string_view kind = "mode";
};
template <>
struct Text<gather::WaitFactor> : SelfText<gather::WaitFactor> {
  static constexpr std::string_view kind = "factors";
};
template <>
struct Text<gather::MergeSpec> : SelfText<gather::MergeSpec> {
  static constexpr std::string_view kind = "merge";
};
template <>
struct Text<gather::MergeFallback> : PlainText<gather::MergeFallback> {
  static constexpr std::string_view kind = "merge";
  static Result<gather::MergeFallback> parse(std::string_view text);
  static std::string print(const gather::MergeFallback& fallback) {
    return fallback.spec ? fallback.spec->to_string() : std::string();
  }
};
template <>
struct Text<gather::TopologyFrom> : PlainText<gather::TopologyFrom> {
  static constexpr std::string_view kind = "source";
  static Result<gather::TopologyFrom> parse(std::string_view text);
  static std::string print(const gather::TopologyFrom& from) {
    return from.source ? from.source->to_string() : std::string();
  }
};

}  // namespace consort
