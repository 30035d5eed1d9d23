#include "net/xml_walk.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace consort {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_name(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == ':' || static_cast<unsigned char>(c) >= 0x80;
}

/// Control bytes other than white space are not XML, not even as references.
bool is_character(std::uint32_t code) {
  if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
  return code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF) && code != 0xFFFE && code != 0xFFFF;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | (code >> 6U));
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
}

/// What stands between "&" and ";", decoded; false when it is nothing that XML knows by itself.
bool append_reference(std::string& out, std::string_view name) {
  constexpr std::pair<std::string_view, char> kEntities[] = {
      {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [entity, character] : kEntities) {
    if (name != entity) continue;
    out += character;
    return true;
  }
  if (!name.starts_with('#')) return false;
  name.remove_prefix(1);
  const std::uint32_t base = name.starts_with('x') ? 16 : 10;
  if (base == 16) name.remove_prefix(1);
  if (name.empty() || name.size() > 8) return false;
  std::uint32_t code = 0;
  for (const char c : name) {
    std::uint32_t digit = 16;
    if (c >= '0' && c <= '9') digit = static_cast<std::uint32_t>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<std::uint32_t>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<std::uint32_t>(c - 'A') + 10;
    if (digit >= base) return false;
    code = code * base + digit;
  }
  if (!is_character(code)) return false;
  append_utf8(out, code);
  return true;
}

class Walker {
 public:
  Walker(std::string_view document, const XmlVisitor& visit) : rest_(document), visit_(visit) {}

  Result<> run() {
    while (!rest_.empty()) {
      Result<> step = rest_.front() == '<' ? markup() : text();
      if (!step) return step;
    }
    if (!open_.empty()) return wrong("ends within an element");
    if (!has_root_) return wrong("is empty");
    return {};
  }

 private:
  struct Element {
    std::size_t path_bytes;  ///< of the path without it
    std::string text{};
    bool has_children = false;
  };

  static tl::unexpected<Error> wrong(std::string_view what) {
    return fail(Errc::protocol, "the XML document " + std::string(what));
  }
  static tl::unexpected<Error> too_much(std::string_view what) {
    return fail(Errc::limit, "the XML document has " + std::string(what));
  }

  bool take(std::string_view prefix) {
    if (!rest_.starts_with(prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }
  void skip_space() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
  }
  /// Everything up to `end`, which is taken too.
  Result<std::string_view> take_until(std::string_view end) {
    const std::size_t at = rest_.find(end);
    if (at == rest_.npos) return wrong("ends within markup");
    const std::string_view before = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return before;
  }
  Result<std::string_view> take_name() {
    std::size_t bytes = 0;
    while (bytes < rest_.size() && is_name(rest_[bytes])) ++bytes;
    if (bytes == 0) return wrong("has a tag without a name");
    if (bytes > kMaxXmlNameBytes) return too_much("a name that is too long");
    const std::string_view name = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return name;
  }

  Result<> markup() {
    if (take("<!--")) return skip_until("-->");
    if (take("<?")) return skip_until("?>");
    if (take("<![CDATA[")) return character_data();
    if (take("<!")) return wrong("has a document type");
    if (take("</")) return end_tag();
    rest_.remove_prefix(1);
    return start_tag();
  }

  Result<> skip_until(std::string_view end) {
    const Result<std::string_view> skipped = take_until(end);
    if (!skipped) return fail(skipped.error().clone());
    return {};
  }

  Result<> start_tag() {
    if (open_.empty() && has_root_) return wrong("has two roots");
    if (open_.size() == kMaxXmlDepth) return too_much("elements that are nested too deeply");
    Result<std::string_view> name = take_name();
    if (!name) return fail(std::move(name.error()));
    has_root_ = true;
    if (!open_.empty()) open_.back().has_children = true;
    open_.push_back(Element{.path_bytes = path_.size()});
    if (!path_.empty()) path_ += '/';
    path_ += *name;
    Result<> attributes = skip_attributes();
    if (!attributes) return attributes;
    if (take("/>")) {
      leave();
      return {};
    }
    if (!take(">")) return wrong("has a tag that does not end");
    return {};
  }

  Result<> skip_attributes() {
    for (;;) {
      const std::size_t before = rest_.size();
      skip_space();
      if (rest_.empty() || rest_.front() == '>' || rest_.front() == '/') return {};
      if (rest_.size() == before) return wrong("has a malformed tag");
      Result<std::string_view> name = take_name();
      if (!name) return fail(std::move(name.error()));
      skip_space();
      if (!take("=")) return wrong("has an attribute without a value");
      skip_space();
      const std::string_view quote = rest_.substr(0, 1);
      if (quote != "\"" && quote != "'") return wrong("has an attribute without quotes");
      rest_.remove_prefix(1);
      Result<std::string_view> value = take_until(quote);
      if (!value) return fail(std::move(value.error()));
      if (value->find('<') != value->npos) return wrong("has a tag within an attribute");
    }
  }

  Result<> end_tag() {
    Result<std::string_view> name = take_name();
    if (!name) return fail(std::move(name.error()));
    skip_space();
    if (!take(">")) return wrong("has a tag that does not end");
    if (open_.empty()) return wrong("ends an element that it has not begun");
    const std::size_t from = open_.back().path_bytes;
    const std::string_view expected = std::string_view(path_).substr(from == 0 ? 0 : from + 1);
    if (*name != expected) return wrong("has tags that do not match");
    leave();
    return {};
  }

  void leave() {
    const Element& element = open_.back();
    std::string_view own = element.text;
    if (element.has_children) {
      while (!own.empty() && is_space(own.front())) own.remove_prefix(1);
      while (!own.empty() && is_space(own.back())) own.remove_suffix(1);
    }
    visit_(path_, own);
    path_.resize(element.path_bytes);
    open_.pop_back();
  }

  Result<> append(std::string_view plain) {
    for (const char c : plain) {
      if (!is_character(static_cast<unsigned char>(c))) return wrong("holds a control byte");
      if (open_.empty() && !is_space(c)) return wrong("has text outside its root");
    }
    if (open_.empty()) return {};
    if (open_.back().text.size() + plain.size() > kMaxXmlTextBytes) {
      return too_much("a text that is too long");
    }
    open_.back().text.append(plain);
    return {};
  }

  Result<> character_data() {
    Result<std::string_view> data = take_until("]]>");
    if (!data) return fail(std::move(data.error()));
    if (open_.empty()) return wrong("has text outside its root");
    return append(*data);
  }

  /// Up to the next tag.
  Result<> text() {
    const std::size_t end = rest_.find_first_of("<&");
    Result<> kept = append(rest_.substr(0, end));
    if (!kept) return kept;
    rest_.remove_prefix(end == rest_.npos ? rest_.size() : end);
    if (!rest_.starts_with('&')) return {};
    rest_.remove_prefix(1);
    // No reference that we know is longer.
    const std::size_t semicolon = rest_.substr(0, 12).find(';');
    std::string decoded;
    if (semicolon == rest_.npos || !append_reference(decoded, rest_.substr(0, semicolon))) {
      return wrong("has an entity that is not known");
    }
    rest_.remove_prefix(semicolon + 1);
    if (open_.empty()) return wrong("has text outside its root");
    return append(decoded);
  }

  std::string_view rest_;
  const XmlVisitor& visit_;
  std::string path_;
  std::vector<Element> open_;
  bool has_root_ = false;
};

}  // namespace

Result<> walk_xml(std::string_view document, const XmlVisitor& visit) {
  return Walker(document, visit).run();
}

std::string xml_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\r':
        out += "&#13;";  // readers turn a bare one into a line feed
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace consort
