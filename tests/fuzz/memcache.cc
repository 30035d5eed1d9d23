// Fuzzes both memcached parsers: however the bytes are split, the messages are the same, and they
// are those of a slow parser that uses strings and the C library as the server does.
//
// The first byte chooses requests or replies, the second seeds the sizes of the pieces.
#include "wire/memcache.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "base/random.hpp"

namespace {

using namespace consort;
using namespace consort::memcache;
using Words = std::vector<std::string>;

/// Bytes in an allocation of exactly their size, so that one byte too far is seen.
class Exact {
 public:
  explicit Exact(std::string_view bytes)
      : bytes_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

/// What was forwarded must be, to a parser of its own, one plain request with the same keys.
void check_forward(const RequestParser& parser, std::string_view bytes) {
  std::string forward;
  parser.append_forward(forward, bytes);
  if (parser.is_canonical() && forward != bytes.substr(0, parser.size())) std::abort();
  RequestParser again;
  if (again.parse(forward) != Progress::done || again.size() != forward.size()) std::abort();
  if (!again.is_canonical() || !again.error_reply().empty()) std::abort();
  if (again.first_key() != parser.first_key() || again.last_key() != parser.last_key()) {
    std::abort();
  }
  for (std::size_t i = parser.first_key(); i < parser.last_key(); ++i) {
    if (again.word(i, forward) != parser.word(i, bytes)) std::abort();
    std::string key;
    if (parser.base64_key() && !decode_base64(parser.word(i, bytes), key)) std::abort();
  }
}

/// All requests of the input, parsed in pieces, as text.
std::string parse_requests(std::string_view input, Random* pieces) {
  std::string log;
  RequestParser parser;
  std::size_t start = 0;
  std::size_t end = 0;
  while (end < input.size()) {
    const std::size_t left = input.size() - end;
    end += pieces == nullptr ? left : 1 + pieces->below(std::min<std::size_t>(left, 40));
    while (start < end) {
      const Exact bytes(input.substr(start, end - start));
      const Progress progress = parser.parse(bytes.view());
      if (progress == Progress::error) return log + "close";
      if (progress == Progress::more) break;
      log += std::to_string(parser.size()) + (parser.quiet() ? " quiet " : " ");
      log += parser.error_reply();
      if (parser.error_reply().empty()) {
        check_forward(parser, bytes.view());
        for (std::size_t i = parser.first_key(); i < parser.last_key(); ++i) {
          (log += parser.word(i, bytes.view())) += ",";
        }
        log += "\n";
      }
      // The rest is the body of a request that is too large.
      if (parser.to_discard() > 0) return log + std::to_string(parser.to_discard());
      start += parser.size();
      parser.reset();
    }
  }
  return log + "more";
}

/// The server's rules for one line, on copies of its words.
class RequestOracle {
 public:
  explicit RequestOracle(std::string_view input) : rest_(input) {}

  std::string run() {
    if (rest_.starts_with('\x80')) return "close";
    while (!rest_.empty()) {
      const std::size_t lf = rest_.find('\n');
      if (std::min(lf, rest_.size()) > kMaxLine) {
        if (!is_long_get(rest_.substr(0, kMaxLine))) return log_ + "close";
      }
      if (lf == std::string_view::npos) break;
      std::string line(rest_.substr(0, lf));
      if (line.ends_with('\r')) line.pop_back();
      split(line.c_str());
      reply_.clear();
      keys_.clear();
      quiet_ = false;
      body_ = -1;
      judge();
      if (const char* stop = finish(lf + 1)) return log_ + stop;
    }
    return log_ + "more";
  }

 private:
  static bool is_long_get(std::string_view text) {
    std::size_t blanks = 0;
    while (blanks < text.size() && text[blanks] == ' ') ++blanks;
    for (const char* name : {"get ", "gets ", "gat ", "gats "}) {
      if (blanks <= 100 && text.substr(blanks).starts_with(name)) return true;
    }
    return false;
  }

  void split(const char* line) {
    words_.assign(1, "");
    for (; *line != '\0'; ++line) {
      if (*line != ' ') {
        words_.back() += *line;
      } else if (!words_.back().empty()) {
        words_.emplace_back();
      }
    }
    if (words_.back().empty()) words_.pop_back();
  }

  static bool ends_number(const char* start, const char* end) {
    return end != start && errno == 0 &&
           (*end == '\0' || std::isspace(static_cast<unsigned char>(*end)) != 0);
  }
  static bool to_signed(const std::string& word, int& value) {
    char* end = nullptr;
    errno = 0;
    value = static_cast<int>(std::strtol(word.c_str(), &end, 10));
    return ends_number(word.c_str(), end);
  }
  static bool is_unsigned_number(const std::string& word) {
    char* end = nullptr;
    errno = 0;
    const unsigned long long value = std::strtoull(word.c_str(), &end, 10);
    if (!ends_number(word.c_str(), end)) return false;
    return static_cast<long long>(value) >= 0 || word.find('-') == std::string::npos;
  }
  bool is_expiry(std::size_t i) const {
    int ignored = 0;
    return to_signed(words_[i], ignored);
  }

  bool count_is(std::size_t least, std::size_t most = SIZE_MAX) {
    if (words_.size() >= least && words_.size() <= most) return true;
    reply_ = "ERROR";
    return false;
  }
  void look_for_noreply() { quiet_ = words_.back() == "noreply"; }
  bool take_keys(std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      bool good = words_[i].size() <= 250;
      for (const char c : words_[i])
        good = good && std::iscntrl(static_cast<unsigned char>(c)) == 0;
      if (!good) {
        keys_.clear();
        reply_ = kBadFormat;
        return false;
      }
      keys_ += words_[i] + ",";
    }
    return true;
  }

  void judge() {
    const std::string name = words_.empty() ? "" : words_[0];
    const auto is = [&name](std::initializer_list<const char*> names) {
      return std::ranges::any_of(names, [&name](const char* n) { return name == n; });
    };
    meta_ = is({"mg", "ms", "md", "ma", "me", "mn"});
    if (is({"get", "gets", "bget"})) {
      if (count_is(2)) take_keys(1, words_.size());
    } else if (is({"gat", "gats"})) {
      judge_gat();
    } else if (is({"set", "add", "replace", "append", "prepend"})) {
      if (count_is(5, 6)) judge_storage(false);
    } else if (name == "cas") {
      if (count_is(6, 7)) judge_storage(true);
    } else if (is({"incr", "decr", "touch"})) {
      judge_number(name == "touch");
    } else if (name == "delete") {
      judge_delete();
    } else if (is({"flush_all", "verbosity", "cache_memlimit"})) {
      judge_keyless(name);
    } else if (is({"mg", "md", "ma", "ms"})) {
      if (count_is(2)) judge_meta(name);
    } else if (name == "me") {
      judge_debug();
    } else if (is({"lru", "extstore", "lru_crawler", "slabs", "watch"})) {
      judge_admin(name);
    } else if (!is({"mn", "version", "stats", "quit", "shutdown", "refresh_certs"})) {
      reply_ = "ERROR";
    }
  }

  void judge_gat() {
    if (!count_is(2)) return;
    if (!is_expiry(1)) {
      reply_ = "CLIENT_ERROR invalid exptime argument";
    } else if (words_.size() == 2) {
      reply_ = "END";
    } else {
      take_keys(2, words_.size());
    }
  }

  void judge_storage(bool has_cas) {
    look_for_noreply();
    int length = 0;
    if (words_[1].size() > 250 || !is_unsigned_number(words_[2]) || !is_expiry(3) ||
        !to_signed(words_[4], length) || (has_cas && !is_unsigned_number(words_[5])) ||
        length < 0 || length > INT_MAX - 2) {
      reply_ = kBadFormat;
      return;
    }
    take_keys(1, 2);
    body_ = length;
  }

  void judge_number(bool is_touch) {
    if (!count_is(3, 4)) return;
    look_for_noreply();
    if (!take_keys(1, 2)) return;
    if (is_touch && !is_expiry(2)) reply_ = "CLIENT_ERROR invalid exptime argument";
    if (!is_touch && !is_unsigned_number(words_[2])) {
      reply_ = "CLIENT_ERROR invalid numeric delta argument";
    }
  }

  void judge_delete() {
    if (!count_is(2, 4)) return;
    std::string options;
    for (std::size_t i = 2; i < words_.size(); ++i) options += " " + words_[i];
    if (!options.empty()) look_for_noreply();
    if (options.empty() || options == " 0" || options == " noreply" || options == " 0 noreply") {
      take_keys(1, 2);
    } else if (options.size() != 0) {
      reply_ = std::string(kBadFormat) + ".  Usage: delete <key> [noreply]";
    }
  }

  void judge_keyless(const std::string& name) {
    const bool flushes = name == "flush_all";
    if (!count_is(flushes ? 1 : 2, 3)) return;
    look_for_noreply();
    if (flushes) {
      const bool plain = words_.size() == (quiet_ ? 2 : 1);
      if (!plain && !is_expiry(1)) reply_ = "CLIENT_ERROR invalid exptime argument";
    } else if (!is_unsigned_number(words_[1])) {
      reply_ = name == "verbosity" ? kBadFormat : "ERROR";
    }
  }

  void judge_admin(const std::string& name) {
    const bool silenced = words_.back() == "noreply";
    const std::string verb = words_.size() > 1 ? words_[1] : "";
    const std::size_t count = words_.size();
    if (name == "watch") {
      quiet_ = silenced;
      for (std::size_t i = 1; i < count; ++i) {
        const std::string kinds =
            " fetchers mutations evictions connevents proxyreqs proxyevents proxyuser ";
        if (kinds.find(" " + words_[i] + " ") == std::string::npos) reply_ = "ERROR";
      }
    } else if (name == "lru_crawler") {
      const bool number = verb == "sleep" || verb == "tocrawl";
      const bool classes = verb == "crawl" || verb == "metadump" || verb == "mgdump";
      if (count == 3 && (number || classes)) {
        if (silenced) reply_ = number ? kBadFormat : "BADCLASS invalid class id";
      } else if (count != 2 || (verb != "enable" && verb != "disable")) {
        reply_ = "ERROR";
      }
    } else if (name == "slabs" && verb != "automove") {
      if (count == 1 || silenced) reply_ = "ERROR";
      if (count == 4 && silenced && verb == "reassign") reply_ = kBadFormat;
    } else if (count_is(2)) {
      quiet_ = silenced;
      const bool only_noreply = std::ranges::count(words_, "noreply") == std::ptrdiff_t(count - 1);
      if (silenced && only_noreply) reply_ = "ERROR";
    }
  }

  void judge_meta(const std::string& name) {
    const bool sets = name == "ms";
    const bool too_long = words_[1].size() > 250;
    int length = 0;
    if (too_long || (sets && words_.size() == 2) || (!sets && !take_keys(1, 2))) {
      reply_ = kBadFormat;
    } else if (words_.size() > 19) {
      reply_ =
          std::string("CLIENT_ERROR options flags ") + (name == "mg" ? "are " : "") + "too long";
    } else if (sets && (!to_signed(words_[2], length) || length < 0 || length > INT_MAX - 2)) {
      reply_ = kBadFormat;
    } else {
      std::string flags;
      for (std::size_t i = sets ? 3 : 2; i < words_.size(); ++i) flags += words_[i][0];
      quiet_ = std::ranges::count(flags, 'q') == 1;
      if (sets) body_ = length;
      if (sets && !take_keys(1, 2)) return;
      std::string key;
      if (flags.find('b') != std::string::npos && !decode_base64(words_[1], key)) {
        const bool reads = sets || name == "mg";
        reply_ =
            reads ? "CLIENT_ERROR error decoding key" : "CLIENT_ERROR invalid or duplicate flag";
      }
    }
  }

  void judge_debug() {
    std::string key;
    const bool is_base64 = words_.size() > 2 && words_[2] == "b";
    if (words_.size() < 2 || (is_base64 && !decode_base64(words_[1], key))) {
      reply_ = kBadFormat;
    } else {
      take_keys(1, 2);
    }
  }

  /// Takes the request off the input and writes it down.
  const char* finish(std::size_t used) {
    std::string discard;
    if (body_ > kMaxBody) {
      if (reply_.empty()) reply_ = "SERVER_ERROR object too large for cache";
      discard = std::to_string(body_ + 2);
    } else if (body_ >= 0) {
      used += static_cast<std::size_t>(body_) + 2;
      if (rest_.size() < used) return "more";
      if (reply_.empty() && rest_.substr(used - 2, 2) != "\r\n") {
        reply_ = "CLIENT_ERROR bad data chunk";
      }
    }
    if (meta_ && !reply_.empty()) quiet_ = false;
    log_ += std::to_string(used) + (quiet_ ? " quiet " : " ");
    log_ += reply_.empty() ? keys_ + "\n" : reply_ + "\r\n";
    rest_.remove_prefix(used);
    if (discard.empty()) return nullptr;
    log_ += discard;
    return "";
  }

  static constexpr const char* kBadFormat = "CLIENT_ERROR bad command line format";

  std::string_view rest_;
  std::string log_;
  Words words_;
  std::string reply_;
  std::string keys_;
  std::int64_t body_ = -1;
  bool quiet_ = false;
  bool meta_ = false;
};

std::string scan_replies(std::string_view input, Random* pieces) {
  std::string log;
  ReplyScanner scanner;
  std::size_t reply = 0;
  for (std::size_t end = 0; end < input.size();) {
    const std::size_t left = input.size() - end;
    const std::size_t take =
        pieces == nullptr ? left : 1 + pieces->below(std::min<std::size_t>(left, 40));
    const Exact bytes(input.substr(end, take));
    end += take;
    for (std::string_view rest = bytes.view(); !rest.empty();) {
      const ReplyScanner::Step step = scanner.scan(rest);
      if (step.progress == Progress::error) return log + "error";
      reply += step.used;
      rest.remove_prefix(step.used);
      if (scanner.idle() != (step.progress == Progress::done)) std::abort();
      if (step.progress == Progress::more) break;
      log += std::to_string(reply) + " ";
      reply = 0;
    }
  }
  return log + "more";
}

/// Replies line by line.
std::string read_replies(std::string_view rest) {
  std::string log;
  std::size_t reply = 0;
  while (!rest.empty()) {
    const std::size_t lf = rest.find('\n');
    if (lf == std::string_view::npos) break;
    const std::string line(rest.substr(0, lf));
    reply += lf + 1;
    rest.remove_prefix(lf + 1);
    const bool is_value = line.starts_with("VALUE ") || line.starts_with("CONFIG ");
    const bool has_body = is_value || line.starts_with("VA ");
    if (has_body) {
      std::string length = line.ends_with('\r') ? line.substr(0, lf - 1) : line;
      for (int i = 0; i < (is_value ? 3 : 1); ++i) {
        const std::size_t blank = length.find(' ');
        length = blank == std::string::npos ? "" : length.substr(blank + 1);
      }
      length = length.substr(0, length.find(' '));
      const bool digits = !length.empty() && length.find_first_not_of("0123456789") == length.npos;
      errno = 0;
      const unsigned long long body = digits ? std::strtoull(length.c_str(), nullptr, 10) : 0;
      if (!digits || errno != 0 || body > 4294967296 || lf + 1 >= 512) return log + "error";
      if (rest.size() > body && rest[body] != '\r') return log + "error";
      if (rest.size() > body + 1 && rest[body + 1] != '\n') return log + "error";
      if (rest.size() < body + 2) break;
      rest.remove_prefix(body + 2);
      reply += body + 2;
    }
    bool goes_on = is_value;
    for (const char* list : {"STAT ", "ITEM ", "PREFIX ", "key="}) {
      goes_on = goes_on || line.starts_with(list);
    }
    if (goes_on) continue;
    log += std::to_string(reply) + " ";
    reply = 0;
  }
  return log + "more";
}

void use_values(std::string_view input) {
  ValueReader reader(input);
  ValueReader::Value value;
  std::size_t walked = 0;
  while (reader.next(value)) walked += value.block.size();
  if (walked + reader.tail().size() != input.size()) std::abort();
  classify(input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  Random pieces(data[1]);
  if (data[0] % 2 == 0) {
    const std::string whole = parse_requests(input, nullptr);
    if (parse_requests(input, &pieces) != whole) std::abort();
    if (RequestOracle(input).run() != whole) std::abort();
  } else {
    const std::string whole = scan_replies(input, nullptr);
    if (scan_replies(input, &pieces) != whole) std::abort();
    if (read_replies(input) != whole) std::abort();
    use_values(input);
  }
  return 0;
}
