// libyaml's events to a tree. libyaml reads what is on the page; our own rules (one document,
// unique scalar keys, known tags, limits, aliases, merge keys) are applied here, event by event.
#include "base/yaml.hpp"

#include <yaml.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "base/options.hpp"
#include "base/tree_builder.hpp"

namespace consort {
namespace {

// libyaml compares each %TAG directive with all before it: two megabytes of them take a minute, and
// no event lets us stop it. Nobody writes more than a few.
constexpr std::string_view kTagDirective = "%TAG";
constexpr std::size_t kMaxTagDirectives = 100;

/// Where the first directive beyond the limit stands; npos when there is none. Looks at the letters
/// only, wherever they are, for the places where libyaml sees a directive are its own affair.
std::size_t find_excess_directive(std::string_view text) {
  std::size_t at = text.find(kTagDirective);
  for (std::size_t n = 0; n < kMaxTagDirectives && at != text.npos; ++n) {
    at = text.find(kTagDirective, at + kTagDirective.size());
  }
  return at;
}

/// What a copy of a tree costs.
struct Extent {
  std::size_t nodes = 0;
  std::size_t bytes = 0;
  std::size_t depth = 0;  ///< levels of lists and maps, 0 for a scalar
};

/// Recursive; the builder bounds the depth.
Extent measure(const Node& node) {
  Extent total{.nodes = 1, .bytes = node.scalar.size(), .depth = 0};
  std::size_t below = 0;
  auto add = [&](const Node& child) {
    Extent part = measure(child);
    total.nodes += part.nodes;
    total.bytes += part.bytes;
    below = std::max(below, part.depth);
  };
  for (const Node& item : node.items) add(item);
  for (const auto& [key, value] : node.members) {
    add(key);
    add(value);
  }
  if (node.kind == Node::Kind::list || node.kind == Node::Kind::map) total.depth = below + 1;
  return total;
}

Place place_of(const yaml_mark_t& mark) {
  return {.line = static_cast<std::uint32_t>(mark.line + 1),
          .column = static_cast<std::uint32_t>(mark.column + 1)};
}

std::string_view view_of(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

bool is_null_word(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

bool is_merge_key(const Node& key) {
  return !key.quoted && key.scalar == "<<";
}

/// The parser and its events own memory of libyaml.
struct Parser {
  Parser() { good = yaml_parser_initialize(&raw) == 1; }
  ~Parser() { yaml_parser_delete(&raw); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  yaml_parser_t raw{};
  bool good = false;
};
struct Event {
  Event() = default;
  ~Event() { yaml_event_delete(&raw); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  yaml_event_t raw{};
};

class YamlReader {
 public:
  explicit YamlReader(std::string_view text) : text_(text) {}
  YamlTree read();

 private:
  struct Anchor {
    Node node;
    Extent extent;
  };

  // Each takes one event and answers whether to go on.
  bool take(const yaml_event_t& event);
  bool take_document(Place place);
  bool take_scalar(const yaml_event_t& event);
  bool take_alias(const yaml_event_t& event);
  bool take_open(Node::Kind kind, Place place, std::string_view tag, std::string_view anchor);
  bool take_close();

  bool add_scalar(Node node, std::string_view anchor);
  bool remember(std::string_view anchor, const Node& node);
  bool reserve_copy(const Extent& extent, Place place);
  void check_duplicates(const Node& map);
  void merge(Node& map);
  void add_merged(Node& map, Node source, std::set<std::string>& known);

  bool fault(Place place, std::string text);
  void syntax_fault();
  void encoding_fault();
  Place place_of_offset(std::size_t offset) const;
  char char_at(const yaml_mark_t& mark) const;

  std::string_view text_;
  Parser parser_;
  TreeBuilder builder_;
  YamlTree result_;
  std::map<std::string, Anchor, std::less<>> anchors_;
  std::vector<std::string> open_anchors_;  ///< of each open list or map; "" for none
  std::size_t copied_bytes_ = 0;
  bool has_document_ = false;
};

YamlTree YamlReader::read() {
  if (!parser_.good) {
    fault({}, "out of memory");
    return std::move(result_);
  }
  std::size_t excess = find_excess_directive(text_);
  if (excess != text_.npos) {
    fault(place_of_offset(excess), "there are more than 100 %TAG directives");
    return std::move(result_);
  }
  // Without a fixed encoding libyaml would accept UTF-16, whose places nobody could use.
  yaml_parser_set_encoding(&parser_.raw, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser_.raw, reinterpret_cast<const unsigned char*>(text_.data()),
                               text_.size());
  bool more = true;
  while (more && result_.faults.size() <= Problems::kMaxEach) {
    Event event;
    if (yaml_parser_parse(&parser_.raw, &event.raw) != 1) {
      syntax_fault();
      break;
    }
    more = take(event.raw);
  }
  if (result_.faults.empty()) result_.root = builder_.take();
  return std::move(result_);
}

bool YamlReader::take(const yaml_event_t& event) {
  Place place = place_of(event.start_mark);
  switch (event.type) {
    case YAML_DOCUMENT_START_EVENT:
      return take_document(place);
    case YAML_SCALAR_EVENT:
      return take_scalar(event);
    case YAML_ALIAS_EVENT:
      return take_alias(event);
    case YAML_SEQUENCE_START_EVENT:
      return take_open(Node::Kind::list, place, view_of(event.data.sequence_start.tag),
                       view_of(event.data.sequence_start.anchor));
    case YAML_MAPPING_START_EVENT:
      return take_open(Node::Kind::map, place, view_of(event.data.mapping_start.tag),
                       view_of(event.data.mapping_start.anchor));
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      return take_close();
    case YAML_STREAM_END_EVENT:
      return false;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
      return true;
  }
  return true;
}

bool YamlReader::take_document(Place place) {
  if (has_document_) return fault(place, "a second document starts here, and a file holds one");
  has_document_ = true;
  return true;
}

bool YamlReader::take_scalar(const yaml_event_t& event) {
  const auto& scalar = event.data.scalar;
  Node node{.kind = Node::Kind::scalar,
            .quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE,
            .place = place_of(event.start_mark)};
  node.scalar.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);

  // A tag says whether to take the text as text ("!" is YAML's short form of that) or by its look.
  constexpr std::array<std::string_view, 4> kByLook = {YAML_NULL_TAG, YAML_BOOL_TAG, YAML_INT_TAG,
                                                       YAML_FLOAT_TAG};
  std::string_view tag = view_of(scalar.tag);
  if (tag == YAML_STR_TAG || tag == "!") {
    node.quoted = true;
  } else if (std::find(kByLook.begin(), kByLook.end(), tag) != kByLook.end()) {
    node.quoted = false;
  } else if (!tag.empty()) {
    return fault(node.place, "the tag " + in_quotes(tag) + " is not supported");
  }

  if (!builder_.reserve(1)) return fault(node.place, std::string(builder_.problem()));
  return add_scalar(std::move(node), view_of(scalar.anchor));
}

bool YamlReader::add_scalar(Node node, std::string_view anchor) {
  if (builder_.wants_key()) {
    if (node.scalar.empty() && !node.quoted) return fault(node.place, "a key is missing here");
  } else if (!node.quoted && is_null_word(node.scalar)) {
    node = Node{.place = node.place};
  }
  if (!remember(anchor, node)) return false;
  builder_.add(std::move(node));
  return true;
}

bool YamlReader::take_alias(const yaml_event_t& event) {
  Place place = place_of(event.start_mark);
  std::string_view name = view_of(event.data.alias.anchor);
  auto found = anchors_.find(name);
  if (found == anchors_.end()) {
    return fault(place, "no finished anchor " + in_quotes(name) + " stands before this alias");
  }
  const auto& [node, extent] = found->second;
  if (builder_.wants_key() && node.kind != Node::Kind::scalar) {
    return fault(place, "a key must be text, and this alias is something else");
  }
  if (!reserve_copy(extent, place)) return false;
  builder_.add(node);
  return true;
}

bool YamlReader::take_open(Node::Kind kind, Place place, std::string_view tag,
                           std::string_view anchor) {
  std::string_view expected = kind == Node::Kind::list ? YAML_SEQ_TAG : YAML_MAP_TAG;
  if (!tag.empty() && tag != expected && tag != "!") {
    return fault(place, "the tag " + in_quotes(tag) + " is not supported here");
  }
  if (builder_.wants_key()) {
    return fault(place, kind == Node::Kind::list ? "a key must be text, not a list"
                                                 : "a key must be text, not a map");
  }
  if (!builder_.open(kind, place)) return fault(place, std::string(builder_.problem()));
  open_anchors_.emplace_back(anchor);
  return true;
}

bool YamlReader::take_close() {
  Node node = builder_.close();
  if (node.kind == Node::Kind::map) {
    check_duplicates(node);
    merge(node);
  }
  std::string anchor = std::move(open_anchors_.back());
  open_anchors_.pop_back();
  if (!remember(anchor, node)) return false;
  builder_.add(std::move(node));
  return true;
}

/// Keeps a copy for later aliases; it counts as much as an alias does, for anchors nest.
bool YamlReader::remember(std::string_view anchor, const Node& node) {
  if (anchor.empty()) return true;
  Extent extent = measure(node);
  if (!reserve_copy(extent, node.place)) return false;
  anchors_.insert_or_assign(std::string(anchor), Anchor{node, extent});
  return true;
}

/// Before anything is copied: a few lines of nested aliases can stand for billions of values.
bool YamlReader::reserve_copy(const Extent& extent, Place place) {
  if (builder_.depth() + extent.depth > kMaxDocumentDepth) {
    return fault(place, std::string(TreeBuilder::kTooDeep));
  }
  if (!builder_.reserve(extent.nodes)) return fault(place, std::string(builder_.problem()));
  if (extent.bytes > kMaxDocumentBytes - copied_bytes_) {
    return fault(place, "aliases and anchors copy more than " +
                            Text<ByteSize>::print({kMaxDocumentBytes}) + " of text");
  }
  copied_bytes_ += extent.bytes;
  return true;
}

void YamlReader::check_duplicates(const Node& map) {
  for (const DuplicateKey& twice : find_duplicates(map)) {
    // Every caller stops at the limit; this map may hold many more by itself.
    if (result_.faults.size() > Problems::kMaxEach) return;
    fault(twice.second, "the key " + in_quotes(twice.name) + " stands twice; the first is at " +
                            std::to_string(twice.first.line) + ":" +
                            std::to_string(twice.first.column));
  }
}

/// Puts what "<<" names into the map, after its own members. A map with "<<" twice has a fault
/// already; only the first is looked at.
void YamlReader::merge(Node& map) {
  auto found = std::find_if(map.members.begin(), map.members.end(),
                            [](const auto& member) { return is_merge_key(member.first); });
  if (found == map.members.end()) return;
  Node value = std::move(found->second);
  map.members.erase(found);
  std::set<std::string> known;
  for (const auto& member : map.members) known.insert(member.first.scalar);
  if (value.kind != Node::Kind::list) {
    add_merged(map, std::move(value), known);
    return;
  }
  for (Node& source : value.items) add_merged(map, std::move(source), known);
}

void YamlReader::add_merged(Node& map, Node source, std::set<std::string>& known) {
  if (source.kind != Node::Kind::map) {
    fault(source.place, "the merge key << takes a map or a list of maps");
    return;
  }
  for (auto& member : source.members) {
    if (known.insert(member.first.scalar).second) map.members.push_back(std::move(member));
  }
}

/// Always false, for "stop here".
bool YamlReader::fault(Place place, std::string text) {
  result_.faults.push_back({place, std::move(text)});
  return false;
}

void YamlReader::syntax_fault() {
  result_.is_yaml = false;
  const yaml_parser_t& parser = parser_.raw;
  if (parser.error == YAML_MEMORY_ERROR) {
    fault({}, "out of memory");
    return;
  }
  if (parser.error == YAML_READER_ERROR) {
    encoding_fault();
    return;
  }
  std::string text = parser.problem != nullptr ? parser.problem : "this is not YAML";
  if (char_at(parser.problem_mark) == '\t' || text.find("tab character") != text.npos) {
    fault(place_of(parser.problem_mark), "YAML is not indented with tabs; use blanks");
    return;
  }
  if (parser.context != nullptr) {
    text.append(" ").append(parser.context);
    if (parser.context_mark.line != parser.problem_mark.line) {
      text.append(" that begins in line ").append(std::to_string(parser.context_mark.line + 1));
    }
  }
  fault(place_of(parser.problem_mark), std::move(text));
}

void YamlReader::encoding_fault() {
  Place place = place_of_offset(parser_.raw.problem_offset);
  std::string_view problem = parser_.raw.problem;
  if (text_.starts_with("\xFF\xFE") || text_.starts_with("\xFE\xFF")) {
    fault(place, "the file is UTF-16; save it as UTF-8");
  } else if (problem.find("control") != problem.npos) {
    std::array<char, 16> code{};
    std::snprintf(code.data(), code.size(), "U+%04X",
                  static_cast<unsigned>(parser_.raw.problem_value));
    fault(place, std::string("the character ") + code.data() + " is not allowed in a file");
  } else {
    fault(place, "the text is not valid UTF-8 here; save the file as UTF-8");
  }
}

/// libyaml counts in bytes only when it cannot decode. Columns are characters: bytes other than
/// the continuations of UTF-8.
Place YamlReader::place_of_offset(std::size_t offset) const {
  std::string_view before = text_.substr(0, std::min(offset, text_.size()));
  std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  std::string_view line = before.substr(line_start);
  auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return {
      .line = static_cast<std::uint32_t>(std::count(before.begin(), before.end(), '\n') + 1),
      .column = static_cast<std::uint32_t>(std::count_if(line.begin(), line.end(), is_start)) + 1};
}

/// The character at a mark, whose index counts characters; NUL at the end. Linear: for errors only.
char YamlReader::char_at(const yaml_mark_t& mark) const {
  std::size_t characters = 0;
  for (char c : text_) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    if (characters == mark.index) return c;
    ++characters;
  }
  return '\0';
}

}  // namespace

YamlTree read_yaml(std::string_view text) {
  return YamlReader(text).read();
}

}  // namespace consort
