#include "roles/gather/merge/numbers.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roles/gather/merge/columns.hpp"
#include "roles/gather/merge/decimal_sum.hpp"
#include "roles/gather/merge/parts.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

/// Of at least one.
std::string fold_numbers(Fold fold, std::span<const std::string_view> numbers) {
  const auto is_less = [](std::string_view a, std::string_view b) {
    return compare_json(a, b) < 0;
  };
  const auto is_more = [](std::string_view a, std::string_view b) {
    return compare_json(a, b) > 0;
  };
  if (fold == Fold::count) return std::to_string(numbers.size());
  if (numbers.size() == 1) return std::string(numbers.front());
  if (fold == Fold::min) {
    return std::string(*std::min_element(numbers.begin(), numbers.end(), is_less));
  }
  if (fold == Fold::max) {
    return std::string(*std::min_element(numbers.begin(), numbers.end(), is_more));
  }
  DecimalSum sum;
  for (std::string_view number : numbers) sum.add(number);
  return fold == Fold::sum ? sum.text() : sum.mean(static_cast<std::uint32_t>(numbers.size()));
}

class Folding {
 public:
  Folding(Fold fold, std::string& out) : fold_(fold), out_(out) {}

  void append(std::span<const std::string_view> values, std::size_t depth) {
    const Values alike = of_one_kind(values);
    if (alike.empty()) {
      out_ += "null";
      return;
    }
    const JsonKind kind = json_kind(alike.front());
    // A value that has no other to meet passes as it is; only a count changes it all the same.
    const bool is_alone = alike.size() == 1 && fold_ != Fold::count;
    if (kind == JsonKind::number) {
      out_ += fold_numbers(fold_, alike);
    } else if (is_alone || depth == kMergeDepthMax) {
      out_ += alike.front();
    } else if (kind == JsonKind::object) {
      append_all(columns_of(alike), '{', '}', depth);
    } else if (kind == JsonKind::array) {
      append_all(rows_of(alike), '[', ']', depth);
    } else {
      out_ += alike.front();
    }
  }

 private:
  static Values of_one_kind(std::span<const std::string_view> values) {
    Values alike;
    for (std::string_view value : values) {
      const JsonKind kind = json_kind(value);
      if (kind == JsonKind::null) continue;
      if (alike.empty() || json_kind(alike.front()) == kind) alike.push_back(value);
    }
    return alike;
  }

  void append_all(const Columns& columns, char open, char close, std::size_t depth) {
    out_ += open;
    bool is_first = true;
    for (const Column& column : columns.list) {
      if (!is_first) out_ += ',';
      is_first = false;
      if (open == '{') {
        out_ += '"';
        out_ += column.raw_key;
        out_ += "\":";
      }
      append(column.values, depth + 1);
    }
    out_ += close;
  }

  const Fold fold_;
  std::string& out_;
};

class Numbers final : public Merge {
 public:
  Numbers(NumberOptions options, std::uint32_t width)
      : parts_(width), options_(std::move(options)) {}

  Result<> feed(PartBody part) override {
    if (options_.pointer.is_root()) return parts_.keep_json(std::move(part), options_.validate);
    if (auto place = parts_.check_place(part.index); !place) return place;
    auto value = json_value(part.body, options_.validate);
    if (!value) return fail(std::move(value.error()));
    auto found = options_.pointer.find(*value);
    if (!found) return fail(Errc::invalid, "the body has nothing at " + options_.pointer.text());
    parts_.keep(part.index, std::string(*found));
    return {};
  }

  MergedBody finish() override {
    if (parts_.size() == 0) return {"application/json", of_nothing()};
    std::string out;
    Folding(options_.fold, out).append(parts_.values(), 0);
    return {"application/json", std::move(out)};
  }

  std::size_t held_bytes() const override { return parts_.held_bytes(); }

 private:
  std::string of_nothing() const {
    if (options_.pointer.is_root()) return "{}";
    return options_.fold == Fold::sum || options_.fold == Fold::count ? "0" : "null";
  }

  PartList parts_;
  const NumberOptions options_;
};

}  // namespace

std::unique_ptr<Merge> make_numbers(NumberOptions options, std::uint32_t width) {
  return std::make_unique<Numbers>(std::move(options), width);
}

}  // namespace consort::gather
