#include "roles/gather/merge/deep.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "roles/gather/merge/columns.hpp"
#include "roles/gather/merge/parts.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

std::string with_room_for(std::span<const std::string_view> values) {
  std::size_t bytes = 0;
  for (std::string_view value : values) bytes += value.size() + 1;
  std::string out;
  out.reserve(bytes);
  return out;
}

void append_key(std::string& out, std::string_view raw_key) {
  out += '"';
  out += raw_key;
  out += "\":";
}

/// What stands between the brackets of an array, without white space around it.
std::string_view inside(std::string_view array) {
  constexpr std::string_view kBlanks = " \t\r\n";
  if (array.size() < 2) return {};
  array = array.substr(1, array.size() - 2);
  const std::size_t first = array.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return array.substr(first, array.find_last_not_of(kBlanks) - first + 1);
}

void append_joined(std::string& out, std::span<const std::string_view> arrays) {
  out += '[';
  bool is_first = true;
  for (std::string_view array : arrays) {
    const std::string_view elements = inside(array);
    if (elements.empty()) continue;
    if (!is_first) out += ',';
    is_first = false;
    out += elements;
  }
  out += ']';
}

/// Laying one value after the other over what is there gives a value of the kind of the last, made
/// of those at the end of the row that are of this kind: whatever is before them was replaced.
void append_deep(std::string& out, std::span<const std::string_view> values, std::size_t depth) {
  const JsonKind kind = json_kind(values.back());
  std::size_t first = values.size() - 1;
  while (first > 0 && json_kind(values[first - 1]) == kind) --first;
  values = values.subspan(first);
  const bool is_container = kind == JsonKind::object || kind == JsonKind::array;
  if (!is_container || values.size() == 1 || depth == kMergeDepthMax) {
    out += values.back();
    return;
  }
  if (kind == JsonKind::array) {
    append_joined(out, values);
    return;
  }
  out += '{';
  bool is_first = true;
  const Columns columns = columns_of(values);
  for (const Column& column : columns.list) {
    if (!is_first) out += ',';
    is_first = false;
    append_key(out, column.raw_key);
    append_deep(out, column.values, depth + 1);
  }
  out += '}';
}

void append_patched(std::string& out, std::optional<std::string_view> target,
                    std::span<const std::string_view> patches, std::size_t depth);

/// The patches of one member, with the target's value in front when it has one. Whatever stands
/// before the last null has been taken away with it.
void append_member(std::string& out, const Column& column, bool has_target, std::size_t depth) {
  std::span<const std::string_view> patches = column.values;
  std::optional<std::string_view> target;
  if (has_target) {
    target = patches.front();
    patches = patches.subspan(1);
  }
  for (std::size_t i = patches.size(); i > 0; --i) {
    if (json_kind(patches[i - 1]) != JsonKind::null) continue;
    patches = patches.subspan(i);
    target.reset();
    break;
  }
  if (!target && patches.empty()) return;
  if (out.back() != '{') out += ',';
  append_key(out, column.raw_key);
  append_patched(out, target, patches, depth);
}

/// RFC 7396 section 2, all patches at once: a patch that is no object replaces what was before it;
/// objects change an object, which begins empty when the target is none.
void append_patched(std::string& out, std::optional<std::string_view> target,
                    std::span<const std::string_view> patches, std::size_t depth) {
  for (std::size_t i = patches.size(); i > 0; --i) {
    if (json_kind(patches[i - 1]) == JsonKind::object) continue;
    target = patches[i - 1];
    patches = patches.subspan(i);
    break;
  }
  if (patches.empty() || depth == kMergeDepthMax) {
    out += patches.empty() ? *target : patches.back();
    return;
  }
  Values objects(patches.begin(), patches.end());
  const bool target_counts = target && json_kind(*target) == JsonKind::object;
  if (target_counts) objects.insert(objects.begin(), *target);
  out += '{';
  const Columns columns = columns_of(objects);
  for (const Column& column : columns.list) {
    append_member(out, column, target_counts && column.first_part == 0, depth + 1);
  }
  out += '}';
}

class Layers final : public Merge {
 public:
  using Function = std::string (*)(std::span<const std::string_view> values);

  Layers(Function function, bool validate, std::uint32_t width)
      : parts_(width), function_(function), validate_(validate) {}

  Result<> feed(PartBody part) override { return parts_.keep_json(std::move(part), validate_); }
  MergedBody finish() override {
    const Values values = parts_.values();
    return {"application/json", values.empty() ? "{}" : function_(values)};
  }
  std::size_t held_bytes() const override { return parts_.held_bytes(); }

 private:
  PartList parts_;
  const Function function_;
  const bool validate_;
};

}  // namespace

std::string merge_deep(std::span<const std::string_view> values) {
  std::string out = with_room_for(values);
  append_deep(out, values, 0);
  return out;
}

std::string merge_patches(std::span<const std::string_view> values) {
  std::string out = with_room_for(values);
  append_patched(out, values.front(), values.subspan(1), 0);
  return out;
}

std::unique_ptr<Merge> make_deep(bool validate, std::uint32_t width) {
  return std::make_unique<Layers>(merge_deep, validate, width);
}

std::unique_ptr<Merge> make_json_merge_patch(bool validate, std::uint32_t width) {
  return std::make_unique<Layers>(merge_patches, validate, width);
}

}  // namespace consort::gather
