// From the text of a configuration to a merge: see spec.hpp.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "roles/gather/merge/deep.hpp"
#include "roles/gather/merge/joined.hpp"
#include "roles/gather/merge/numbers.hpp"
#include "roles/gather/merge/sorted.hpp"
#include "roles/gather/merge/spec.hpp"
#include "roles/gather/merge/top_k.hpp"
#include "roles/gather/merge/union.hpp"
#include "roles/gather/merge/vote.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {
namespace {

JsonPointer pointer_of(std::string_view text) {
  auto pointer = JsonPointer::parse(text);
  CHECK(pointer);  // MergeSpec::check() has accepted it
  return std::move(*pointer);
}

Fold fold_of(MergeKind kind) {
  switch (kind) {
    case MergeKind::min:
      return Fold::min;
    case MergeKind::max:
      return Fold::max;
    case MergeKind::avg:
      return Fold::avg;
    case MergeKind::count:
      return Fold::count;
    default:
      return Fold::sum;
  }
}

std::unique_ptr<Merge> make_list_merge(const MergeSpec& spec, std::uint32_t width,
                                       std::uint32_t k) {
  const JsonPointer items = pointer_of(spec.items);
  const JsonPointer key = pointer_of(spec.key);
  if (spec.kind == MergeKind::union_) {
    return make_union({.items = items, .key = key, .validate = spec.validate}, width);
  }
  if (spec.kind == MergeKind::sorted) {
    return make_sorted(
        {.items = items, .key = key, .descending = spec.descending, .validate = spec.validate},
        width);
  }
  TopKOptions options{.items = items,
                      .key = key,
                      .descending = spec.descending,
                      .k = std::min(k, spec.k_max),
                      .validate = spec.validate};
  if (!spec.dedup.empty()) options.dedup = pointer_of(spec.dedup);
  return make_top_k(options, width);
}

}  // namespace

std::unique_ptr<Merge> make_merge(const MergeSpec& spec, std::uint32_t width, std::uint32_t k) {
  switch (spec.kind) {
    case MergeKind::concat:
      return make_concat(spec.separator, width);
    case MergeKind::array:
      return make_array(spec.validate, width);
    case MergeKind::object:
      return make_object(spec.validate, width);
    case MergeKind::ndjson:
      return make_ndjson(spec.validate, width);
    case MergeKind::deep:
      return make_deep(spec.validate, width);
    case MergeKind::json_merge_patch:
      return make_json_merge_patch(spec.validate, width);
    case MergeKind::sum:
    case MergeKind::min:
    case MergeKind::max:
    case MergeKind::avg:
    case MergeKind::count:
      return make_numbers({.fold = fold_of(spec.kind),
                           .pointer = pointer_of(spec.pointer),
                           .validate = spec.validate},
                          width);
    case MergeKind::top_k:
    case MergeKind::sorted:
    case MergeKind::union_:
      return make_list_merge(spec, width, k);
    case MergeKind::first:
      return make_first(spec.validate);
    case MergeKind::quorum:
      return make_quorum({.pointer = pointer_of(spec.pointer), .validate = spec.validate}, width);
  }
  return nullptr;
}

}  // namespace consort::gather
