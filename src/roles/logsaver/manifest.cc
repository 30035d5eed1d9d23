#include "roles/logsaver/manifest.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include "base/options.hpp"
#include "base/utf8.hpp"
#include "io/digest.hpp"
#include "wire/json_scan.hpp"

namespace consort::logsaver {
namespace {

constexpr std::uint64_t kVersion = 1;
/// All but the sources: four numbers of 20 digits, two hashes, the batch's id, and the names.
constexpr std::size_t kBaseBytes = 420;
/// Of one file's name, as it is written.
constexpr std::size_t kFileBytesMax = 300;
/// A source with another file than the one before; and one with the same.
constexpr std::size_t kSourceBytesMax = kFileBytesMax + 120;
constexpr std::size_t kSameFileBytesMax = 120;
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kHexBytes = 64;

void append_unit(std::string& out, std::uint32_t unit) {
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[unit >> shift & 15];
}

/// One character in front of the text, as JSON in ASCII; U+FFFD for a byte that is no UTF-8.
std::string take_character(std::string_view& text) {
  const std::size_t size = utf8_character_bytes(text);
  const auto first = static_cast<unsigned char>(text.front());
  std::string out;
  if (size == 1 && (first == '"' || first == '\\')) {
    out.append(1, '\\').append(1, text.front());
  } else if (size == 1 && first > 0x20 && first != 0x7F) {  // no blanks: servers strip them
    out += text.front();
  } else {
    std::uint32_t code = 0xFFFD;
    if (size == 1) code = first;
    if (size > 1) code = first & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i) {
      code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
    }
    if (code >= 0x10000) {
      append_unit(out, 0xD800 + ((code - 0x10000) >> 10));
      append_unit(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
    } else {
      append_unit(out, code);
    }
  }
  text.remove_prefix(std::max<std::size_t>(size, 1));
  return out;
}

/// A file's name without what is too much of its beginning.
std::string shown_file(std::string_view file) {
  std::vector<std::string> characters;
  while (!file.empty()) characters.push_back(take_character(file));
  std::size_t bytes = 0;
  std::size_t first = characters.size();
  while (first > 0 && bytes + characters[first - 1].size() <= kFileBytesMax - 3) {
    bytes += characters[--first].size();
  }
  std::string out = first > 0 ? "..." : "";
  for (; first < characters.size(); ++first) out += characters[first];
  return out;
}

void member(std::string& out, std::string_view name, std::uint64_t number) {
  out.append(",\"").append(name).append("\":").append(std::to_string(number));
}
void member(std::string& out, std::string_view name, std::string_view text) {
  out.append(",\"").append(name).append("\":\"").append(text).append("\"");
}

std::string source_text(const ManifestSource& source, std::string_view file_before) {
  std::string out = "{\"tail\":\"" + source.tail + "\"";
  if (source.file != file_before) member(out, "file", shown_file(source.file));
  member(out, "from", source.from);
  member(out, "to", source.to);
  return out + "}";
}

tl::unexpected<Error> wrong(std::string_view what) {
  return fail(Errc::invalid, "a manifest that cannot be read: " + std::string(what));
}

Result<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return wrong("a number");
  return number;
}

Result<std::string> text_of(std::string_view value) {
  if (json_kind(value) != JsonKind::string) return wrong("a text");
  return unescape_json_string(value.substr(1, value.size() - 2));
}

/// Takes the value where it can be read; else remembers that it could not.
template <class T>
void take(Result<T> from, T& to, std::optional<Error>& error) {
  if (from) {
    to = std::move(*from);
  } else if (!error) {
    error = std::move(from.error());
  }
}

Result<ManifestHash> hash_value(std::string_view value) {
  Result<std::string> text = text_of(value);
  if (!text) return fail(std::move(text.error()));
  return parse_hash(*text);
}

Result<Coding> coding_of(std::string_view value) {
  Result<std::string> text = text_of(value);
  if (!text) return fail(std::move(text.error()));
  return Text<Coding>::parse(*text);
}

Result<std::vector<ManifestSource>> sources_of(std::string_view array) {
  std::vector<ManifestSource> sources;
  JsonArrayReader each(array);
  for (std::string_view object; each.next(object);) {
    ManifestSource source;
    if (!sources.empty()) source.file = sources.back().file;
    std::optional<Error> error;
    std::string_view name;
    std::string_view value;
    for (JsonObjectReader members(object); members.next(name, value);) {
      if (name == "tail") take(text_of(value), source.tail, error);
      if (name == "file") take(text_of(value), source.file, error);
      if (name == "from") take(number_of(value), source.from, error);
      if (name == "to") take(number_of(value), source.to, error);
    }
    if (error) return fail(std::move(*error));
    if (source.tail.empty() || source.to < source.from) return wrong("a source");
    sources.push_back(std::move(source));
  }
  if (each.failed()) return wrong("its sources");
  return sources;
}

}  // namespace

std::size_t manifest_tails_max(std::size_t bytes_max) {
  // An object holds one file's bytes, and those of files that took its place.
  if (bytes_max <= kObjectManifestBytesMax) {
    return 1 + (bytes_max - kBaseBytes - kSourceBytesMax) / kSameFileBytesMax;
  }
  return (bytes_max - kBaseBytes) / kSourceBytesMax;
}

std::string write_manifest(const Manifest& manifest, std::size_t bytes_max) {
  std::string out = "{\"v\":" + std::to_string(kVersion);
  member(out, "batch", manifest.batch);
  member(out, "prev", to_text(manifest.prev));
  member(out, "records", manifest.records);
  member(out, "bytes", manifest.bytes);
  member(out, "form", std::string_view(manifest.has_line_each ? "ndjson" : "raw"));
  member(out, "coding", Text<Coding>::print(manifest.coding));
  member(out, "stored", manifest.stored);
  member(out, "sha256", to_text(manifest.sha256));
  out += ",\"sources\":[";
  std::string_view file_before;
  std::uint64_t more = manifest.more;
  // Behind them: ],"more":<20 digits>,"rebuilt":true}
  const std::size_t sources_end = bytes_max - 45;
  bool is_first = true;
  for (const ManifestSource& source : manifest.sources) {
    const std::string text = source_text(source, file_before);
    if (more > manifest.more || out.size() + text.size() + 1 > sources_end) {
      ++more;
      continue;
    }
    if (!std::exchange(is_first, false)) out += ',';
    out += text;
    file_before = source.file;
  }
  out += ']';
  if (more > 0) member(out, "more", more);
  if (manifest.is_rebuilt) out += ",\"rebuilt\":true";
  return out + "}";
}

Result<Manifest> read_manifest(std::string_view text) {
  const Result<std::string_view> object = check_json(text);
  if (!object || json_kind(*object) != JsonKind::object) return wrong("it is no JSON object");
  Manifest made;
  std::uint64_t version = 0;
  std::optional<Error> error;
  std::string_view name;
  std::string_view value;
  for (JsonObjectReader members(*object); members.next(name, value);) {
    if (name == "v") take(number_of(value), version, error);
    if (name == "batch") take(text_of(value), made.batch, error);
    if (name == "prev") take(hash_value(value), made.prev, error);
    if (name == "records") take(number_of(value), made.records, error);
    if (name == "form") made.has_line_each = value == "\"ndjson\"";
    if (name == "bytes") take(number_of(value), made.bytes, error);
    if (name == "coding") take(coding_of(value), made.coding, error);
    if (name == "stored") take(number_of(value), made.stored, error);
    if (name == "sha256") take(hash_value(value), made.sha256, error);
    if (name == "sources") take(sources_of(value), made.sources, error);
    if (name == "more") take(number_of(value), made.more, error);
    if (name == "rebuilt") made.is_rebuilt = value == "true";
  }
  if (version > kVersion) {
    return wrong("its version is " + std::to_string(version) + ", newer than this consort");
  }
  if (error) return fail(std::move(*error));
  if (version == 0 || made.sha256 == ManifestHash{}) return wrong("something is missing");
  if (auto named = parse_batch(made.batch); !named) return fail(std::move(named.error()));
  return made;
}

ManifestHash hash_of_manifest(std::string_view text) {
  return io::sha256(text);
}

std::string to_text(const ManifestHash& hash) {
  return hash == ManifestHash{} ? std::string() : io::to_hex(hash);
}

Result<ManifestHash> parse_hash(std::string_view text) {
  ManifestHash hash{};
  if (text.empty()) return hash;
  if (text.size() != kHexBytes) return wrong("a hash has 64 digits");
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = kDigits.find(text[i]);
    if (digit == kDigits.npos) return wrong("a hash has the digits 0-9 and a-f");
    hash[i / 2] = static_cast<std::uint8_t>(hash[i / 2] * 16U + digit);
  }
  return hash;
}

Result<BatchName> parse_batch(std::string_view id) {
  const std::size_t dash = id.rfind('-');
  if (dash == id.npos || dash == 0) return wrong("the id of its batch");
  const std::string_view stream = id.substr(0, dash);
  // It is printed.
  if (stream.size() > 40 || stream.find_first_not_of("0123456789abcdef-") != stream.npos ||
      std::ranges::count(stream, '-') != 1) {
    return wrong("the id of its batch");
  }
  Result<std::uint64_t> number = number_of(id.substr(dash + 1));
  if (!number || id[dash + 1] == '0') return wrong("the number of its batch");
  return BatchName{stream, *number};
}

}  // namespace consort::logsaver
