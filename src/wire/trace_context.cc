#include "wire/trace_context.hpp"

#include <algorithm>
#include <span>

#include "wire/http1_text.hpp"

namespace consort {
namespace {

constexpr std::size_t kTraceparentBytes = 55;  // 2 + 1 + 32 + 1 + 16 + 1 + 2
constexpr std::string_view kHexDigits = "0123456789abcdef";

bool is_hex(std::string_view text) {
  return text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

/// Fills with random digits, not all of them 0. The length is a multiple of 16.
void make_id(std::span<char> id, Random& random) {
  for (std::size_t at = 0; at < id.size(); at += 16) {
    std::uint64_t bits = 0;
    while (bits == 0) bits = random.next();
    for (std::size_t i = at; i < at + 16; ++i) {
      id[i] = kHexDigits[bits & 0xf];
      bits >>= 4;
    }
  }
}

bool is_state_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' ||
         c == '/';
}

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

/// Section 3.3.1.3.1: "rojo", or "tenant@system" for systems with many tenants.
bool is_state_key(std::string_view key) {
  const std::size_t mark = key.find('@');
  if (mark == std::string_view::npos) {
    return !key.empty() && key.size() <= 256 && is_letter(key.front()) &&
           std::all_of(key.begin(), key.end(), is_state_key_char);
  }
  const std::string_view tenant = key.substr(0, mark);
  const std::string_view system = key.substr(mark + 1);
  return !tenant.empty() && tenant.size() <= 241 && !system.empty() && system.size() <= 14 &&
         (is_letter(tenant.front()) || (tenant.front() >= '0' && tenant.front() <= '9')) &&
         is_letter(system.front()) &&
         std::all_of(tenant.begin(), tenant.end(), is_state_key_char) &&
         std::all_of(system.begin(), system.end(), is_state_key_char);
}

/// Section 3.3.1.3.2. Blanks around it are the list's, so it never ends in one.
bool is_state_value(std::string_view value) {
  return !value.empty() && value.size() <= 256 &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= 0x20 && c < 0x7f && c != ',' && c != '='; });
}

}  // namespace

std::optional<TraceParent> TraceParent::parse(std::string_view value) {
  if (value.size() < kTraceparentBytes) return std::nullopt;
  const std::string_view version = value.substr(0, 2);
  const std::string_view trace_id = value.substr(3, 32);
  const std::string_view parent_id = value.substr(36, 16);
  const std::string_view flags = value.substr(53, 2);
  const bool has_marks = value[2] == '-' && value[35] == '-' && value[52] == '-';
  if (!has_marks || !is_hex(version) || version == "ff" || !is_id(trace_id) || !is_id(parent_id) ||
      !is_hex(flags)) {
    return std::nullopt;
  }
  if (value.size() > kTraceparentBytes && (version == "00" || value[kTraceparentBytes] != '-')) {
    return std::nullopt;
  }
  TraceParent out;
  std::copy(trace_id.begin(), trace_id.end(), out.trace_id.begin());
  std::copy(parent_id.begin(), parent_id.end(), out.parent_id.begin());
  out.sampled = (kHexDigits.find(flags[1]) & 1) != 0;
  return out;
}

TraceContext TraceContext::from(const http1::Headers& headers, Random& random) {
  TraceContext context;
  std::optional<TraceParent> parent;
  std::string states;
  std::size_t parents = 0;
  for (const auto& [name, value] : headers) {
    if (name == "traceparent") {
      parent = TraceParent::parse(value);
      ++parents;
    } else if (name == "tracestate") {
      if (!states.empty()) states += ',';
      states += value;
    }
  }
  if (parents == 1 && parent) {
    context.parent_ = *parent;
    context.continued_ = true;
    context.tracestate_ = normal_tracestate(states).value_or("");
    return context;
  }
  make_id(context.parent_.trace_id, random);
  make_id(context.parent_.parent_id, random);
  return context;
}

void TraceContext::append_child_traceparent(std::string& out, Random& random) const {
  std::array<char, 16> span_id{};
  make_id(span_id, random);
  out += "00-";
  out.append(parent_.trace_id.data(), parent_.trace_id.size());
  out += '-';
  out.append(span_id.data(), span_id.size());
  out += parent_.sampled ? "-01" : "-00";
}

std::optional<std::string> normal_tracestate(std::string_view joined) {
  std::string out;
  std::array<std::string_view, kMaxTracestateMembers> keys;
  std::size_t members = 0;
  while (!joined.empty()) {
    const std::size_t comma = std::min(joined.find(','), joined.size());
    const std::string_view member = http1::trim(joined.substr(0, comma));
    joined.remove_prefix(std::min(comma + 1, joined.size()));
    if (member.empty()) continue;  // the list may have empty members; they carry nothing

    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos || members == keys.size()) return std::nullopt;
    const std::string_view key = member.substr(0, equals);
    const auto known = keys.begin() + static_cast<std::ptrdiff_t>(members);
    if (!is_state_key(key) || !is_state_value(member.substr(equals + 1)) ||
        std::find(keys.begin(), known, key) != known) {
      return std::nullopt;
    }
    keys[members++] = key;
    if (!out.empty()) out += ',';
    out += member;
  }
  return out;
}

}  // namespace consort
