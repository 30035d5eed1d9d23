#include "roles/gather/merge/joined.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_writer.hpp"
#include "roles/gather/merge/parts.hpp"

namespace consort::gather {
namespace {

class Concat final : public Merge {
 public:
  Concat(std::string separator, std::uint32_t width)
      : parts_(width), separator_(std::move(separator)), first_index_(width) {}

  Result<> feed(PartBody part) override {
    if (auto place = parts_.check_place(part.index); !place) return place;
    if (part.index < first_index_) {
      first_index_ = part.index;
      content_type_ = part.content_type;
    }
    parts_.keep(part.index, std::move(part.body));
    return {};
  }
  MergedBody finish() override {
    return {std::move(content_type_),
            parts_.join({.before = "", .between = separator_, .after = ""})};
  }
  std::size_t held_bytes() const override { return parts_.held_bytes(); }

 private:
  PartList parts_;
  const std::string separator_;
  std::uint32_t first_index_;  ///< the lowest that was fed
  std::string content_type_;   ///< of that one
};

class Array final : public Merge {
 public:
  Array(bool validate, std::uint32_t width) : parts_(width), validate_(validate) {}

  Result<> feed(PartBody part) override { return parts_.keep_json(std::move(part), validate_); }
  MergedBody finish() override {
    return {"application/json", parts_.join({.before = "[", .between = ",", .after = "]"})};
  }
  std::size_t held_bytes() const override { return parts_.held_bytes(); }

 private:
  PartList parts_;
  const bool validate_;
};

class Object final : public Merge {
 public:
  Object(bool validate, std::uint32_t width) : parts_(width), labels_(width), validate_(validate) {}

  Result<> feed(PartBody part) override {
    const std::uint32_t index = part.index;
    std::string label;
    append_json_string(label, part.shard);
    label += ':';
    if (auto kept = parts_.keep_json(std::move(part), validate_); !kept) return kept;
    labels_[index] = std::move(label);
    return {};
  }
  MergedBody finish() override {
    return {"application/json",
            parts_.join({.before = "{", .between = ",", .after = "}"}, labels_)};
  }
  std::size_t held_bytes() const override { return parts_.held_bytes(); }

 private:
  PartList parts_;
  std::vector<std::string> labels_;  ///< by index: "SHARD":
  const bool validate_;
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// Moves `piece`, which lies in body, down to `to`; returns where it ends there.
std::size_t move_down(std::string& body, std::size_t to, std::string_view piece) {
  std::memmove(body.data() + to, piece.data(), piece.size());
  return to + piece.size();
}

/// Where the next line break is, or the end.
std::size_t find_break(std::string_view text, std::size_t from) {
  const std::size_t newline = std::min(text.find('\n', from), text.size());
  const std::size_t carriage = text.substr(from, newline - from).find('\r');
  return carriage == std::string_view::npos ? newline : from + carriage;
}

/// One value becomes one line, in its own memory. A string cannot hold a raw line break (RFC 8259
/// section 7), so each stands between tokens, where white space may go.
Result<> make_line(std::string& body, bool validate) {
  auto value = json_value(body, validate);
  if (!value) return fail(std::move(value.error()));
  std::size_t end = 0;
  for (std::size_t at = 0; at < value->size();) {
    const std::size_t stop = find_break(*value, at);
    end = move_down(body, end, value->substr(at, stop - at));
    at = stop;
    while (at < value->size() && is_blank((*value)[at])) ++at;
  }
  body.resize(end);
  return {};
}

/// Each line checked and trimmed, empty ones dropped, in their own memory. A newline between lines
/// and none at the end, or the string would have to grow.
Result<> make_lines(std::string& body, bool validate) {
  const std::string_view text = body;
  std::size_t end = 0;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t newline = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, newline - at);
    at = newline + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto value = json_value(line, validate);
    if (!value) return fail(std::move(value.error()).in("line " + std::to_string(number)));
    // The line before ended with a newline too, so there is room for this one.
    if (end > 0) body[end++] = '\n';
    end = move_down(body, end, *value);
  }
  body.resize(end);
  return {};
}

class Ndjson final : public Merge {
 public:
  Ndjson(bool validate, std::uint32_t width) : parts_(width), validate_(validate) {}

  Result<> feed(PartBody part) override {
    if (auto place = parts_.check_place(part.index); !place) return place;
    auto made = is_ndjson_type(part.content_type) ? make_lines(part.body, validate_)
                                                  : make_line(part.body, validate_);
    if (!made) return made;
    parts_.keep(part.index, std::move(part.body));
    return {};
  }
  MergedBody finish() override {
    MergedBody answer{.content_type = "application/x-ndjson", .body = {}};
    if (parts_.value_bytes() == 0) return answer;
    answer.body = parts_.join({.before = "", .between = "\n", .after = "\n", .skips_empty = true});
    return answer;
  }
  std::size_t held_bytes() const override { return parts_.held_bytes(); }

 private:
  PartList parts_;
  const bool validate_;
};

}  // namespace

std::unique_ptr<Merge> make_concat(std::string separator, std::uint32_t width) {
  return std::make_unique<Concat>(std::move(separator), width);
}

std::unique_ptr<Merge> make_array(bool validate, std::uint32_t width) {
  return std::make_unique<Array>(validate, width);
}

std::unique_ptr<Merge> make_object(bool validate, std::uint32_t width) {
  return std::make_unique<Object>(validate, width);
}

std::unique_ptr<Merge> make_ndjson(bool validate, std::uint32_t width) {
  return std::make_unique<Ndjson>(validate, width);
}

}  // namespace consort::gather
