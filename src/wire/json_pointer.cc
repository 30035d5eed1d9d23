#include "wire/json_pointer.hpp"

#include <algorithm>

#include "base/json_writer.hpp"
#include "wire/json_scan.hpp"

namespace consort {

namespace {

/// One name without its escapes: ~1 is a slash, ~0 a tilde.
Result<std::string> read_token(std::string_view text) {
  std::string token;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '~') {
      token += text[i];
      continue;
    }
    ++i;
    if (i == text.size() || (text[i] != '0' && text[i] != '1')) {
      return fail(Errc::invalid, "a ~ stands alone (write ~0 for ~ and ~1 for /)");
    }
    token += text[i] == '1' ? '/' : '~';
  }
  return token;
}

std::optional<std::string_view> find_member(std::string_view object, std::string_view name) {
  JsonObjectReader members(object);
  std::string_view key;
  std::string_view value;
  while (members.next(key, value)) {
    if (json_string_equals(key, name)) return value;
  }
  return {};
}

std::optional<std::string_view> find_element(std::string_view array, std::string_view index) {
  constexpr std::size_t kDigitsMax = 18;
  if (index.empty() || index.size() > kDigitsMax) return {};
  if (index[0] == '0' && index.size() > 1) return {};
  std::size_t left = 0;
  for (const char c : index) {
    if (c < '0' || c > '9') return {};
    left = left * 10 + static_cast<std::size_t>(c - '0');
  }
  JsonArrayReader elements(array);
  for (std::string_view element; elements.next(element); --left) {
    if (left == 0) return element;
  }
  return {};
}

}  // namespace

Result<JsonPointer> JsonPointer::parse(std::string_view text) {
  const std::string_view given = text;
  const auto refuse = [given](std::string_view why) {
    std::string message;
    append_json_string(message, given.substr(0, 80));
    message += " is not a JSON pointer: ";
    return fail(Errc::invalid, message.append(why));
  };
  JsonPointer pointer;
  if (text.starts_with('/')) text.remove_prefix(1);
  if (text.size() > kMaxBytes) return refuse("it is longer than 1024 bytes");
  if (given.empty()) return pointer;
  for (;;) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    Result<std::string> token = read_token(text.substr(0, slash));
    if (!token) return refuse(token.error().text());
    if (pointer.tokens_.size() == kMaxTokens) return refuse("it has more than 32 names");
    pointer.tokens_.push_back(std::move(*token));
    if (slash == text.size()) return pointer;
    text.remove_prefix(slash + 1);
  }
}

std::optional<std::string_view> JsonPointer::find(std::string_view value) const {
  std::optional<std::string_view> found = value;
  for (const std::string& token : tokens_) {
    if (found->starts_with('{')) {
      found = find_member(*found, token);
    } else if (found->starts_with('[')) {
      found = find_element(*found, token);
    } else {
      found.reset();
    }
    if (!found) break;
  }
  return found;
}

std::string JsonPointer::text() const {
  std::string out;
  for (const std::string& token : tokens_) {
    out += '/';
    for (const char c : token) {
      if (c == '~') {
        out += "~0";
      } else if (c == '/') {
        out += "~1";
      } else {
        out += c;
      }
    }
  }
  return out;
}

}  // namespace consort
