#include "roles/logsaver/records/glob.hpp"

#include <algorithm>
#include <utility>

#include "base/options.hpp"

namespace consort::logsaver {

namespace {

constexpr std::size_t kBracesMax = 32;

std::size_t index_of(char c) {
  return static_cast<unsigned char>(c);
}

/// The next name of a path, without the slashes around it; empty at the end.
std::string_view take_name(std::string_view& path) {
  for (;;) {
    const std::size_t begin = std::min(path.find_first_not_of('/'), path.size());
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    path.remove_prefix(end);
    if (name != ".") return name;
  }
}

/// Behind the class that opens at `at`, or behind its bracket when it is not closed.
std::size_t skip_class(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  if (end < text.size() && (text[end] == '!' || text[end] == '^')) ++end;
  if (end < text.size() && text[end] == ']') ++end;
  while (end < text.size() && text[end] != ']') end += text[end] == '\\' ? 2 : 1;
  return end < text.size() ? end + 1 : at + 1;
}

/// Of what may hide a brace or comma: an escape or a class at `at`; else one byte.
std::size_t skip_unit(std::string_view text, std::size_t at) {
  if (text[at] == '\\') return std::min(at + 2, text.size());
  return text[at] == '[' ? skip_class(text, at) : at + 1;
}

}  // namespace

/// Reads a pattern: first its braces, then names, then the pieces of each name.
class GlobReader {
 public:
  explicit GlobReader(std::string_view text) : text_(text) {}

  Result<Glob> read() {
    if (text_.empty()) return refuse("it is empty");
    if (text_.size() > Glob::kBytesMax) return refuse("it is longer than 4096 bytes");
    if (text_.find('\0') != text_.npos) return refuse("it has a NUL byte");
    if (std::count(text_.begin(), text_.end(), '{') > static_cast<std::ptrdiff_t>(kBracesMax)) {
      return refuse("more than 32 braces");
    }
    Result<> expanded = expand(std::string(text_));
    if (!expanded) return fail(std::move(expanded.error()));
    Glob glob;
    glob.is_absolute_ = expanded_.front().starts_with('/');
    for (const std::string& alternative : expanded_) {
      if (alternative.starts_with('/') != glob.is_absolute_) {
        return refuse("one alternative begins with / and another does not");
      }
      Result<Glob::Alternative> names = read_names(alternative);
      if (!names) return fail(std::move(names.error()));
      glob.alternatives_.push_back(std::move(*names));
    }
    return glob;
  }

 private:
  tl::unexpected<Error> refuse(const std::string& why) const {
    return fail(Errc::invalid, in_quotes(text_) + " is not a pattern for paths: " + why);
  }

  /// Adds to expanded_ what the braces in `text` make of it.
  Result<> expand(const std::string& text) {
    std::size_t open = 0;
    while (open < text.size() && text[open] != '{') open = skip_unit(text, open);
    if (open == text.size()) {
      if (expanded_.size() == Glob::kAlternativesMax) {
        return refuse("its braces make more than 64 alternatives");
      }
      expanded_.push_back(text);
      return {};
    }
    std::vector<std::string> choices(1);
    std::size_t at = open + 1;
    for (int depth = 1; depth > 0;) {
      if (at >= text.size()) return refuse("a { is not closed (write \\{ for the brace itself)");
      const std::size_t next = skip_unit(text, at);
      if (text[at] == '{') ++depth;
      if (text[at] == '}') --depth;
      if (text[at] == ',' && depth == 1) {
        choices.emplace_back();
      } else if (depth > 0) {
        choices.back().append(text, at, next - at);
      }
      at = next;
    }
    for (const std::string& choice : choices) {
      Result<> done = expand(text.substr(0, open) + choice + text.substr(at));
      if (!done) return done;
    }
    return {};
  }

  Result<Glob::Alternative> read_names(std::string_view text) {
    if (text.empty() || text.back() == '/') {
      return refuse("it names a directory (for all files in it write DIRECTORY/*)");
    }
    Glob::Alternative names;
    while (!text.empty()) {
      const std::string_view name = take_name(text);
      if (name.empty()) break;
      if (name == "..") return refuse("write the path without \"..\"");
      Result<Glob::Name> made = read_name(name);
      if (!made) return fail(std::move(made.error()));
      // Twice is the same as once.
      const bool is_repeated =
          made->is_directories && !names.empty() && names.back().is_directories;
      if (!is_repeated) names.push_back(std::move(*made));
    }
    if (names.empty()) return refuse("it names no file");
    if (names.back().is_directories) {
      names.push_back({.pieces = {{.kind = Glob::Piece::Kind::star}}});
    }
    if (names.size() > Glob::kNamesMax) return refuse("it has more than 60 names");
    return names;
  }

  Result<Glob::Name> read_name(std::string_view text) {
    Glob::Name name;
    if (text == "**") {
      name.is_directories = true;
      return name;
    }
    for (std::size_t at = 0; at < text.size();) {
      Glob::Piece piece;
      const char c = text[at++];
      if (c == '*') {
        piece.kind = Glob::Piece::Kind::star;
        const bool is_repeated =
            !name.pieces.empty() && name.pieces.back().kind == Glob::Piece::Kind::star;
        if (is_repeated) continue;
      } else if (c == '?') {
        piece.kind = Glob::Piece::Kind::any;
      } else if (c == '[') {
        Result<> read = read_set(text, at, piece);
        if (!read) return fail(std::move(read.error()));
      } else if (c == '\\' && at == text.size()) {
        return refuse("a backslash stands before nothing");
      } else {
        piece.byte = c == '\\' ? text[at++] : c;
      }
      name.pieces.push_back(piece);
    }
    return name;
  }

  /// Behind the opening bracket.
  Result<> read_set(std::string_view text, std::size_t& at, Glob::Piece& piece) {
    piece.kind = Glob::Piece::Kind::set;
    const bool is_negated = at < text.size() && (text[at] == '!' || text[at] == '^');
    if (is_negated) ++at;
    for (bool is_first = true;; is_first = false) {
      if (at < text.size() && text[at] == ']' && !is_first) break;
      if (text.substr(at).starts_with("[:")) {
        return refuse("names of classes such as [:digit:] are not known (write [0-9])");
      }
      char low = '\0';
      if (!read_set_byte(text, at, low)) {
        return refuse("a [ is not closed before the next slash (write \\[ for the bracket itself)");
      }
      char high = low;
      if (text.size() - at >= 2 && text[at] == '-' && text[at + 1] != ']') {
        ++at;
        if (!read_set_byte(text, at, high)) return refuse("a range in [] has no end");
      }
      if (index_of(high) < index_of(low)) {
        return refuse("the range " + std::string{low, '-', high} + " in [] is the wrong way round");
      }
      for (std::size_t i = index_of(low); i <= index_of(high); ++i) piece.set.set(i);
    }
    ++at;
    if (is_negated) piece.set.flip();
    return {};
  }

  static bool read_set_byte(std::string_view text, std::size_t& at, char& byte) {
    if (at < text.size() && text[at] == '\\') ++at;
    if (at >= text.size()) return false;
    byte = text[at++];
    return true;
  }

  std::string_view text_;
  std::vector<std::string> expanded_;
};

Result<Glob> Glob::compile(std::string_view text) {
  return GlobReader(text).read();
}

bool Glob::matches(std::string_view path) const {
  if (path.starts_with('/') != is_absolute_) return false;
  return std::any_of(alternatives_.begin(), alternatives_.end(), [path](const Alternative& names) {
    return (reachable(names, path) >> names.size() & 1) != 0;
  });
}

std::string Glob::fixed_directory() const {
  const auto fixed = [](const Alternative& names) {
    std::vector<std::string> found;
    for (std::size_t i = 0; i + 1 < names.size() && names[i].is_fixed(); ++i) {
      std::string& name = found.emplace_back();
      for (const Piece& piece : names[i].pieces) name += piece.byte;
    }
    return found;
  };
  std::vector<std::string> common = fixed(alternatives_.front());
  for (const Alternative& names : alternatives_) {
    const std::vector<std::string> other = fixed(names);
    const auto ends = std::mismatch(common.begin(), common.end(), other.begin(), other.end());
    common.erase(ends.first, common.end());
  }
  std::string directory;
  for (const std::string& name : common) {
    if (is_absolute_ || !directory.empty()) directory += '/';
    directory += name;
  }
  if (directory.empty()) directory = is_absolute_ ? "/" : ".";
  return directory;
}

bool Glob::may_match_below(std::string_view directory) const {
  if (directory.starts_with('/') != is_absolute_) return false;
  return std::any_of(alternatives_.begin(), alternatives_.end(),
                     [directory](const Alternative& names) {
                       const std::uint64_t whole = std::uint64_t{1} << names.size();
                       return (reachable(names, directory) & (whole - 1)) != 0;
                     });
}

/// Bit i: all of the path is matched by the first i names.
std::uint64_t Glob::reachable(const Alternative& names, std::string_view path) {
  // No directory for ** is a way on too.
  const auto with_none = [&names](std::uint64_t states) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i].is_directories && (states >> i & 1) != 0) states |= std::uint64_t{2} << i;
    }
    return states;
  };
  std::uint64_t states = with_none(1);
  for (std::string_view name = take_name(path); !name.empty() && states != 0;
       name = take_name(path)) {
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if ((states >> i & 1) == 0) continue;
      if (names[i].is_directories && name.front() != '.') next |= std::uint64_t{1} << i;
      if (!names[i].is_directories && names[i].matches(name)) next |= std::uint64_t{2} << i;
    }
    states = with_none(next);
  }
  return states;
}

bool Glob::Name::is_fixed() const {
  return !is_directories && std::all_of(pieces.begin(), pieces.end(), [](const Piece& piece) {
    return piece.kind == Piece::Kind::byte;
  });
}

/// Only the last star is tried with more bytes: whatever an earlier one could take, it can.
bool Glob::Name::matches(std::string_view name) const {
  if (name.front() == '.' && pieces.front().kind != Piece::Kind::byte) return false;
  std::size_t at = 0;
  std::size_t piece = 0;
  std::size_t star = pieces.size();  // the last one; none yet
  std::size_t star_end = 0;          // behind what it takes
  while (at < name.size()) {
    if (piece < pieces.size() && pieces[piece].kind == Piece::Kind::star) {
      star = piece++;
      star_end = at;
      continue;
    }
    const bool fits = piece < pieces.size() && (pieces[piece].kind == Piece::Kind::any ||
                                                (pieces[piece].kind == Piece::Kind::set
                                                     ? pieces[piece].set[index_of(name[at])]
                                                     : pieces[piece].byte == name[at]));
    if (fits) {
      ++at;
      ++piece;
    } else if (star < pieces.size()) {
      at = ++star_end;
      piece = star + 1;
    } else {
      return false;
    }
  }
  while (piece < pieces.size() && pieces[piece].kind == Piece::Kind::star) ++piece;
  return piece == pieces.size();
}

}  // namespace consort::logsaver
