#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/json_writer.hpp"
#include "wire/json_scan.hpp"
#include "wire/json_scan_number.hpp"

namespace consort {

namespace {

void append_value(std::string& out, std::string_view value, std::size_t depth);

void append_array(std::string& out, std::string_view array, std::size_t depth) {
  JsonArrayReader elements(array);
  out += '[';
  for (std::string_view element; elements.next(element);) {
    append_value(out, element, depth);
    out += ',';
  }
  out += ']';
}

void append_object(std::string& out, std::string_view object, std::size_t depth) {
  std::vector<std::pair<std::string, std::string_view>> members;
  JsonObjectReader reader(object);
  std::string_view key;
  for (std::string_view value; reader.next(key, value);) {
    members.emplace_back(unescape_json_string(key), value);
  }
  // By name, members of one name by their position in the text.
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
    const int order = a.first.compare(b.first);
    return order != 0 ? order < 0 : a.second.data() < b.second.data();
  });
  out += '{';
  for (const auto& [name, value] : members) {
    append_json_string(out, name);
    out += ':';
    append_value(out, value, depth);
    out += ',';
  }
  out += '}';
}

// Recursion, but of kMaxCanonicalDepth at most.
void append_value(std::string& out, std::string_view value, std::size_t depth) {
  const JsonKind kind = json_kind(value);
  if (kind == JsonKind::number) {
    append_canonical_number(out, value);
  } else if (kind == JsonKind::string && value.size() >= 2) {
    append_json_string(out, unescape_json_string(value.substr(1, value.size() - 2)));
  } else if (kind == JsonKind::array && depth < kMaxCanonicalDepth) {
    append_array(out, value, depth + 1);
  } else if (kind == JsonKind::object && depth < kMaxCanonicalDepth) {
    append_object(out, value, depth + 1);
  } else {
    out += value;
  }
}

}  // namespace

std::string canonical_json(std::string_view value) {
  std::string out;
  append_value(out, value, 0);
  return out;
}

}  // namespace consort
