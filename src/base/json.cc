#include "base/json.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/document.hpp"
#include "base/options.hpp"
#include "base/tree_builder.hpp"

namespace consort {
namespace {

using Json = nlohmann::json;

/// The library takes a NUL for the end of the text and would not look at what follows it. JSON has
/// no place for one, not even in strings.
bool has_nul(std::string_view text) {
  return text.find('\0') != text.npos;
}

/// "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ..." without
/// what is the library's own, and without the megabytes that a broken string may have.
std::string shorten(std::string_view what) {
  constexpr std::string_view kLead = "parse error at ";
  constexpr std::size_t kMaxText = 160;
  std::size_t lead = what.find(kLead);
  std::size_t bracket = what.find("] ");
  if (lead != what.npos) {
    what.remove_prefix(lead + kLead.size());
  } else if (what.starts_with('[') && bracket != what.npos) {
    what.remove_prefix(bracket + 2);
  }
  std::string out(what.substr(0, kMaxText));
  if (what.size() > kMaxText) out += "...";
  return out;
}

/// Receives nlohmann's SAX events; each answers whether to go on. The library calls these by name,
/// keeps its own stack on the heap, and with this interface throws nothing of its own.
class SaxReader {
 public:
  bool null() { return scalar({}); }
  bool boolean(bool value) { return plain(value ? "true" : "false"); }
  /// Only negative numbers arrive here, and the minus zero, whose sign the library has dropped.
  bool number_integer(std::int64_t value) {
    return plain(value == 0 ? "-0" : std::to_string(value));
  }
  bool number_unsigned(std::uint64_t value) { return plain(std::to_string(value)); }
  bool number_float(double, const std::string& text) { return plain(text); }
  bool string(std::string& text) { return quoted(std::move(text)); }
  bool key(std::string& text) { return quoted(std::move(text)); }
  /// JSON text has no binary values; the interface wants the function.
  bool binary(Json::binary_t&) { return false; }

  bool start_object(std::size_t) { return open(Node::Kind::map); }
  bool start_array(std::size_t) { return open(Node::Kind::list); }
  bool end_array() { return close(); }
  bool end_object() { return close(); }

  bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
    error_.emplace(Errc::invalid, "not JSON: " + shorten(error.what()));
    return false;
  }

  Result<Node> finish(bool complete) {
    if (error_) return fail(std::move(*error_));
    if (!complete) return fail(Errc::internal, "the JSON reader stopped without a reason");
    return builder_.take();
  }

 private:
  bool plain(std::string text) {
    return scalar({.kind = Node::Kind::scalar, .scalar = std::move(text)});
  }
  bool quoted(std::string text) {
    return scalar({.kind = Node::Kind::scalar, .quoted = true, .scalar = std::move(text)});
  }
  bool scalar(Node node) {
    if (!builder_.reserve(1)) return limit();
    builder_.add(std::move(node));
    return true;
  }
  bool open(Node::Kind kind) { return builder_.open(kind, Place{}) || limit(); }
  bool close() {
    Node node = builder_.close();
    auto duplicates = find_duplicates(node);
    if (!duplicates.empty()) {
      error_.emplace(Errc::invalid, "the key " + in_quotes(duplicates[0].name) + " appears twice");
      return false;
    }
    builder_.add(std::move(node));
    return true;
  }
  bool limit() {
    error_.emplace(Errc::limit, std::string(builder_.problem()));
    return false;
  }

  TreeBuilder builder_;
  std::optional<Error> error_;
};

}  // namespace

Result<Node> read_json(std::string_view text) {
  if (text.size() > kMaxDocumentBytes) {
    return fail(Errc::limit,
                "the text is larger than " + Text<ByteSize>::print({kMaxDocumentBytes}));
  }
  if (has_nul(text)) return fail(Errc::invalid, "not JSON: there is a NUL byte in the text");
  SaxReader reader;
  bool complete = Json::sax_parse(text.begin(), text.end(), &reader);
  return reader.finish(complete);
}

bool is_json(std::string_view text) {
  return !has_nul(text) && Json::accept(text.begin(), text.end());
}

}  // namespace consort
