#include "wire/docker_json.hpp"

#include <array>
#include <cstddef>
#include <cstring>

#include "wire/json_scan.hpp"
#include "wire/json_scan_blocks.hpp"
#include "wire/rfc3339.hpp"

namespace consort {
namespace {

using json_blocks::BracketWalker;
using json_blocks::Fastest;
using json_blocks::skip_space;

constexpr std::string_view kEscapedNewline = "\\n";

/// The members as they are written, strings without their quotes; null data for absent.
struct RawMembers {
  std::string_view log;
  std::string_view stream;
  std::string_view time;
  const char* log_escape = nullptr;  ///< the first backslash of the log
};

/// Walks over one object; every read_* is false where the text is something else.
class MemberReader {
 public:
  explicit MemberReader(std::string_view line)
      : at_(line.data()), end_(line.data() + line.size()) {}

  bool read(RawMembers& members) {
    if (!take('{')) return false;
    do {
      std::string_view key;
      const char* escape = nullptr;
      if (!read_string(key, escape) || escape != nullptr || !take(':')) return false;
      std::string_view* const wanted = wanted_member(members, key);
      if (wanted == nullptr) {
        if (!skip_value()) return false;
        continue;
      }
      if (wanted->data() != nullptr || !read_string(*wanted, escape)) return false;
      if (wanted == &members.log) members.log_escape = escape;
    } while (take(','));
    return take('}') && skip_space(at_, end_) == end_;
  }

 private:
  static std::string_view* wanted_member(RawMembers& members, std::string_view key) {
    if (key == "log") return &members.log;
    if (key == "stream") return &members.stream;
    if (key == "time") return &members.time;
    return nullptr;
  }

  bool take(char c) {
    at_ = skip_space(at_, end_);
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool read_string(std::string_view& raw, const char*& escape) {
    if (!take('"')) return false;
    const char* const begin = at_;
    while ((at_ = Fastest::find_quote(at_, end_)) < end_ && *at_ == '\\') {
      if (escape == nullptr) escape = at_;
      if (end_ - at_ < 2) return false;
      at_ += 2;
    }
    if (at_ == end_) return false;
    raw = {begin, static_cast<std::size_t>(at_ - begin)};
    ++at_;
    return true;
  }

  /// Of a member that nobody asks for, such as attrs; check_json() says whether it is a value.
  bool skip_value() {
    at_ = skip_space(at_, end_);
    const char* const begin = at_;
    if (at_ == end_) return false;
    if (*at_ == '"') {
      std::string_view raw;
      const char* escape = nullptr;
      if (!read_string(raw, escape)) return false;
    } else if (*at_ == '{' || *at_ == '[') {
      at_ = BracketWalker<Fastest>::find_end(at_, end_);
      if (at_ == nullptr) return false;
    } else {
      while (at_ < end_ && *at_ != ',' && *at_ != '}') ++at_;
    }
    return check_json({begin, static_cast<std::size_t>(at_ - begin)}).has_value();
  }

  const char* at_;
  const char* end_;
};

bool is_hex(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
}

/// Whether raw begins with \uXXXX.
bool is_code_unit(std::string_view raw) {
  return raw.size() >= 6 && raw[0] == '\\' && raw[1] == 'u' && is_hex(raw[2]) && is_hex(raw[3]) &&
         is_hex(raw[4]) && is_hex(raw[5]);
}

/// By the letter behind the backslash; 0 for none.
constexpr std::array<char, 256> kMeanings = [] {
  std::array<char, 256> table{};
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
  for (std::size_t i = 0; i < kLetters.size(); ++i) {
    table[static_cast<unsigned char>(kLetters[i])] = kMeant[i];
  }
  return table;
}();

/// Writes what the \uXXXX at the front stands for; how many bytes of raw it takes, or 0 when it is
/// none.
std::size_t write_code_point(char*& out, std::string_view raw) {
  if (!is_code_unit(raw)) return 0;
  // Only a pair of surrogates means one character, of four bytes. Texts so short are not allocated.
  constexpr std::size_t kUnitBytes = 6;
  std::size_t used = kUnitBytes;
  std::string character;
  if (is_code_unit(raw.substr(kUnitBytes))) {
    character = unescape_json_string(raw.substr(0, 2 * kUnitBytes));
    const bool is_pair = character.size() == 4 && (character[0] & 0xf8) == 0xf0;
    used = is_pair ? 2 * kUnitBytes : kUnitBytes;
  }
  if (used == kUnitBytes) character = unescape_json_string(raw.substr(0, kUnitBytes));
  std::memcpy(out, character.data(), character.size());
  out += character.size();
  return used;
}

/// The text, or nothing when there is a backslash that begins no escape.
std::optional<std::string_view> unescape(std::string_view raw, std::string& scratch) {
  // No escape is shorter than what it stands for.
  if (scratch.size() < raw.size()) scratch.resize(raw.size());
  char* out = scratch.data();
  const char* at = raw.data();
  const char* const end = at + raw.size();
  for (;;) {
    const char* const plain = Fastest::find_quote(at, end);
    std::memcpy(out, at, static_cast<std::size_t>(plain - at));
    out += plain - at;
    if (plain == end) break;
    const char meaning = kMeanings[static_cast<unsigned char>(plain[1])];
    if (meaning != 0) {
      *out++ = meaning;
      at = plain + 2;
      continue;
    }
    const std::string_view rest(plain, static_cast<std::size_t>(end - plain));
    const std::size_t used = write_code_point(out, rest);
    if (used == 0) return std::nullopt;
    at = plain + used;
  }
  return std::string_view(scratch.data(), static_cast<std::size_t>(out - scratch.data()));
}

}  // namespace

std::optional<DockerLine> parse_docker_json(std::string_view line, std::string& scratch) {
  RawMembers members;
  if (!MemberReader(line).read(members)) return std::nullopt;
  const bool is_stdout = members.stream == log_stream_name(LogStream::out);
  if (members.log.data() == nullptr ||
      (!is_stdout && members.stream != log_stream_name(LogStream::err))) {
    return std::nullopt;
  }
  const std::optional<std::int64_t> time_ns = parse_rfc3339_ns(members.time);
  if (!time_ns) return std::nullopt;

  DockerLine out{.text = members.log,
                 .time_ns = *time_ns,
                 .stream = is_stdout ? LogStream::out : LogStream::err,
                 .is_partial = true};
  if (members.log_escape == nullptr) return out;
  const std::string_view from_escape =
      members.log.substr(static_cast<std::size_t>(members.log_escape - members.log.data()));
  if (from_escape == kEscapedNewline) {
    out.text.remove_suffix(kEscapedNewline.size());
    out.is_partial = false;
    return out;
  }
  const std::optional<std::string_view> text = unescape(members.log, scratch);
  if (!text) return std::nullopt;
  out.text = *text;
  if (out.text.ends_with('\n')) {
    out.text.remove_suffix(1);
    out.is_partial = false;
  }
  return out;
}

}  // namespace consort
