#include "roles/logsaver/sinks/s3_key.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/content_hash.hpp"
#include "base/options.hpp"
#include "base/text.hpp"
#include "base/utf8.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kDigitsMax = 20;

std::string padded(std::uint64_t number, std::size_t digits) {
  std::string text = std::to_string(number);
  if (text.size() < digits) text.insert(0, digits - text.size(), '0');
  return text;
}

/// Of all that makes an offset another one: whose state, which sink, which file.
std::string generation(const Batch& batch) {
  const std::string_view id(batch.id);
  std::string of(id.substr(0, id.rfind('-')));
  of.append(" ").append(std::to_string(batch.first_tail));
  return to_hex(content_hash(of).low, 8);
}

/// As servers take it and listings can show it.
std::string clean(std::string_view text) {
  std::string made;
  while (!text.empty()) {
    const std::size_t size = utf8_character_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (size == 0 || first < 0x20 || first == 0x7F) {
      made += '_';
      text.remove_prefix(1);
    } else {
      made += text.substr(0, size);
      text.remove_prefix(size);
    }
  }
  return made;
}

tl::unexpected<Error> unknown(std::string_view place) {
  return fail(Errc::invalid,
              in_quotes(place).append(
                  " is no place in a key: there are {prefix}, {host}, {file}, {first_offset}, "
                  "{first_offset:020}, {tail}, {gen}, {batch}, %Y, %m, %d, %H, %M, %S, and %% for "
                  "a percent sign"));
}

}  // namespace

Result<S3KeyTemplate> S3KeyTemplate::parse(std::string_view text) {
  S3KeyTemplate made;
  std::size_t start = 0;  // of what is for PathTemplate
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("{host}") || rest.starts_with("{file}")) {
      at += 6;
    } else if (rest[0] == '%') {
      at += 2;
    } else if (rest[0] != '{') {
      ++at;
    } else {
      const std::size_t size = rest.find('}') == rest.npos ? 1 : rest.find('}') + 1;
      const std::string_view before = text.substr(start, at - start);
      if (Result<> added = made.add(before, parse_place(rest.substr(0, size))); !added) {
        return fail(std::move(added.error()));
      }
      start = at += size;
    }
  }
  if (start < text.size()) {
    if (Result<> added = made.add({}, parse_path(text.substr(start))); !added) {
      return fail(std::move(added.error()));
    }
  }
  if (!made.has(Place::batch) && !(made.has(Place::first_offset) && made.has(Place::gen))) {
    return fail(Errc::invalid,
                in_quotes(text).append(" would give several batches one name: add {batch}, or "
                                       "{first_offset:020} and {gen}"));
  }
  return made;
}

Result<> S3KeyTemplate::add(std::string_view path, Result<Piece> piece) {
  if (!path.empty()) {
    Result<Piece> before = parse_path(path);
    if (!before) return fail(std::move(before.error()));
    pieces_.push_back(std::move(*before));
  }
  if (!piece) return fail(std::move(piece.error()));
  pieces_.push_back(std::move(*piece));
  return {};
}

Result<S3KeyTemplate::Piece> S3KeyTemplate::parse_path(std::string_view text) {
  Result<PathTemplate> path = PathTemplate::parse(text);
  if (!path) return fail(std::move(path.error()));
  return Piece{.path = std::move(*path)};
}

Result<S3KeyTemplate::Piece> S3KeyTemplate::parse_place(std::string_view text) {
  if (text == "{prefix}") return Piece{.place = Place::prefix};
  if (text == "{gen}") return Piece{.place = Place::gen};
  if (text == "{batch}") return Piece{.place = Place::batch};
  std::string_view name = text.substr(1, std::max<std::size_t>(text.size(), 2) - 2);
  std::size_t digits = 1;
  if (const std::size_t colon = name.find(':'); colon != name.npos) {
    const std::string_view width = name.substr(colon + 1);
    const auto [end, error] = std::from_chars(width.data(), width.data() + width.size(), digits);
    if (!width.starts_with('0') || error != std::errc() || end != width.data() + width.size() ||
        digits < 1 || digits > kDigitsMax) {
      return unknown(text);
    }
    name = name.substr(0, colon);
  }
  if (name == "first_offset") return Piece{.place = Place::first_offset, .digits = digits};
  if (name == "tail") return Piece{.place = Place::tail, .digits = digits};
  return unknown(text);
}

bool S3KeyTemplate::has(Place place) const {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [&](const Piece& each) { return each.place == place; });
}

std::string S3KeyTemplate::stem(const Names& names, const Batch& batch) const {
  std::string made;
  for (const Piece& piece : pieces_) {
    switch (piece.place) {
      case Place::path:
        made += piece.path.path(
            {.host = names.host, .file = batch.file, .created_ms = batch.created_ms});
        break;
      case Place::prefix:
        made += names.prefix;
        break;
      case Place::first_offset:
        made += padded(batch.first_offset, piece.digits);
        break;
      case Place::tail:
        made += padded(batch.first_tail, piece.digits);
        break;
      case Place::gen:
        made += generation(batch);
        break;
      case Place::batch:
        made += batch.id;
        break;
    }
  }
  // Where there is no prefix.
  made.erase(0, std::min(made.find_first_not_of('/'), made.size()));
  made = clean(made);
  if (made.size() <= kBytesMax) return made;
  const std::string whole = to_hex(content_hash(made).low, 16);
  made.resize(utf8_prefix(made, kBytesMax - whole.size() - 1).size());
  return made + "-" + whole;
}

std::string s3_suffix(BodyForm form, Coding coding) {
  std::string made = form == BodyForm::raw ? ".log" : ".ndjson";
  return made.append(file_suffix(coding));
}

std::string with_suffix(std::string stem, std::string_view suffix) {
  if (!stem.ends_with(suffix)) stem += suffix;
  return stem;
}

}  // namespace consort::logsaver
