#include "wire/redis_command_reply.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>

#include "wire/redis_command_names.hpp"

namespace consort::redis {

namespace {

/// Numbers of a key specification, whichever of them its kind has.
struct SearchFields {
  std::string_view type;
  std::string_view keyword;
  std::int64_t index = 0;
  std::int64_t startfrom = 0;
  std::int64_t lastkey = 0;
  std::int64_t keystep = 0;
  std::int64_t limit = 0;
  std::int64_t keynumidx = 0;
  std::int64_t firstkey = 0;
};

constexpr struct {
  std::string_view name;
  std::int64_t SearchFields::* number;
} kSearchNumbers[] = {
    {"index", &SearchFields::index},       {"startfrom", &SearchFields::startfrom},
    {"lastkey", &SearchFields::lastkey},   {"keystep", &SearchFields::keystep},
    {"limit", &SearchFields::limit},       {"keynumidx", &SearchFields::keynumidx},
    {"firstkey", &SearchFields::firstkey},
};

bool is_between(std::int64_t value, std::int64_t least, std::int64_t most) {
  return value >= least && value <= most;
}

constexpr std::int64_t kMostNumber = std::numeric_limits<std::int16_t>::max();

/// False when find_keys() cannot evaluate it.
bool make_key_spec(const SearchFields& begin, const SearchFields& find, KeySpec& spec) {
  const auto narrow = [](std::int64_t value) { return static_cast<std::int16_t>(value); };
  spec = {};
  if (begin.type == "index" && is_between(begin.index, 1, kMostNumber)) {
    spec.begin = narrow(begin.index);
  } else if (begin.type == "keyword" && begin.startfrom != 0 &&
             is_between(begin.startfrom, -kMostNumber, kMostNumber) &&
             is_between(static_cast<std::int64_t>(begin.keyword.size()), 1, kMaxCommandName)) {
    spec.begin = narrow(begin.startfrom);
    spec.keyword = begin.keyword;
  } else {
    return false;
  }
  if (!is_between(find.keystep, 1, kMostNumber)) return false;
  spec.step = narrow(find.keystep);
  if (find.type == "range" && is_between(find.lastkey, -kMostNumber, kMostNumber) &&
      is_between(find.limit, 0, kMostNumber)) {
    spec.find = KeySpec::Find::range;
    spec.last = narrow(find.lastkey);
    spec.limit = find.lastkey < 0 && find.limit > 1 ? narrow(find.limit) : std::int16_t{0};
    return true;
  }
  spec.find = KeySpec::Find::keynum;
  spec.last = narrow(find.keynumidx);
  spec.first = narrow(find.firstkey);
  return find.type == "keynum" && is_between(find.keynumidx, 0, kMostNumber) &&
         is_between(find.firstkey, 0, kMostNumber);
}

/// The value of a tip, as its number in the list; what we do not know needs special treatment,
/// which is the last of each list.
template <class Policy, std::size_t N>
Policy policy_of(std::string_view value, const std::string_view (&names)[N]) {
  const auto at = static_cast<std::size_t>(std::ranges::find(names, value) - std::begin(names));
  return static_cast<Policy>(std::min(at, N - 1));
}

bool is_plain(char c) {
  return c > ' ' && c != '\x7f';
}

class Reader {
 public:
  explicit Reader(std::string_view reply) : reply_(reply), rest_(reply) {}

  Result<std::vector<CommandReply>> run() {
    std::vector<CommandReply> commands;
    if (rest_.size() > kMaxCommandReply) {
      refuse(Errc::limit, "is longer than " + std::to_string(kMaxCommandReply) + " bytes");
    } else if (rest_.starts_with('-')) {
      const std::string_view text = rest_.substr(1, std::min<std::size_t>(rest_.find('\r'), 200));
      return fail(Errc::denied, "the server refuses COMMAND: " + one_line(text));
    } else if (read_entries(commands, Level::command) && !rest_.empty()) {
      refuse(Errc::protocol, "goes on after its end");
    } else if (error_.empty() && commands.empty()) {
      refuse(Errc::protocol, "names no command");
    }
    if (!error_.empty()) return fail(code_, std::move(error_));
    return commands;
  }

 private:
  enum class Level : std::uint8_t { command, subcommand };

  static std::string one_line(std::string_view text) {
    std::string line(text.substr(0, text.find('\n')));
    std::erase_if(line, [](char c) { return static_cast<unsigned char>(c) < ' '; });
    return line;
  }

  bool read_entries(std::vector<CommandReply>& entries, Level level) {
    std::size_t count = 0;
    if (!read_list(count)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (++entries_ > kMaxCommands) {
        return refuse(Errc::limit, "has more than " + std::to_string(kMaxCommands) + " commands");
      }
      if (!read_entry(entries.emplace_back(), level)) return false;
    }
    return true;
  }

  bool read_entry(CommandReply& entry, Level level) {
    std::size_t size = 0;
    if (!read_list(size)) return false;
    if (size < 6) return expected("a command of at least 6 elements");
    if (!read_name(entry, level) || !read_number(entry.arity) || !read_flags(entry) ||
        !read_number(entry.first_key) || !read_number(entry.last_key) ||
        !read_number(entry.key_step)) {
      return false;
    }
    entry.has_details = size >= 10;
    if (!entry.has_details) return skip(size - 6);
    if (!skip(1) || !read_tips(entry) || !read_key_specs(entry)) return false;
    // A subcommand has none of its own; if it ever does, they are beyond this table.
    const bool is_read =
        level == Level::command ? read_entries(entry.subcommands, Level::subcommand) : skip(1);
    return is_read && skip(size - 10);
  }

  bool read_name(CommandReply& entry, Level level) {
    if (!read_text(entry.name)) return false;
    if (level == Level::subcommand) entry.name.remove_prefix(entry.name.rfind('|') + 1);
    if (entry.name.size() > kMaxCommandName) {
      return refuse(Errc::limit, "has a command name of more than " +
                                     std::to_string(kMaxCommandName) + " bytes");
    }
    // It will stand in error replies, which are one line.
    if (entry.name.empty() || !std::ranges::all_of(entry.name, is_plain)) {
      return expected("a command's name");
    }
    return true;
  }

  bool read_flags(CommandReply& entry) {
    std::size_t count = 0;
    if (!read_list(count)) return false;
    for (std::string_view word; count > 0; --count) {
      if (!read_text(word)) return false;
      const auto* known = std::ranges::find(kFlagNames, word, &FlagName::name);
      if (known != std::end(kFlagNames)) entry.flags |= known->flag;
    }
    return true;
  }

  bool read_tips(CommandReply& entry) {
    constexpr std::string_view kRequest = "request_policy:";
    constexpr std::string_view kResponse = "response_policy:";
    std::size_t count = 0;
    if (!read_list(count)) return false;
    for (std::string_view tip; count > 0; --count) {
      if (!read_text(tip)) return false;
      if (tip.starts_with(kRequest)) {
        entry.request_policy =
            policy_of<RequestPolicy>(tip.substr(kRequest.size()), kRequestPolicies);
      } else if (tip.starts_with(kResponse)) {
        entry.response_policy =
            policy_of<ResponsePolicy>(tip.substr(kResponse.size()), kResponsePolicies);
      }
    }
    return true;
  }

  bool read_key_specs(CommandReply& entry) {
    std::size_t count = 0;
    if (!read_list(count)) return false;
    for (; count > 0; --count) {
      KeySpec spec{};
      bool is_usable = true;
      if (!read_key_spec(spec, is_usable)) return false;
      if (!is_usable || entry.key_specs.size() == KeyRule::kMaxSpecs) {
        entry.has_unusable_keys = true;
      } else {
        entry.key_specs.push_back(spec);
      }
    }
    return true;
  }

  bool read_key_spec(KeySpec& spec, bool& is_usable) {
    std::size_t pairs = 0;
    if (!read_map(pairs)) return false;
    SearchFields begin;
    SearchFields find;
    for (std::string_view key; pairs > 0; --pairs) {
      if (!read_text(key)) return false;
      bool is_read = false;
      if (key == "flags") {
        is_read = read_spec_flags(is_usable);
      } else if (key == "begin_search") {
        is_read = read_search(begin);
      } else if (key == "find_keys") {
        is_read = read_search(find);
      } else {
        is_read = skip(1);
      }
      if (!is_read) return false;
    }
    is_usable = make_key_spec(begin, find, spec) && is_usable;
    return true;
  }

  bool read_spec_flags(bool& is_usable) {
    std::size_t count = 0;
    if (!read_list(count)) return false;
    for (std::string_view word; count > 0; --count) {
      if (!read_text(word)) return false;
      if (word == "incomplete") is_usable = false;
    }
    return true;
  }

  /// {type: .., spec: {..}}. The names within do not clash, so that the order does not matter.
  bool read_search(SearchFields& fields) {
    std::size_t pairs = 0;
    if (!read_map(pairs)) return false;
    for (std::string_view key; pairs > 0; --pairs) {
      if (!read_text(key)) return false;
      if (key == "type") {
        if (!read_text(fields.type)) return false;
      } else if (key == "spec") {
        if (!read_search_fields(fields)) return false;
      } else if (!skip(1)) {
        return false;
      }
    }
    return true;
  }

  bool read_search_fields(SearchFields& fields) {
    std::size_t pairs = 0;
    if (!read_map(pairs)) return false;
    for (std::string_view key; pairs > 0; --pairs) {
      if (!read_text(key)) return false;
      const auto* known = std::ranges::find(kSearchNumbers, key, [](auto& n) { return n.name; });
      bool is_read = false;
      if (known != std::end(kSearchNumbers)) {
        is_read = read_number(fields.*known->number);
      } else if (key == "keyword") {
        is_read = read_text(fields.keyword);
      } else {
        is_read = skip(1);
      }
      if (!is_read) return false;
    }
    return true;
  }

  // The values of RESP. Each is refused where it begins.

  /// The elements of an array, set or push; a null is an empty list. The count is not believed:
  /// each element must come.
  bool read_list(std::size_t& count) {
    char type = 0;
    std::string_view line;
    if (!read_header(type, line)) return false;
    count = 0;
    if (type == '_' || ((type == '*' || type == '$') && line == "-1")) return true;
    const bool is_list = type == '*' || type == '~' || type == '>';
    return (is_list && to_number(line, count)) || expected("a list");
  }

  /// The pairs of a map, or of an array of keys and values.
  bool read_map(std::size_t& pairs) {
    char type = 0;
    std::string_view line;
    if (!read_header(type, line)) return false;
    if (type == '%' && to_number(line, pairs)) return true;
    if (type != '*' || !to_number(line, pairs) || pairs % 2 != 0) return expected("a map");
    pairs /= 2;
    return true;
  }

  bool read_text(std::string_view& text) {
    char type = 0;
    std::string_view line;
    if (!read_header(type, line)) return false;
    text = line;
    if (type == '+') return true;
    std::size_t length = 0;
    if (type != '$' || !to_number(line, length)) return expected("a word");
    if (length > rest_.size() || rest_.size() - length < 2) return breaks_off();
    text = rest_.substr(0, length);
    if (rest_.substr(length, 2) != "\r\n") return expected("a word of the length it says");
    rest_.remove_prefix(length + 2);
    return true;
  }

  template <class Number>
  bool read_number(Number& number) {
    char type = 0;
    std::string_view line;
    if (!read_header(type, line)) return false;
    return (type == ':' && to_number(line, number)) || expected("a number in range");
  }

  bool skip(std::size_t values) {
    for (; values > 0; --values) {
      value_at_ = rest_;
      resp::ReplyScanner scanner;
      const resp::ReplyScanner::Step step = scanner.scan(rest_);
      if (step.progress == resp::Progress::more) return breaks_off();
      if (step.progress == resp::Progress::error) return expected("a value");
      rest_.remove_prefix(step.used);
    }
    return true;
  }

  /// The first line of a value: its type byte and what follows it. Attributes before it are passed
  /// over.
  bool read_header(char& type, std::string_view& line) {
    for (;;) {
      value_at_ = rest_;
      const std::size_t end = rest_.find("\r\n");
      if (end == std::string_view::npos) return breaks_off();
      if (end == 0) return expected("a value");
      type = rest_[0];
      line = rest_.substr(1, end - 1);
      rest_.remove_prefix(end + 2);
      if (type != '|') return true;
      std::uint32_t pairs = 0;
      if (!to_number(line, pairs)) return expected("a value");
      if (!skip(std::size_t{pairs} * 2)) return false;
    }
  }

  template <class Number>
  static bool to_number(std::string_view text, Number& number) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && stop == end;
  }

  bool expected(const std::string& what) {
    const auto at = static_cast<std::size_t>(value_at_.data() - reply_.data());
    return refuse(Errc::protocol, "should have " + what + " at byte " + std::to_string(at));
  }
  bool breaks_off() { return refuse(Errc::protocol, "breaks off"); }
  bool refuse(Errc code, const std::string& what) {
    code_ = code;
    error_ = "the server's reply to COMMAND " + what;
    return false;
  }

  const std::string_view reply_;
  std::string_view rest_;
  std::string_view value_at_;  ///< from the value that is read now
  std::size_t entries_ = 0;
  Errc code_ = Errc::protocol;
  std::string error_;
};

}  // namespace

Result<std::vector<CommandReply>> read_command_reply(std::string_view reply) {
  return Reader(reply).run();
}

}  // namespace consort::redis
