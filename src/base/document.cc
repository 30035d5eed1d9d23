#include "base/document.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "base/json.hpp"
#include "base/json_writer.hpp"
#include "base/options.hpp"
#include "base/yaml.hpp"

namespace consort {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool looks_like_json(std::string_view text) {
  std::size_t start = text.find_first_not_of(" \t\r\n");
  return start != text.npos && (text[start] == '{' || text[start] == '[');
}

/// U+0085, U+2028 and U+2029 are text in JSON, but line ends in YAML 1.1, which folds them.
bool has_unicode_line_ends(std::string_view text) {
  return text.find("\u0085") != text.npos || text.find("\u2028") != text.npos ||
         text.find("\u2029") != text.npos;
}

/// The four hexadecimal digits at the front of text, which strict JSON guarantees.
std::uint32_t hex4(std::string_view text) {
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + 4, value, 16);
  return value;
}

/// YAML has no surrogate pairs, but \U with eight digits says the same: "\ud83d\ude00" becomes
/// "\U0001f600", two characters shorter. As many blanks follow the closing quote, so that all
/// places stay true. json must be strict JSON: there, every backslash is inside a string.
std::string without_surrogates(std::string_view json) {
  constexpr std::size_t kPair = std::string_view("\\ud83d\\ude00").size();
  std::string out;
  out.reserve(json.size());
  bool in_string = false;
  std::size_t owed_blanks = 0;
  for (std::size_t i = 0; i < json.size();) {
    if (json[i] == '\\') {
      bool is_pair = json[i + 1] == 'u' && (hex4(json.substr(i + 2)) & 0xFC00) == 0xD800;
      if (!is_pair) {
        out.append(json.substr(i, 2));
        i += 2;
        continue;
      }
      std::uint32_t high = hex4(json.substr(i + 2)) & 0x3FF;
      std::uint32_t low = hex4(json.substr(i + 8)) & 0x3FF;
      std::uint32_t code = 0x10000 + (high << 10) + low;
      out += "\\U00";
      for (int shift = 20; shift >= 0; shift -= 4) out += "0123456789abcdef"[(code >> shift) & 0xF];
      i += kPair;
      owed_blanks += 2;
      continue;
    }
    out += json[i];
    if (json[i] == '"') {
      in_string = !in_string;
      if (!in_string) out.append(std::exchange(owed_blanks, 0), ' ');
    }
    ++i;
  }
  return out;
}

/// JSON that libyaml does not take or would change; nullopt when the text is not JSON.
std::optional<YamlTree> read_as_json(std::string_view text) {
  if (!looks_like_json(text) || !is_json(text)) return std::nullopt;
  if (!has_unicode_line_ends(text)) {
    YamlTree with_places = read_yaml(without_surrogates(text));
    if (with_places.is_yaml) return with_places;
  }
  // What is left, such as a key of more than 1024 characters, is read without places.
  YamlTree tree;
  auto strict = read_json(text);
  if (strict) {
    tree.root = std::move(*strict);
  } else {
    tree.faults.push_back({{.line = 1, .column = 1}, strict.error().message()});
  }
  return tree;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view skip_digits(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  return text.substr(digits);
}

/// RFC 8259 section 6, for numbers that a double can hold: readers refuse the others.
bool is_json_number(std::string_view text) {
  std::string_view rest = text.substr(text.starts_with('-') ? 1 : 0);
  std::string_view after = skip_digits(rest);
  std::size_t digits = rest.size() - after.size();
  if (digits == 0 || (digits > 1 && rest[0] == '0')) return false;
  if (after.starts_with('.')) {
    std::string_view fraction = after.substr(1);
    after = skip_digits(fraction);
    if (after.size() == fraction.size()) return false;
  }
  if (after.starts_with('e') || after.starts_with('E')) {
    std::string_view exponent = after.substr(1);
    if (exponent.starts_with('+') || exponent.starts_with('-')) exponent.remove_prefix(1);
    after = skip_digits(exponent);
    if (after.size() == exponent.size()) return false;
  }
  if (!after.empty()) return false;
  double value = 0;
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{};
}

bool is_bare(const Node& scalar) {
  const std::string& text = scalar.scalar;
  return !scalar.quoted &&
         (text == "true" || text == "false" || text == "null" || is_json_number(text));
}

/// Recursive; the readers bound the depth.
void write(JsonWriter& json, const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      json.null();
      return;
    case Node::Kind::scalar:
      if (is_bare(node)) {
        json.raw(node.scalar);
      } else {
        json.value(node.scalar);
      }
      return;
    case Node::Kind::list:
      json.begin_array();
      for (const Node& item : node.items) write(json, item);
      json.end_array();
      return;
    case Node::Kind::map:
      json.begin_object();
      for (const auto& [key, value] : node.members) {
        json.key(key.scalar);
        write(json, value);
      }
      json.end_object();
      return;
  }
}

void add_problem(std::vector<std::string>& list, const std::string& source, Place place,
                 std::string text) {
  if (list.size() > Problems::kMaxEach) return;
  if (list.size() == Problems::kMaxEach) {
    list.emplace_back("and more that are not shown");
    return;
  }
  if (place.line == 0) {
    list.push_back(std::move(text));
    return;
  }
  std::string line = source;
  if (!line.empty()) line += ':';
  line.append(std::to_string(place.line)).append(":").append(std::to_string(place.column));
  list.push_back(line.append(": ").append(text));
}

}  // namespace

Node read_document(std::string_view text, Problems& problems) {
  Node empty{.kind = Node::Kind::map, .place = {.line = 1, .column = 1}};
  if (text.size() > kMaxDocumentBytes) {
    problems.error(Place{.line = 1, .column = 1},
                   "the file is larger than " + Text<ByteSize>::print({kMaxDocumentBytes}));
    return empty;
  }
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  YamlTree tree = read_yaml(text);
  if (!tree.is_yaml || has_unicode_line_ends(text)) {
    if (auto json = read_as_json(text)) tree = std::move(*json);
  }
  for (Fault& fault : tree.faults) problems.error(fault.place, std::move(fault.text));
  if (!tree.faults.empty() || tree.root.kind == Node::Kind::null) return empty;
  return std::move(tree.root);
}

std::string to_json(const Node& node, int indent) {
  JsonWriter json(indent);
  write(json, node);
  return json.take();
}

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name.scalar == key) return &value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) {
  return const_cast<Node*>(std::as_const(*this).find(key));
}

void Problems::error(Place place, std::string text) {
  add_problem(errors_, source_, place, std::move(text));
}

void Problems::warn(Place place, std::string text) {
  add_problem(warnings_, source_, place, std::move(text));
}

}  // namespace consort
