#include "roles/gather/shard_select.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "wire/http1.hpp"
#include "wire/http1_text.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

constexpr std::string_view kForms =
    "write all, key:SOURCE, range:FIELD[:SOURCE], tags:NAME=VALUE or tags:SOURCE, where SOURCE is "
    "header:NAME, query:NAME, path:N or body:POINTER";
constexpr std::string_view kModes[] = {"all", "key", "range", "tags"};
constexpr std::size_t kMaxTags = 32;
constexpr std::size_t kMaxSegment = 1000;

tl::unexpected<Error> refuse(std::string_view text, const std::string& why) {
  std::string message = in_quotes(text) + " is not a selection of shards: " + why;
  message.append(" (").append(kForms).append(")");
  return fail(Errc::invalid, std::move(message));
}

/// "key:query:user" to "key" and "query:user".
std::pair<std::string_view, std::string_view> split_first(std::string_view text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  return {text.substr(0, at), text.substr(std::min(at + 1, text.size()))};
}

std::string decoded(std::string_view raw, http1::Plus plus) {
  if (raw.find_first_of("%+") == raw.npos) return std::string(raw);
  return http1::percent_decode(raw, plus).value_or(std::string(raw));
}

/// Of the first parameter of that name; empty when there is none.
std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto [pair, rest] = split_first(query, '&');
    query = rest;
    const auto [key, value] = split_first(pair, '=');
    if (key == name || decoded(key, http1::Plus::is_blank) == name) {
      return decoded(value, http1::Plus::is_blank);
    }
  }
  return {};
}

/// The N-th between slashes, from 1. Split before it is decoded: %2F is a part of a segment.
std::string path_segment(std::string_view path, std::uint32_t number) {
  for (; number > 0; --number) {
    const std::size_t slash = path.find('/');
    if (slash == path.npos) return {};
    path.remove_prefix(slash + 1);
  }
  return decoded(split_first(path, '/').first, http1::Plus::keep);
}

/// A string without quotes and escapes, or a number, true or false as written; else empty.
std::string body_value(std::string_view body, const JsonPointer& pointer) {
  const Result<std::string_view> document = check_json(body);
  if (!document) return {};
  const std::optional<std::string_view> found = pointer.find(*document);
  if (!found) return {};
  switch (json_kind(*found)) {
    case JsonKind::string:
      return unescape_json_string(found->substr(1, found->size() - 2));
    case JsonKind::number:
    case JsonKind::boolean:
      return std::string(*found);
    default:
      return {};
  }
}

std::string value_of(const SelectInput& input, const ValueSource& from) {
  switch (from.kind) {
    case ValueSource::Kind::header:
      if (input.headers == nullptr) return {};
      return std::string(http1::find_header(*input.headers, from.name));
    case ValueSource::Kind::query:
      return query_value(input.query, from.name);
    case ValueSource::Kind::path:
      return path_segment(input.path, from.segment);
    case ValueSource::Kind::body:
      return body_value(input.body, from.pointer);
  }
  return {};
}

/// What the request lacks, for the client.
std::string missing(const ValueSource& from) {
  const std::string tail = " is missing or empty: it says which shards are asked";
  switch (from.kind) {
    case ValueSource::Kind::header:
      return "the header " + in_quotes(from.name) + tail;
    case ValueSource::Kind::query:
      return "the query parameter " + in_quotes(from.name) + tail;
    case ValueSource::Kind::path:
      return "segment " + std::to_string(from.segment) + " of the path" + tail;
    case ValueSource::Kind::body:
      return "a string, number, true or false at " + in_quotes(from.pointer.text()) +
             " of a JSON body" + tail;
  }
  return {};
}

/// The values that a request looks for; both ends with it, a missing one is open.
struct Wanted {
  std::optional<RangeValue> lo;
  std::optional<RangeValue> hi;
};

std::optional<RangeValue> end_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return RangeValue::parse(text);
}

/// "A..B", "A..", "..B", "5-9" of two numbers, or one value.
Wanted parse_wanted(std::string_view text) {
  if (const std::size_t dots = text.find(".."); dots != text.npos) {
    return {end_of(text.substr(0, dots)), end_of(text.substr(dots + 2))};
  }
  // A '-' may also be a sign, or belong to an exponent: the first that has a number on either side.
  for (std::size_t dash = text.find('-', 1); dash != text.npos; dash = text.find('-', dash + 1)) {
    RangeValue lo = RangeValue::parse(text.substr(0, dash));
    RangeValue hi = RangeValue::parse(text.substr(dash + 1));
    if (lo.is_number() && hi.is_number()) return {std::move(lo), std::move(hi)};
  }
  return {RangeValue::parse(text), RangeValue::parse(text)};
}

/// a <= b as the range means it. An end that is open is beyond every value.
bool in_order(const std::optional<RangeValue>& a, const std::optional<RangeValue>& b,
              bool is_numeric) {
  if (!a || !b) return true;
  if (is_numeric) return a->is_number() && b->is_number() && compare_values(*a, *b) <= 0;
  return a->text <= b->text;
}

/// Whether the two have a value in common. Text lies in no range of numbers.
bool meets(const ShardRange& range, const Wanted& wanted) {
  const bool is_numeric = range.is_numeric();
  if (is_numeric && wanted.lo && !wanted.lo->is_number()) return false;
  if (is_numeric && wanted.hi && !wanted.hi->is_number()) return false;
  return in_order(wanted.lo, range.hi, is_numeric) && in_order(range.lo, wanted.hi, is_numeric);
}

bool is_source(std::string_view text) {
  const std::string_view kind = split_first(text, ':').first;
  return kind.size() < text.size() &&
         (kind == "header" || kind == "query" || kind == "path" || kind == "body");
}

}  // namespace

Result<ValueSource> ValueSource::parse(std::string_view text) {
  ValueSource source;
  const auto [kind, name] = split_first(text, ':');
  if (name.empty()) {
    return fail(Errc::invalid, in_quotes(text) +
                                   " is not header:NAME, query:NAME, path:N or "
                                   "body:POINTER");
  }
  if (kind == "header") {
    source.kind = Kind::header;
    source.name = http1::to_lower(name);
    if (http1::is_token(name)) return source;
    return fail(Errc::invalid, in_quotes(name) + " is no name of a header");
  }
  if (kind == "query") {
    source.kind = Kind::query;
    source.name = name;
    return source;
  }
  if (kind == "path") {
    source.kind = Kind::path;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data(), end, source.segment);
    const bool is_good = error == std::errc{} && stop == end && source.segment > 0;
    if (is_good && source.segment <= kMaxSegment) return source;
    return fail(Errc::invalid, in_quotes(name) + " is no segment of a path: they count from 1");
  }
  if (kind == "body") {
    source.kind = Kind::body;
    Result<JsonPointer> pointer = JsonPointer::parse(name);
    if (!pointer) return fail(std::move(pointer.error()));
    source.pointer = std::move(*pointer);
    return source;
  }
  return fail(Errc::invalid, in_quotes(kind) + " is not header, query, path or body");
}

std::string ValueSource::to_string() const {
  switch (kind) {
    case Kind::header:
      return "header:" + name;
    case Kind::query:
      return "query:" + name;
    case Kind::path:
      return "path:" + std::to_string(segment);
    case Kind::body:
      return "body:" + pointer.text();
  }
  return {};
}

Result<Tags> parse_tags(std::string_view text) {
  Tags tags;
  while (!text.empty()) {
    const auto [item, rest] = split_first(text, ',');
    text = rest;
    const auto [name, value] = split_first(http1::trim(item), '=');
    if (name.empty() || item.find('=') == item.npos) {
      return fail(Errc::invalid, in_quotes(item) + " is not NAME=VALUE");
    }
    tags.emplace_back(name, value);
    if (tags.size() > kMaxTags) return fail(Errc::limit, "more than 32 tags");
  }
  if (tags.empty()) return fail(Errc::invalid, "no tags: write NAME=VALUE");
  return tags;
}

Result<SelectSpec> SelectSpec::parse(std::string_view text) {
  SelectSpec spec;
  const auto [word, rest] = split_first(text, ':');
  const auto found = std::find(std::begin(kModes), std::end(kModes), word);
  if (found == std::end(kModes)) {
    const std::string_view near = nearest(word, kModes);
    return refuse(text, near.empty() ? "it begins with none of all, key, range and tags"
                                     : "did you mean " + in_quotes(near) + "?");
  }
  spec.mode = static_cast<Mode>(found - std::begin(kModes));
  std::string_view source = rest;
  switch (spec.mode) {
    case Mode::all:
      if (word.size() != text.size()) return refuse(text, "nothing follows all");
      return spec;
    case Mode::key:
      break;
    case Mode::range: {
      const auto [field, behind] = split_first(rest, ':');
      spec.field = field;
      source = behind;
      if (field.empty()) return refuse(text, "the field is missing");
      if (field.size() == rest.size()) {
        spec.from = ValueSource{.kind = ValueSource::Kind::query, .name = spec.field};
        return spec;
      }
      break;
    }
    case Mode::tags:
      if (is_source(rest)) break;
      Result<Tags> tags = parse_tags(rest);
      if (!tags) return refuse(text, tags.error().text());
      spec.tags = std::move(*tags);
      return spec;
  }
  Result<ValueSource> from = ValueSource::parse(source);
  if (!from) return refuse(text, from.error().text());
  spec.from = std::move(*from);
  return spec;
}

std::string SelectSpec::to_string() const {
  std::string text(kModes[static_cast<std::size_t>(mode)]);
  if (mode == Mode::range) text += ":" + field;
  if (from) text += ":" + from->to_string();
  char separator = ':';
  for (const auto& [name, value] : tags) {
    text.append(1, std::exchange(separator, ',')).append(name).append("=").append(value);
  }
  return text;
}

Result<> SelectSpec::check() const {
  if (!hash_tag.empty() && hash_tag.size() != 2) {
    return fail(Errc::invalid,
                "hash_tag: " + in_quotes(hash_tag) + " must be two characters, as {}");
  }
  if (mode == Mode::key && distribution == Distribution::random) {
    return fail(Errc::invalid, "distribution: a key has one place, random has none (take jump)");
  }
  if (!named_header.empty() && !http1::is_token(named_header)) {
    return fail(Errc::invalid, in_quotes(named_header) + " is no name of a header");
  }
  return {};
}

ShardSelector::ShardSelector(std::shared_ptr<const Topology> topology, SelectSpec spec)
    : topology_(std::move(topology)), spec_(std::move(spec)), by_id_(all()) {
  const std::vector<ShardSpec>& shards = topology_->shards;
  std::sort(by_id_.begin(), by_id_.end(),
            [&shards](std::uint32_t a, std::uint32_t b) { return shards[a].id < shards[b].id; });
  if (spec_.mode != SelectSpec::Mode::key) return;
  std::vector<PlacementServer> places;
  places.reserve(shards.size());
  for (const ShardSpec& shard : shards) places.push_back({.name = shard.id});
  placement_.emplace(spec_.distribution, spec_.hash, spec_.hash_tag, std::move(places));
}

Result<std::vector<std::uint32_t>> ShardSelector::select(const SelectInput& input) const {
  if (input.headers != nullptr && !spec_.named_header.empty()) {
    const std::string_view ids = http1::find_header(*input.headers, spec_.named_header);
    if (!ids.empty()) return named(ids);
  }
  if (!spec_.named_query.empty() && !input.query.empty()) {
    const std::string ids = query_value(input.query, spec_.named_query);
    if (!ids.empty()) return named(ids);
  }
  if (spec_.mode == SelectSpec::Mode::all) return all();
  if (!spec_.from) return tagged(spec_.tags);
  const std::string value = value_of(input, *spec_.from);
  if (!value.empty()) return chosen_by(value);
  if (spec_.on_missing == OnMissing::all) return all();
  return fail(Errc::invalid, missing(*spec_.from));
}

Result<std::vector<std::uint32_t>> ShardSelector::chosen_by(std::string_view value) const {
  switch (spec_.mode) {
    case SelectSpec::Mode::all:
      break;
    case SelectSpec::Mode::key: {
      Random unused(0);  // only Distribution::random draws, which check() refuses
      return std::vector<std::uint32_t>{placement_->server_of(value, unused)};
    }
    case SelectSpec::Mode::range:
      return in_range(value);
    case SelectSpec::Mode::tags: {
      Result<Tags> tags = parse_tags(value);
      if (!tags) return fail(std::move(tags.error()).in(spec_.from->to_string()));
      return tagged(*tags);
    }
  }
  return all();
}

std::vector<std::uint32_t> ShardSelector::all() const {
  std::vector<std::uint32_t> chosen(topology_->shards.size());
  std::iota(chosen.begin(), chosen.end(), 0U);
  return chosen;
}

std::optional<std::uint32_t> ShardSelector::index_of(std::string_view id) const {
  const auto found = std::lower_bound(by_id_.begin(), by_id_.end(), id,
                                      [this](std::uint32_t index, std::string_view wanted) {
                                        return topology_->shards[index].id < wanted;
                                      });
  if (found == by_id_.end() || topology_->shards[*found].id != id) return std::nullopt;
  return *found;
}

/// "s1, s7": blanks and empty items do not count.
Result<std::vector<std::uint32_t>> ShardSelector::named(std::string_view ids) const {
  std::vector<std::uint32_t> chosen;
  while (!ids.empty()) {
    const auto [item, rest] = split_first(ids, ',');
    ids = rest;
    const std::string_view id = http1::trim(item);
    if (id.empty()) continue;
    const std::optional<std::uint32_t> index = index_of(id);
    if (!index) return fail(Errc::invalid, "there is no shard " + in_quotes(id));
    chosen.push_back(*index);
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

/// A shard that says nothing of the field may hold any value of it: it is asked too, for a call too
/// many is better than data left out in silence.
Result<std::vector<std::uint32_t>> ShardSelector::in_range(std::string_view value) const {
  const Wanted wanted = parse_wanted(value);
  if (wanted.lo && wanted.hi && compare_values(*wanted.lo, *wanted.hi) > 0) {
    return fail(Errc::invalid, spec_.field + ": " + in_quotes(value) + " runs backwards");
  }
  std::vector<std::uint32_t> chosen;
  for (std::uint32_t i = 0; i < topology_->shards.size(); ++i) {
    const ShardRange* range = topology_->shards[i].range(spec_.field);
    if (range == nullptr || meets(*range, wanted)) chosen.push_back(i);
  }
  return chosen;
}

std::vector<std::uint32_t> ShardSelector::tagged(const Tags& tags) const {
  std::vector<std::uint32_t> chosen;
  for (std::uint32_t i = 0; i < topology_->shards.size(); ++i) {
    const ShardSpec& shard = topology_->shards[i];
    const bool has_all = std::all_of(tags.begin(), tags.end(), [&shard](const auto& tag) {
      return shard.has_tag(tag.first, tag.second);
    });
    if (has_all) chosen.push_back(i);
  }
  return chosen;
}

}  // namespace consort::gather
