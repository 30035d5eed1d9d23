#include "wire/redis_commands.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace consort::redis {

namespace {

enum class Find : std::uint8_t { range, keynum };
enum class Special : std::uint8_t { none, sort, migrate, xread, georadius };

/// One of the server's key specifications: a range of arguments, or a number and so many keys.
struct KeySpec {
  int position;  ///< range: of the first key; keynum: what the next numbers count from
  Find find;
  int last;   ///< range: last key after the first, or from the end if negative; keynum: the number
  int step;   ///< from key to key
  int first;  ///< keynum: the first key
};

/// How the keys of a group of commands are found: by at most two specifications, or by code of ours
/// where the server has none that says all.
struct KeyRule {
  KeySpec specs[2];
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

struct StreamOptions {
  std::int64_t streams_at = 0;  ///< where the word STREAMS is; 0: nowhere
  bool blocks = false;
};

/// The options of XREAD and XREADGROUP, read as the server reads them: what follows an option is a
/// value, whatever it looks like.
StreamOptions stream_options(const Arguments& arguments) {
  StreamOptions options;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (same_word(arguments[i], "streams")) {
      options.streams_at = static_cast<std::int64_t>(i);
      break;
    }
    if (same_word(arguments[i], "block")) {
      options.blocks = true;
      i += 1;
    } else if (same_word(arguments[i], "count")) {
      i += 1;
    } else if (same_word(arguments[i], "group")) {
      i += 2;
    }
  }
  return options;
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
      case Special::xread:
        return find_xread();
      case Special::georadius:
        return find_georadius();
      case Special::none:
        break;
    }
    for (std::size_t i = 0; i < rule.count; ++i) {
      const KeySpec& spec = rule.specs[i];
      if (!(spec.find == Find::range ? add_range(spec) : add_keynum(spec))) return false;
    }
    std::ranges::sort(out_);
    return true;
  }

 private:
  void add(std::int64_t position) { out_.push_back(static_cast<std::uint32_t>(position)); }
  std::string_view word(std::int64_t i) const { return arguments_[static_cast<std::size_t>(i)]; }

  bool add_range(const KeySpec& spec) {
    const std::int64_t first = spec.position;
    const std::int64_t last = spec.last < 0 ? argc_ + spec.last : first + spec.last;
    if (first >= argc_ || last >= argc_ || last < first) return false;
    // The values that follow the last key must be there too (MSET).
    if (last == argc_ - 1 && (last - first + 1) % spec.step != 0) return false;
    for (std::int64_t i = first; i <= last; i += spec.step) add(i);
    return true;
  }

  bool add_keynum(const KeySpec& spec) {
    const std::int64_t at = spec.position + spec.last;
    std::size_t count = 0;
    if (at >= argc_ || !read_count(word(at), count)) return false;
    const std::int64_t first = spec.position + spec.first;
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

  /// XREAD [COUNT n] [BLOCK ms] STREAMS key ... id ..., and XREADGROUP with [GROUP g c] [NOACK]:
  /// the options may come in any order, and names may be words of the syntax.
  bool find_xread() {
    const std::int64_t streams = stream_options(arguments_).streams_at;
    const std::int64_t rest = argc_ - streams - 1;
    if (streams == 0 || rest <= 0 || rest % 2 != 0) return false;
    for (std::int64_t i = 0; i < rest / 2; ++i) add(streams + 1 + i);
    return true;
  }

  /// GEORADIUS key x y radius unit ..., GEORADIUSBYMEMBER key member radius unit ...: the last
  /// STORE or STOREDIST counts.
  bool find_georadius() {
    if (argc_ < 5) return false;
    std::int64_t store = 0;
    for (std::int64_t i = 5; i + 1 < argc_; ++i) {
      if (same_word(word(i), "store") || same_word(word(i), "storedist")) store = ++i;
    }
    add(1);
    if (store != 0) add(store);
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

bool may_block(const Command& command, const Arguments& arguments) {
  if (!command.is(kBlocking)) return false;
  const bool blocks_on_demand = kKeyRules[command.key_rule].special == Special::xread;
  return !blocks_on_demand || stream_options(arguments).blocks;
}

bool reads_by_pattern(const Command& command, const Arguments& arguments) {
  if (kKeyRules[command.key_rule].special != Special::sort) return false;
  for (std::size_t i = 2; i + 1 < arguments.size(); ++i) {
    if (same_word(arguments[i], "limit")) {
      i += 2;
    } else if (same_word(arguments[i], "store")) {
      i += 1;
    } else if (same_word(arguments[i], "by") || same_word(arguments[i], "get")) {
      // Without a star it names no key: BY nosort, GET #.
      if (arguments[++i].find('*') != std::string_view::npos) return true;
    }
  }
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
