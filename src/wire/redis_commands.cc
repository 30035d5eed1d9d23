#include "wire/redis_commands.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace consort::redis {

namespace {

enum class Find : std::uint8_t { range, keynum };
enum class Special : std::uint8_t { none, sort, migrate };

/// One of the server's key specifications.
struct KeySpec {
  std::string_view keyword;  ///< begins after it; empty: begins at `position`
  int position;              ///< of the first key, or where the search for the keyword starts
  Find find;
  int last;   ///< range: last key after the first, or from the end if negative; keynum: where
              ///< the number is, after the beginning
  int step;   ///< from key to key
  int limit;  ///< range: only the first 1/limit of the rest are keys; keynum: of the first key
};

/// How the keys of a group of commands are found: by at most three specifications, or by code of
/// ours where the server has none.
struct KeyRule {
  KeySpec specs[3];
  std::uint8_t count;
  Special special;
};

using Rq = RequestPolicy;
using Rs = ResponsePolicy;
#include "wire/redis_command_table.inc"

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

constexpr bool same_word(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

bool same_word_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

/// FNV-1a over the letters without their case. The fold is coarse; equal hashes are compared.
constexpr std::uint32_t hash_of(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<std::uint32_t>(c | 0x20)) * 16777619u;
  return hash ^ (hash >> 15);
}

// Open addressing, a quarter full: a look-up rarely passes its first slot.
constexpr std::size_t kSlots = 1024;
constexpr std::uint16_t kNone = 0xffff;
static_assert(kCommandCount * 4 <= kSlots);

constexpr auto kIndex = [] {
  std::array<std::uint16_t, kSlots> index{};
  index.fill(kNone);
  for (std::uint16_t i = 0; i < kCommandCount; ++i) {
    std::size_t slot = hash_of(kCommands[i].name) % kSlots;
    while (index[slot] != kNone) slot = (slot + 1) % kSlots;
    index[slot] = i;
  }
  return index;
}();

constexpr std::size_t kMaxName = [] {
  std::size_t longest = 0;
  for (std::size_t i = 0; i < kCommandCount; ++i) {
    longest = std::max(longest, kCommands[i].name.size());
  }
  return longest;
}();

/// A decimal number of keys; false for what no server takes.
bool read_count(std::string_view text, std::size_t& count) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return !text.empty() && error == std::errc() && stop == end;
}

class KeyFinder {
 public:
  KeyFinder(const Arguments& arguments, std::vector<std::uint32_t>& positions)
      : arguments_(arguments), argc_(static_cast<std::int64_t>(arguments.size())), out_(positions) {
    out_.clear();
  }

  bool run(const KeyRule& rule) {
    switch (rule.special) {
      case Special::sort:
        return find_sort();
      case Special::migrate:
        return find_migrate();
      case Special::none:
        break;
    }
    bool found = rule.count == 0;
    for (std::size_t i = 0; i < rule.count; ++i) {
      const KeySpec& spec = rule.specs[i];
      std::int64_t first = spec.position;
      if (!spec.keyword.empty()) {
        first = find_keyword(spec);
        if (first == 0) continue;  // an option that is not used, or XREAD without STREAMS
      }
      const bool ok = spec.find == Find::range ? add_range(spec, first) : add_keynum(spec, first);
      if (!ok) return false;
      found = true;
    }
    std::ranges::sort(out_);
    return found;
  }

 private:
  void add(std::int64_t position) { out_.push_back(static_cast<std::uint32_t>(position)); }
  std::string_view word(std::int64_t i) const { return arguments_[static_cast<std::size_t>(i)]; }

  /// The argument after the keyword; 0 when it is not there or ends the request.
  std::int64_t find_keyword(const KeySpec& spec) const {
    for (std::int64_t i = spec.position; i + 1 < argc_; ++i) {
      if (same_word_any_case(word(i), spec.keyword)) return i + 1;
    }
    return 0;
  }

  bool add_range(const KeySpec& spec, std::int64_t first) {
    std::int64_t last = first + spec.last;
    if (spec.last < 0) {
      const std::int64_t rest = argc_ - first;
      if (spec.limit > 1 && rest % spec.limit != 0) return false;
      last = spec.limit > 1 ? first + rest / spec.limit + spec.last : argc_ + spec.last;
    }
    if (first >= argc_ || last >= argc_ || last < first) return false;
    // The values that follow the last key must be there too (MSET).
    if (last == argc_ - 1 && (last - first + 1) % spec.step != 0) return false;
    for (std::int64_t i = first; i <= last; i += spec.step) add(i);
    return true;
  }

  bool add_keynum(const KeySpec& spec, std::int64_t begin) {
    const std::int64_t at = begin + spec.last;
    std::size_t count = 0;
    if (at >= argc_ || !read_count(word(at), count)) return false;
    const std::int64_t first = begin + spec.limit;
    const auto room = static_cast<std::size_t>(std::max<std::int64_t>(argc_ - first, 0));
    if (count > room) return false;
    for (std::size_t i = 0; i < count; ++i) add(first + static_cast<std::int64_t>(i) * spec.step);
    return true;
  }

  /// SORT key [BY p] [LIMIT o n] [GET p ...] [STORE destination]: the last STORE counts.
  bool find_sort() {
    if (argc_ < 2) return false;
    std::int64_t store = 0;
    for (std::int64_t i = 2; i < argc_; ++i) {
      if (same_word(word(i), "limit")) {
        i += 2;
      } else if (same_word(word(i), "by") || same_word(word(i), "get")) {
        i += 1;
      } else if (same_word(word(i), "store") && i + 1 < argc_) {
        store = ++i;
      }
    }
    add(1);
    if (store != 0) add(store);
    return true;
  }

  /// MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p] [AUTH2 u p] [KEYS key ...]
  bool find_migrate() {
    if (argc_ < 6) return false;
    for (std::int64_t i = 6; i < argc_ && word(3).empty(); ++i) {
      if (same_word(word(i), "auth")) {
        i += 1;
      } else if (same_word(word(i), "auth2")) {
        i += 2;
      } else if (same_word(word(i), "keys")) {
        for (std::int64_t key = i + 1; key < argc_; ++key) add(key);
        return i + 1 < argc_;
      }
    }
    if (word(3).empty()) return false;
    add(3);
    return true;
  }

  const Arguments& arguments_;
  const std::int64_t argc_;
  std::vector<std::uint32_t>& out_;
};

constexpr std::size_t kMaxShown = 128;  // bytes of a name, or of all arguments, in an error

/// As much of it as "%.128s" prints: a NUL ends it.
std::string_view shown(std::string_view text, std::size_t limit) {
  return text.substr(0, std::min(limit, text.find('\0')));
}

/// Error replies have no line ends within.
std::string on_one_line(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return text;
}

}  // namespace

const Command* find_command(std::string_view name) {
  if (name.size() > kMaxName) return nullptr;
  for (std::size_t slot = hash_of(name) % kSlots; kIndex[slot] != kNone;
       slot = (slot + 1) % kSlots) {
    const Command& command = kCommands[kIndex[slot]];
    if (same_word(name, command.name)) return &command;
  }
  return nullptr;
}

const Command* find_subcommand(const Command& command, std::string_view name) {
  const std::span<const Command> subcommands =
      std::span(kCommands).subspan(command.first_subcommand, command.subcommand_count);
  for (const Command& subcommand : subcommands) {
    if (same_word(name, subcommand.name)) return &subcommand;
  }
  return nullptr;
}

std::span<const Command> all_commands() {
  return std::span(kCommands).first(kCommandCount);
}

bool find_keys(const Command& command, const Arguments& arguments,
               std::vector<std::uint32_t>& positions) {
  if (KeyFinder(arguments, positions).run(kKeyRules[command.key_rule])) return true;
  positions.clear();
  return false;
}

std::string unknown_command_error(const Arguments& arguments) {
  std::string shown_arguments;
  for (std::size_t i = 1; i < arguments.size() && shown_arguments.size() < kMaxShown; ++i) {
    const std::size_t room = kMaxShown - shown_arguments.size();
    shown_arguments += '\'';
    shown_arguments += shown(arguments[i], room);
    shown_arguments += "' ";
  }
  std::string text = "ERR unknown command '";
  text += shown(arguments[0], kMaxShown);
  text += "', with args beginning with: " + shown_arguments;
  return on_one_line(std::move(text));
}

std::string unknown_subcommand_error(const Arguments& arguments) {
  std::string text = "ERR unknown subcommand '";
  text += shown(arguments[1], kMaxShown);
  text += "'. Try ";
  for (const char c : arguments[0]) {
    text += c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
  }
  text += " HELP.";
  return on_one_line(std::move(text));
}

std::string wrong_arity_error(std::string_view name) {
  std::string text = "ERR wrong number of arguments for '";
  text += name;
  return text + "' command";
}

}  // namespace consort::redis
