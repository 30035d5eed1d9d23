// Request lines are judged by the rules of memcached 1.6.18, found by experiment:
//
//   - A line ends at LF, with or without one CR before it, or at a NUL within it.
//   - Words are separated by runs of blanks; the first is the command, case-sensitive.
//   - A wrong number of words is ERROR, and noreply is not looked at. Every later complaint is
//     silenced by a last word "noreply", except those about a meta command.
//   - A storage line that is refused does not take its body with it: the body is read as commands.
//     But a body that is too large, or ends badly, or follows wrong meta flags, is swallowed.
//   - lru_crawler and slabs (but for automove) do not know noreply, and always answer.
//   - A body is length + 2 bytes, whatever the last two are; what follows is the next request.
//
// Two things differ, for the safety of servers that many clients share: keys with control bytes are
// refused (and their body swallowed), and a line above kMaxLine is refused however it arrives.
#include <cstring>
#include <limits>

#include "wire/memcache.hpp"
#include "wire/memcache_words.hpp"

namespace consort::memcache {

namespace {

constexpr std::string_view kError = "ERROR\r\n";
constexpr std::string_view kBadFormat = "CLIENT_ERROR bad command line format\r\n";
constexpr std::string_view kBadExpiry = "CLIENT_ERROR invalid exptime argument\r\n";
constexpr std::string_view kBadDelta = "CLIENT_ERROR invalid numeric delta argument\r\n";
constexpr std::string_view kBadData = "CLIENT_ERROR bad data chunk\r\n";
constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache\r\n";
constexpr std::string_view kDeleteUsage =
    "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
constexpr std::string_view kBadBase64 = "CLIENT_ERROR error decoding key\r\n";
constexpr std::string_view kBadFlag = "CLIENT_ERROR invalid or duplicate flag\r\n";
constexpr std::string_view kManyFlags = "CLIENT_ERROR options flags too long\r\n";
constexpr std::string_view kBadClass = "BADCLASS invalid class id\r\n";
constexpr std::string_view kManyFlagsGet = "CLIENT_ERROR options flags are too long\r\n";

constexpr std::size_t kMaxMetaWords = 19;
constexpr std::size_t kMaxLeadingBlanks = 100;  // before a get that may be longer than kMaxLine
constexpr std::size_t kKeepWords = 8192;        // 64 KiB of words survive a reset()
constexpr char kBinaryMagic = '\x80';

/// A command's name and the numbers of words with which the server does not answer ERROR.
struct Entry {
  std::string_view name;
  Command command;
  std::size_t words_min;
  std::size_t words_max;
};

constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();

// The frequent ones first: the search is linear, and names of another length cost one comparison.
constexpr Entry kEntries[] = {
    {"get", Command::get, 2, kAny},
    {"set", Command::set, 5, 6},
    {"mg", Command::meta_get, 2, kAny},
    {"ms", Command::meta_set, 2, kAny},
    {"gets", Command::gets, 2, kAny},
    {"incr", Command::incr, 3, 4},
    {"decr", Command::decr, 3, 4},
    {"delete", Command::remove, 2, 4},
    {"add", Command::add, 5, 6},
    {"cas", Command::cas, 6, 7},
    {"touch", Command::touch, 3, 4},
    {"gat", Command::gat, 2, kAny},
    {"gats", Command::gats, 2, kAny},
    {"replace", Command::replace, 5, 6},
    {"append", Command::append, 5, 6},
    {"prepend", Command::prepend, 5, 6},
    {"md", Command::meta_delete, 2, kAny},
    {"ma", Command::meta_arithmetic, 2, kAny},
    {"me", Command::meta_debug, 1, kAny},
    {"mn", Command::meta_noop, 1, kAny},
    {"bget", Command::get, 2, kAny},  // undocumented, but every server has it
    {"version", Command::version, 1, kAny},
    {"stats", Command::stats, 1, kAny},
    {"quit", Command::quit, 1, kAny},
    {"flush_all", Command::flush_all, 1, 3},
    {"verbosity", Command::verbosity, 2, 3},
    {"cache_memlimit", Command::cache_memlimit, 2, 3},
    {"shutdown", Command::shutdown, 1, kAny},
    {"watch", Command::watch, 1, kAny},
    {"lru", Command::admin, 2, kAny},
    {"lru_crawler", Command::admin, 2, kAny},
    {"slabs", Command::admin, 2, kAny},
    {"extstore", Command::admin, 2, kAny},
    {"refresh_certs", Command::admin, 1, kAny},
};

const Entry* find_entry(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

bool is_control(char c) {
  return (c >= 0 && c < ' ') || c == '\x7f';
}

/// Whether a line that has grown beyond kMaxLine may go on.
bool may_be_long(std::string_view line) {
  const std::size_t start = line.find_first_not_of(' ');
  if (start == std::string_view::npos || start > kMaxLeadingBlanks) return false;
  const std::string_view text = line.substr(start);
  return text.starts_with("get ") || text.starts_with("gets ") || text.starts_with("gat ") ||
         text.starts_with("gats ");
}

}  // namespace

bool is_retrieval(Command command) {
  return command <= Command::gats;
}
bool is_storage(Command command) {
  return (command >= Command::set && command <= Command::cas) || command == Command::meta_set;
}
bool is_meta(Command command) {
  return command >= Command::meta_get && command <= Command::meta_noop;
}

void RequestParser::reset() {
  words_.clear();
  if (words_.capacity() > kKeepWords) words_.shrink_to_fit();
  error_reply_ = {};
  scanned_ = size_ = to_discard_ = line_length_ = body_offset_ = first_key_ = last_key_ = 0;
  command_ = Command::unknown;
  line_done_ = canonical_ = quiet_ = base64_key_ = false;
}

Progress RequestParser::parse(std::string_view bytes) {
  if (!line_done_) {
    const Progress line = find_line(bytes);
    if (line != Progress::done) return line;
    line_done_ = true;
    judge(bytes);
  }
  if (body_offset_ < size_) return take_body(bytes);
  return Progress::done;
}

/// Finds the end of the command line and splits it.
Progress RequestParser::find_line(std::string_view bytes) {
  if (is_first_ && !bytes.empty() && bytes[0] == kBinaryMagic) return Progress::error;
  const std::string_view fresh = bytes.substr(scanned_);
  const void* lf = fresh.empty() ? nullptr : std::memchr(fresh.data(), '\n', fresh.size());
  scanned_ = lf == nullptr ? bytes.size()
                           : static_cast<std::size_t>(static_cast<const char*>(lf) - bytes.data());
  if (scanned_ > kMaxLine && !may_be_long(bytes.substr(0, kMaxLine))) return Progress::error;
  if (scanned_ > kMaxRetrievalLine) return Progress::error;
  if (lf == nullptr) return Progress::more;
  size_ = body_offset_ = scanned_ + 1;
  is_first_ = false;
  const bool has_cr = scanned_ > 0 && bytes[scanned_ - 1] == '\r';
  line_length_ = has_cr ? scanned_ - 1 : scanned_;
  canonical_ = has_cr;
  split_words(bytes.substr(0, line_length_));
  return Progress::done;
}

void RequestParser::split_words(std::string_view line) {
  const auto length = static_cast<std::uint32_t>(line.size());
  std::uint32_t start = 0;
  std::uint32_t at = 0;
  for (; at < length && line[at] != '\0'; ++at) {
    if (line[at] != ' ') continue;
    if (at == start) {
      canonical_ = false;
    } else {
      words_.push_back({start, at - start});
    }
    start = at + 1;
  }
  if (at != length || at == start) canonical_ = false;
  if (at > start) words_.push_back({start, at - start});
}

/// Looks the command up and decides, before any of its body is read, what becomes of the request.
void RequestParser::judge(std::string_view bytes) {
  const Entry* entry = words_.empty() ? nullptr : find_entry(word(0, bytes));
  if (entry == nullptr) return refuse(kError);
  command_ = entry->command;
  if (words() < entry->words_min || words() > entry->words_max) return refuse(kError);
  switch (command_) {
    case Command::get:
    case Command::gets:
    case Command::gat:
    case Command::gats:
      return judge_retrieval(bytes);
    case Command::set:
    case Command::add:
    case Command::replace:
    case Command::append:
    case Command::prepend:
    case Command::cas:
      return judge_storage(bytes);
    case Command::remove:
      return judge_delete(bytes);
    case Command::incr:
    case Command::decr:
    case Command::touch:
      return judge_number(bytes);
    case Command::meta_get:
    case Command::meta_delete:
    case Command::meta_arithmetic:
      return judge_meta(bytes);
    case Command::meta_set:
      return judge_meta_set(bytes);
    case Command::meta_debug:
      return judge_meta_debug(bytes);
    case Command::flush_all:
    case Command::verbosity:
    case Command::cache_memlimit:
      return judge_keyless(bytes);
    case Command::admin:
      return judge_admin(bytes);
    case Command::watch:
      return judge_watch(bytes);
    default:
      return;
  }
}

void RequestParser::judge_retrieval(std::string_view bytes) {
  const bool touches = command_ == Command::gat || command_ == Command::gats;
  const std::size_t first = touches ? 2 : 1;
  if (touches && !is_signed(word(1, bytes))) return refuse(kBadExpiry);
  if (words() == first) return refuse("END\r\n");  // gat without a key finds nothing
  if (has_bad_key(bytes, first, words())) return refuse(kBadFormat);
  first_key_ = first;
  last_key_ = words();
}

void RequestParser::judge_storage(std::string_view bytes) {
  quiet_ = is_noreply(bytes);
  const bool numbers_ok = is_unsigned(word(2, bytes)) && is_signed(word(3, bytes)) &&
                          (command_ != Command::cas || is_unsigned(word(5, bytes)));
  std::uint32_t length = 0;
  if (word(1, bytes).size() > kMaxKey || !numbers_ok || !read_length(word(4, bytes), length)) {
    return refuse(kBadFormat);
  }
  if (has_bad_key(bytes, 1, 2)) {
    refuse(kBadFormat);
  } else {
    first_key_ = 1;
    last_key_ = 2;
  }
  expect_body(length);
}

/// "delete k", "delete k 0", "delete k noreply" and "delete k 0 noreply".
void RequestParser::judge_delete(std::string_view bytes) {
  if (words() > 2) {
    quiet_ = is_noreply(bytes);
    const bool has_zero = word(2, bytes) == "0";
    const bool valid = words() == 3 ? has_zero || quiet_ : has_zero && quiet_;
    if (!valid) return refuse(kDeleteUsage);
  }
  if (has_bad_key(bytes, 1, 2)) return refuse(kBadFormat);
  first_key_ = 1;
  last_key_ = 2;
}

void RequestParser::judge_number(std::string_view bytes) {
  quiet_ = is_noreply(bytes);
  if (has_bad_key(bytes, 1, 2)) return refuse(kBadFormat);
  if (command_ == Command::touch) {
    if (!is_signed(word(2, bytes))) return refuse(kBadExpiry);
  } else if (!is_unsigned(word(2, bytes))) {
    return refuse(kBadDelta);
  }
  first_key_ = 1;
  last_key_ = 2;
}

void RequestParser::judge_keyless(std::string_view bytes) {
  quiet_ = is_noreply(bytes);
  if (command_ == Command::flush_all) {
    const bool has_delay = words() > (quiet_ ? 2u : 1u);
    if (has_delay && !is_signed(word(1, bytes))) refuse(kBadExpiry);
  } else if (!is_unsigned(word(1, bytes))) {
    refuse(command_ == Command::verbosity ? kBadFormat : kError);
  }
}

/// Most of these lines are for the server to judge. But whether it will answer at all must be known
/// here: lines on which 1.6.18 ignores noreply are answered here, as another version may obey it.
void RequestParser::judge_admin(std::string_view bytes) {
  const std::string_view name = word(0, bytes);
  if (name == "lru_crawler") return judge_crawler(bytes);
  if (name == "slabs") return judge_slabs(bytes);
  if (name == "refresh_certs") {
    if (words() > 1) canonical_ = false;
    words_.resize(1);  // it takes no argument, and cares about none
    return;
  }
  drop_repeated_noreply(bytes);
  if (quiet_ && words() == 2) refuse(kError);
}

void RequestParser::judge_crawler(std::string_view bytes) {
  const std::string_view verb = word(1, bytes);
  const bool dumps = verb == "metadump" || verb == "mgdump";
  const bool crawls = verb == "crawl";
  const bool sets_number = verb == "sleep" || verb == "tocrawl";
  const bool switches = verb == "enable" || verb == "disable";
  // An unknown verb stays here: a newer server might answer it with a list of another form.
  if (words() != (switches ? 2 : 3) || !(dumps || crawls || sets_number || switches)) {
    return refuse(kError);
  }
  if (is_noreply(bytes)) return refuse(sets_number ? kBadFormat : kBadClass);
  if (dumps) command_ = Command::dump;
}

void RequestParser::judge_slabs(std::string_view bytes) {
  const std::string_view verb = word(1, bytes);
  if (verb == "automove") {
    drop_repeated_noreply(bytes);
  } else if (is_noreply(bytes)) {
    refuse(verb == "reassign" && words() == 4 ? kBadFormat : kError);
  }
}

/// An unknown word, noreply among them, is an error.
void RequestParser::judge_watch(std::string_view bytes) {
  constexpr std::string_view kStreams[] = {"fetchers",  "mutations",   "evictions", "connevents",
                                           "proxyreqs", "proxyevents", "proxyuser"};
  quiet_ = is_noreply(bytes);
  for (std::size_t i = 1; i < words(); ++i) {
    const std::string_view stream = word(i, bytes);
    bool known = false;
    for (const std::string_view name : kStreams) known = known || name == stream;
    if (!known) return refuse(kError);
  }
}

/// mg, md and ma. Flags that are not known here pass: the server may know them.
void RequestParser::judge_meta(std::string_view bytes) {
  if (has_bad_key(bytes, 1, 2)) return refuse(kBadFormat);
  const bool is_get = command_ == Command::meta_get;
  if (words() > kMaxMetaWords) return refuse(is_get ? kManyFlagsGet : kManyFlags);
  read_meta_flags(bytes, 2);
  if (base64_key_ && !is_base64(word(1, bytes))) return refuse(is_get ? kBadBase64 : kBadFlag);
  first_key_ = 1;
  last_key_ = 2;
}

void RequestParser::judge_meta_set(std::string_view bytes) {
  if (word(1, bytes).size() > kMaxKey || words() == 2) return refuse(kBadFormat);
  if (words() > kMaxMetaWords) return refuse(kManyFlags);
  std::uint32_t length = 0;
  if (!read_length(word(2, bytes), length)) return refuse(kBadFormat);
  read_meta_flags(bytes, 3);
  if (has_bad_key(bytes, 1, 2)) {
    refuse(kBadFormat);
  } else if (base64_key_ && !is_base64(word(1, bytes))) {
    refuse(kBadBase64);
  } else {
    first_key_ = 1;
    last_key_ = 2;
  }
  expect_body(length);
}

/// me looks at nothing but a "b" right after the key.
void RequestParser::judge_meta_debug(std::string_view bytes) {
  if (words() < 2 || has_bad_key(bytes, 1, 2)) return refuse(kBadFormat);
  base64_key_ = words() > 2 && word(2, bytes) == "b";
  if (base64_key_ && !is_base64(word(1, bytes))) return refuse(kBadFormat);
  first_key_ = 1;
  last_key_ = 2;
}

/// Only a flag's first letter counts. A repeated q stays in: the server refuses it aloud.
void RequestParser::read_meta_flags(std::string_view bytes, std::size_t first) {
  std::size_t quiet_flags = 0;
  for (std::size_t i = first; i < words(); ++i) {
    const char flag = bytes[words_[i].offset];
    if (flag == 'q') ++quiet_flags;
    if (flag == 'b') base64_key_ = true;
  }
  quiet_ = quiet_flags == 1;
}

bool RequestParser::is_noreply(std::string_view bytes) const {
  return words() > 1 && word(words() - 1, bytes) == "noreply";
}

/// For lines that may have any number of words: only the last one is stripped, and another noreply
/// before it would silence what is forwarded.
void RequestParser::drop_repeated_noreply(std::string_view bytes) {
  quiet_ = is_noreply(bytes);
  while (quiet_ && words() > 2 && word(words() - 2, bytes) == "noreply") words_.pop_back();
}

bool RequestParser::has_bad_key(std::string_view bytes, std::size_t first, std::size_t last) const {
  for (std::size_t i = first; i < last; ++i) {
    const std::string_view key = word(i, bytes);
    if (key.size() > kMaxKey) return true;
    for (const char c : key) {
      if (is_control(c)) return true;
    }
  }
  return false;
}

void RequestParser::expect_body(std::uint32_t length) {
  const std::size_t body = std::size_t{length} + 2;
  if (length <= kMaxBody) {
    size_ += body;
    return;
  }
  to_discard_ = body;
  refuse(error_reply_.empty() ? kTooLarge : error_reply_);
}

Progress RequestParser::take_body(std::string_view bytes) {
  if (bytes.size() < size_) return Progress::more;
  if (error_reply_.empty() && !bytes.substr(0, size_).ends_with("\r\n")) refuse(kBadData);
  return Progress::done;
}

/// A meta command's complaints are never silenced.
void RequestParser::refuse(std::string_view reply) {
  error_reply_ = reply;
  if (is_meta(command_)) quiet_ = false;
  first_key_ = last_key_ = 0;
}

void RequestParser::append_forward(std::string& out, std::string_view bytes) const {
  if (is_canonical()) {
    out.append(bytes.substr(0, size_));
    return;
  }
  const bool meta = is_meta(command_);
  const std::size_t first_flag = command_ == Command::meta_set ? 3 : 2;
  const std::size_t end = words() - (quiet_ && !meta ? 1 : 0);
  for (std::size_t i = 0; i < end; ++i) {
    const std::string_view text = word(i, bytes);
    if (quiet_ && meta && i >= first_flag && text[0] == 'q') continue;
    if (i > 0) out += ' ';
    out.append(text);
  }
  out.append("\r\n");
  out.append(body(bytes));
}

}  // namespace consort::memcache
