#include "roles/gather/merge/parts.hpp"

#include <utility>

#include "base/text.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

std::string_view media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return type;
}

}  // namespace

bool is_json_type(std::string_view content_type) {
  constexpr std::string_view kSuffix = "+json";
  const std::string_view type = media_type(content_type);
  if (equals_ignoring_case(type, "application/json")) return true;
  return type.size() > kSuffix.size() &&
         equals_ignoring_case(type.substr(type.size() - kSuffix.size()), kSuffix);
}

bool is_ndjson_type(std::string_view content_type) {
  constexpr std::string_view kTypes[] = {"application/x-ndjson", "application/ndjson",
                                         "application/jsonl", "application/x-jsonlines",
                                         "application/jsonlines"};
  const std::string_view type = media_type(content_type);
  for (std::string_view each : kTypes) {
    if (equals_ignoring_case(type, each)) return true;
  }
  return false;
}

Result<std::string_view> json_value(std::string_view body, bool validate) {
  return validate ? check_json(body) : trim_json(body);
}

Result<> PartList::check_place(std::uint32_t index) const {
  if (index >= slots_.size()) {
    return fail(Errc::internal, "part " + std::to_string(index) + " of a merge of " +
                                    std::to_string(slots_.size()));
  }
  if (slots_[index].is_kept) {
    return fail(Errc::internal, "part " + std::to_string(index) + " came twice to a merge");
  }
  return {};
}

void PartList::keep(std::uint32_t index, std::string body) {
  Slot slot;
  slot.bytes = body.size();
  slot.body = std::move(body);
  put(index, std::move(slot));
}

Result<> PartList::keep_json(PartBody part, bool validate) {
  if (auto place = check_place(part.index); !place) return place;
  auto value = json_value(part.body, validate);
  if (!value) return fail(std::move(value.error()));
  Slot slot;
  slot.offset = static_cast<std::size_t>(value->data() - part.body.data());
  slot.bytes = value->size();
  slot.body = std::move(part.body);
  put(part.index, std::move(slot));
  return {};
}

void PartList::put(std::uint32_t index, Slot slot) {
  slot.is_kept = true;
  ++size_;
  value_bytes_ += slot.bytes;
  held_bytes_ += slot.body.capacity();
  slots_[index] = std::move(slot);
}

std::vector<std::string_view> PartList::values() const {
  std::vector<std::string_view> values;
  values.reserve(size_);
  for (const Slot& slot : slots_) {
    if (slot.is_kept) values.push_back(std::string_view(slot.body).substr(slot.offset, slot.bytes));
  }
  return values;
}

std::string PartList::join(const Frame& frame, std::span<const std::string> labels) {
  std::size_t bytes =
      frame.before.size() + frame.after.size() + value_bytes_ + size_ * frame.between.size();
  for (const std::string& label : labels) bytes += label.size();
  std::string out;
  out.reserve(bytes);
  out += frame.before;
  bool is_first = true;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].is_kept || (frame.skips_empty && slots_[i].bytes == 0)) continue;
    if (!is_first) out += frame.between;
    is_first = false;
    if (!labels.empty()) out += labels[i];
    out.append(slots_[i].body, slots_[i].offset, slots_[i].bytes);
    std::string().swap(slots_[i].body);
  }
  out += frame.after;
  slots_.clear();
  size_ = value_bytes_ = held_bytes_ = 0;
  return out;
}

}  // namespace consort::gather
