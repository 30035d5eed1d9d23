#include "roles/gather/merge/spec.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/options.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {
namespace {

// In order of MergeKind.
constexpr std::string_view kNames[] = {
    "concat", "array", "object", "ndjson", "deep",  "json-merge-patch",
    "sum",    "min",   "max",    "avg",    "count", "top-k",
    "sorted", "union", "first",  "quorum"};

bool is_numeric(MergeKind kind) {
  return kind >= MergeKind::sum && kind <= MergeKind::count;
}
bool is_ordered(MergeKind kind) {
  return kind == MergeKind::top_k || kind == MergeKind::sorted;
}
bool has_items(MergeKind kind) {
  return is_ordered(kind) || kind == MergeKind::union_;
}
bool has_pointer(MergeKind kind) {
  return is_numeric(kind) || kind == MergeKind::quorum;
}

tl::unexpected<Error> refuse(std::string why) {
  return fail(Errc::invalid, std::move(why));
}

std::optional<MergeKind> kind_of(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<MergeKind>(i);
  }
  return std::nullopt;
}

std::string unknown_name(std::string_view name, std::span<const std::string_view> names,
                         std::string_view what) {
  std::string why = in_quotes(name) + " is " + std::string(what);
  if (std::string_view near = nearest(name, names); !near.empty()) {
    return why + " (did you mean " + in_quotes(near) + "?)";
  }
  std::string_view between = " (there are ";
  for (std::string_view each : names) {
    why.append(between).append(each);
    between = ", ";
  }
  return why + ")";
}

/// A separator is written as in C, for a shell gives no newline easily.
Result<std::string> read_separator(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    constexpr std::string_view kLetters = "nrt\\:";
    constexpr std::string_view kMeant = "\n\r\t\\:";
    ++i;
    std::size_t which = i < text.size() ? kLetters.find(text[i]) : std::string_view::npos;
    if (which == std::string_view::npos) {
      return refuse("the separator " + in_quotes(text) +
                    " has a \\ before something else than n, r, t or \\");
    }
    out += kMeant[which];
  }
  return out;
}

std::string print_separator(std::string_view separator) {
  std::string out;
  for (char c : separator) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      if (c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

/// The fields between colons; a \ takes the character after it as it is.
std::vector<std::string> split_fields(std::string_view text) {
  std::vector<std::string> fields(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':') {
      fields.emplace_back();
    } else {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      fields.back() += text[i];
    }
  }
  return fields;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(":").append(name);
  for (char c : value) {
    if (c == ':' || c == '\\') out += '\\';
    out += c;
  }
}

bool parse_number(std::string_view text, std::uint32_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Result<> set_number(std::uint32_t& into, std::string_view name, std::string_view value) {
  if (parse_number(value, into)) return {};
  return refuse(std::string(name) + " must be a number from 1 to " +
                std::to_string(MergeSpec::kHighestK) + ", not " + in_quotes(value));
}

/// As RFC 6901 writes it, so that equal specs are equal texts.
Result<> set_pointer(std::string& into, std::string_view name, std::string_view value) {
  auto pointer = JsonPointer::parse(value);
  if (!pointer) return fail(std::move(pointer.error()).in(name));
  into = pointer->text();
  return {};
}

Result<> set_named(MergeSpec& spec, std::string_view name, std::string_view value) {
  if (name == "items") return set_pointer(spec.items, name, value);
  if (name == "key") return set_pointer(spec.key, name, value);
  if (name == "dedup") return set_pointer(spec.dedup, name, value);
  if (name == "pointer") return set_pointer(spec.pointer, name, value);
  if (name == "k") return set_number(spec.k_default, name, value);
  if (name == "k-max") return set_number(spec.k_max, name, value);
  if (name == "k-query") {
    spec.k_query = value;
    return {};
  }
  if (name == "validate") {
    if (value != "yes" && value != "no" && value != "true" && value != "false") {
      return refuse("validate must be yes or no, not " + in_quotes(value));
    }
    spec.validate = value == "yes" || value == "true";
    return {};
  }
  constexpr std::string_view kFields[] = {"items", "key",   "dedup",   "pointer",
                                          "k",     "k-max", "k-query", "validate"};
  return refuse(unknown_name(name, kFields, "no field of a merge"));
}

/// What stands without a name: a direction, a number, a pointer.
Result<> set_bare(MergeSpec& spec, std::string_view field) {
  if (is_ordered(spec.kind) && (field == "asc" || field == "desc")) {
    spec.descending = field == "desc";
    return {};
  }
  if (spec.kind == MergeKind::top_k &&
      field.find_first_not_of("0123456789") == std::string_view::npos) {
    return set_number(spec.k_default, "K", field);
  }
  const std::string name(to_string(spec.kind));
  if (!has_items(spec.kind) && !has_pointer(spec.kind)) {
    return refuse(name + " has no parameters, so " + in_quotes(field) + " means nothing");
  }
  const bool is_key = has_items(spec.kind);
  std::string& into = is_key ? spec.key : spec.pointer;
  if (!into.empty()) {
    return refuse(name + " has one " + (is_key ? "key" : "pointer") + ", so " + in_quotes(field) +
                  " after " + in_quotes(into) + " means nothing");
  }
  return set_pointer(into, is_key ? "key" : "pointer", field);
}

Result<> set_field(MergeSpec& spec, std::string_view field) {
  if (field.empty()) return {};
  const std::size_t equals = field.find('=');
  if (equals == std::string_view::npos || field.front() == '/') return set_bare(spec, field);
  return set_named(spec, field.substr(0, equals), field.substr(equals + 1));
}

Result<> check_pointer(std::string_view name, std::string_view text, bool allowed, MergeKind kind) {
  if (text.empty()) return {};
  if (!allowed) return refuse(std::string(to_string(kind)) + " has no " + std::string(name));
  auto pointer = JsonPointer::parse(text);
  if (!pointer) return fail(std::move(pointer.error()).in(name));
  return {};
}

}  // namespace

std::string_view to_string(MergeKind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

Result<MergeSpec> MergeSpec::parse(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name = text.substr(0, colon);
  std::optional<MergeKind> kind = kind_of(name);
  if (!kind) return refuse(unknown_name(name, kNames, "no merge"));
  MergeSpec spec;
  spec.kind = *kind;
  spec.descending = *kind == MergeKind::top_k;
  if (colon < text.size()) {
    const std::string_view rest = text.substr(colon + 1);
    if (*kind == MergeKind::concat) {
      auto separator = read_separator(rest);
      if (!separator) return fail(std::move(separator.error()));
      spec.separator = std::move(*separator);
    } else {
      for (const std::string& field : split_fields(rest)) {
        if (auto set = set_field(spec, field); !set) return fail(std::move(set.error()));
      }
    }
  }
  if (auto checked = spec.check(); !checked) return fail(std::move(checked.error()));
  return spec;
}

Result<> MergeSpec::check() const {
  const struct {
    std::string_view name;
    const std::string& text;
    bool allowed;
  } pointers[] = {{"items", items, has_items(kind)},
                  {"key", key, has_items(kind)},
                  {"dedup", dedup, kind == MergeKind::top_k},
                  {"pointer", pointer, has_pointer(kind)}};
  for (const auto& each : pointers) {
    auto checked = check_pointer(each.name, each.text, each.allowed, kind);
    if (!checked) return checked;
  }
  const std::string name(gather::to_string(kind));
  if (!separator.empty() && kind != MergeKind::concat) return refuse(name + " has no separator");
  const MergeSpec defaults;
  if (kind != MergeKind::top_k) {
    if (k_default == defaults.k_default && k_max == defaults.k_max && k_query.empty()) return {};
    return refuse(name + " has no k");
  }
  if (k_max < 1 || k_max > kHighestK) {
    return refuse("k-max must be a number from 1 to " + std::to_string(kHighestK) + ", not " +
                  std::to_string(k_max));
  }
  if (k_default >= 1 && k_default <= k_max) return {};
  return refuse("k must be a number from 1 to k-max (" + std::to_string(k_max) + "), not " +
                std::to_string(k_default));
}

std::string MergeSpec::to_string() const {
  std::string out(gather::to_string(kind));
  if (kind == MergeKind::concat) {
    return separator.empty() ? out : out + ":" + print_separator(separator);
  }
  const std::string& bare = has_items(kind) ? key : pointer;
  // parse() may have left out the slash, and so may whoever set the field.
  if (!bare.empty()) append_field(out, bare.front() == '/' ? "" : "/", bare);
  const MergeSpec defaults;
  if (k_default != defaults.k_default) append_field(out, "", std::to_string(k_default));
  if (is_ordered(kind) && descending != (kind == MergeKind::top_k)) {
    append_field(out, descending ? "desc" : "asc", "");
  }
  if (!items.empty()) append_field(out, "items=", items);
  if (!dedup.empty()) append_field(out, "dedup=", dedup);
  if (k_max != defaults.k_max) append_field(out, "k-max=", std::to_string(k_max));
  if (!k_query.empty()) append_field(out, "k-query=", k_query);
  if (!validate) append_field(out, "validate=no", "");
  return out;
}

}  // namespace consort::gather
