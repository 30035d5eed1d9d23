// Fuzzes both RESP parsers: however the bytes are split, the messages are the same, and they are
// those of a slow parser that reads the rules from the protocol's text and the server's behaviour.
//
// The first byte chooses requests or replies, the second seeds the sizes of the pieces.
#include "wire/resp.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "base/random.hpp"
#include "wire/redis_commands.hpp"

namespace {

using namespace consort;
using resp::Progress;

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

void append_word(std::string& log, std::string_view word) {
  log += std::to_string(word.size()) + ":";
  log += word;
  log += ' ';
}

void use_commands(const resp::RequestParser& parser, std::string_view bytes) {
  if (parser.argc() == 0) return;
  const redis::Arguments arguments(parser, bytes);
  std::vector<std::uint32_t> keys;
  if (const redis::Command* command = redis::find_command(arguments[0])) {
    redis::find_keys(*command, arguments, keys);
  }
  for (const std::uint32_t key : keys) {
    if (key == 0 || key >= arguments.size()) std::abort();
  }
  if (redis::unknown_command_error(arguments).find('\n') != std::string::npos) std::abort();
}

/// All requests of the input, parsed in pieces, as text.
std::string parse_requests(std::string_view input, Random* pieces) {
  std::string log;
  resp::RequestParser parser;
  std::size_t start = 0;
  std::size_t end = 0;
  while (end < input.size()) {
    const std::size_t left = input.size() - end;
    end += pieces == nullptr ? left : 1 + pieces->below(std::min<std::size_t>(left, 40));
    while (start < end) {
      const Exact bytes(input.substr(start, end - start));
      const Progress progress = parser.parse(bytes.view());
      if (progress == Progress::error) return log + parser.error();
      if (progress == Progress::more) break;
      for (std::size_t i = 0; i < parser.argc(); ++i) {
        append_word(log, parser.arg(i, bytes.view()));
      }
      use_commands(parser, bytes.view());
      log += "\n";
      start += parser.size();
      parser.reset();
    }
  }
  return log + "more";
}

/// The rules of requests, one byte at a time and without memory between requests.
class RequestOracle {
 public:
  explicit RequestOracle(std::string_view input) : rest_(input) {}

  std::string run() {
    while (!rest_.empty()) {
      std::string words;
      const std::optional<std::string> stop = rest_[0] == '*' ? array(words) : words_of_line(words);
      if (stop) return log_ + *stop;
      log_ += words + "\n";
    }
    return log_ + "more";
  }

 private:
  static std::string refusal(const std::string& text) { return "ERR Protocol error: " + text; }

  /// Cuts a line off; what ends the parsing otherwise.
  std::optional<std::string> take_line(char end, std::size_t more, const std::string& too_big,
                                       std::string& line) {
    for (std::size_t i = 0; i < rest_.size() && rest_[i] != '\0'; ++i) {
      if (i > resp::kMaxInline) return refusal(too_big);
      if (rest_[i] != end) continue;
      if (i + more >= rest_.size()) return "more";
      line = rest_.substr(0, i);
      rest_.remove_prefix(i + 1 + more);
      return {};
    }
    return rest_.size() > resp::kMaxInline ? refusal(too_big) : "more";
  }

  static std::optional<std::int64_t> number(const std::string& text) {
    errno = 0;
    const std::int64_t value = std::strtoll(text.c_str(), nullptr, 10);
    // Only what prints as it was read is a number.
    if (errno != 0 || std::to_string(value) != text) return {};
    return value;
  }

  std::optional<std::string> array(std::string& words) {
    std::string line;
    if (auto stop = take_line('\r', 1, "too big mbulk count string", line)) return stop;
    const std::optional<std::int64_t> count = number(line.substr(1));
    if (!count || *count > resp::kMaxArgs) return refusal("invalid multibulk length");
    for (std::int64_t i = 0; i < *count; ++i) {
      if (rest_.empty()) return "more";
      if (auto stop = take_line('\r', 1, "too big bulk count string", line)) return stop;
      char got = line.empty() ? '\r' : line[0];
      if (got == '\r' || got == '\n') got = ' ';
      if (got != '$') return refusal(std::string("expected '$', got '") + got + "'");
      const std::optional<std::int64_t> length = number(line.substr(1));
      if (!length || *length < 0 || *length > resp::kMaxBulk) return refusal("invalid bulk length");
      if (rest_.size() < static_cast<std::size_t>(*length) + 2) return "more";
      append_word(words, rest_.substr(0, static_cast<std::size_t>(*length)));
      rest_.remove_prefix(static_cast<std::size_t>(*length) + 2);
    }
    return {};
  }

  std::optional<std::string> words_of_line(std::string& words) {
    std::string line;
    if (auto stop = take_line('\n', 0, "too big inline request", line)) return stop;
    if (line.ends_with('\r')) line.pop_back();
    std::string word;
    char quote = 0;
    bool in_word = false;
    bool closed = false;
    line += ' ';
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      const bool last = i + 1 == line.size();
      if (quote != 0) {
        if (last) return refusal("unbalanced quotes in request");
        if (c == quote) {
          quote = 0;
          closed = true;
        } else if (c == '\\' && i + 2 < line.size() && (quote == '"' || line[i + 1] == '\'')) {
          i += quote == '"' ? escape(line.substr(i + 1, line.size() - i - 2), word)
                            : (word += '\'', 1);
        } else {
          word += c;
        }
      } else if (closed ? std::isspace(static_cast<unsigned char>(c)) != 0
                        : in_word && std::strchr(" \n\r\t", c) != nullptr) {
        append_word(words, word);
        word.clear();
        in_word = closed = false;
      } else if (closed) {
        return refusal("unbalanced quotes in request");
      } else if (in_word || std::isspace(static_cast<unsigned char>(c)) == 0) {
        in_word = true;
        if (c == '"' || c == '\'') {
          quote = c;
        } else {
          word += c;
        }
      }
    }
    return {};
  }

  /// The text after a backslash; how much of it was used.
  static std::size_t escape(const std::string& text, std::string& word) {
    unsigned int value = 0;
    if (text.size() >= 3 && text[0] == 'x' && std::isxdigit(static_cast<unsigned char>(text[1])) &&
        std::isxdigit(static_cast<unsigned char>(text[2]))) {
      value = static_cast<unsigned int>(std::stoul(text.substr(1, 2), nullptr, 16));
      word += static_cast<char>(value);
      return 3;
    }
    const std::string_view codes = "nrtba";
    const std::size_t code = codes.find(text[0]);
    word += code == std::string_view::npos ? text[0] : "\n\r\t\b\a"[code];
    return 1;
  }

  std::string_view rest_;
  std::string log_;
};

std::string scan_replies(std::string_view input, Random* pieces) {
  std::string log;
  resp::ReplyScanner scanner;
  std::size_t reply = 0;
  for (std::size_t end = 0; end < input.size();) {
    const std::size_t left = input.size() - end;
    const std::size_t take =
        pieces == nullptr ? left : 1 + pieces->below(std::min<std::size_t>(left, 40));
    const Exact bytes(input.substr(end, take));
    end += take;
    for (std::string_view rest = bytes.view(); !rest.empty();) {
      const resp::ReplyScanner::Step step = scanner.scan(rest);
      if (step.progress == Progress::error) return log + "error";
      reply += step.used;
      rest.remove_prefix(step.used);
      if (scanner.idle() != (step.progress == Progress::done)) std::abort();
      if (step.progress == Progress::more) break;
      log += std::string(1, scanner.type()) + std::to_string(reply) + " ";
      reply = 0;
    }
  }
  return log + "more";
}

/// Reads replies by recursion, as the protocol is written down.
class ReplyOracle {
 public:
  explicit ReplyOracle(std::string_view input) : rest_(input) {}

  std::string run() {
    std::string log;
    while (!rest_.empty()) {
      const std::size_t before = rest_.size();
      char type = 0;
      if (const char* stop = value(0, type)) return log + stop;
      log += std::string(1, type) + std::to_string(before - rest_.size()) + " ";
    }
    return log + "more";
  }

 private:
  const char* length(std::int64_t& number) {
    std::string digits;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '\r' && !digits.empty() && digits != "-") {
        if (i + 1 == rest_.size()) return "more";
        if (rest_[i + 1] != '\n') return "error";
        number = std::stoll(digits);
        rest_.remove_prefix(i + 2);
        return nullptr;
      }
      if (c == '-' && digits.empty() && (rest_[0] == '$' || rest_[0] == '*')) {
        digits = "-";
        continue;
      }
      digits += c;
      const bool is_null = digits == "-1";
      if (!is_null && (c < '0' || c > '9' || digits[0] == '-')) return "error";
      if (digits.size() > 20 || std::stold(digits) > 1099511627776.0L) return "error";
    }
    return "more";
  }

  const char* value(std::size_t depth, char& type) {
    if (rest_.empty()) return "more";
    type = rest_[0];
    if (std::strchr("+-:#,(_", type) != nullptr && type != '\0') {
      const std::size_t end = rest_.find('\n');
      if (end == std::string_view::npos) return "more";
      if (rest_[end - 1] != '\r') return "error";
      rest_.remove_prefix(end + 1);
      return nullptr;
    }
    if (std::strchr("$=!*%~>|", type) == nullptr || type == '\0') return "error";
    std::int64_t number = 0;
    if (const char* stop = length(number)) return stop;
    if (std::strchr("$=!", type) != nullptr) return body(number);
    if (type == '%' || type == '|') number *= 2;
    if (number > 0 && depth == resp::ReplyScanner::kMaxDepth) return "error";
    char ignored = 0;
    for (std::int64_t i = 0; i < number; ++i) {
      if (const char* stop = value(depth + 1, ignored)) return stop;
    }
    return type == '|' ? value(depth, type) : nullptr;
  }

  const char* body(std::int64_t number) {
    if (number < 0) return nullptr;
    const auto size = static_cast<std::size_t>(number);
    if (rest_.size() > size && rest_[size] != '\r') return "error";
    if (rest_.size() > size + 1 && rest_[size + 1] != '\n') return "error";
    if (rest_.size() < size + 2) return "more";
    rest_.remove_prefix(size + 2);
    return nullptr;
  }

  std::string_view rest_;
};

void use_array(std::string_view input) {
  resp::ArrayReader reader(input);
  std::size_t count = 0;
  while (!reader.next().empty() && count < 10'000) ++count;
  std::int64_t ignored = 0;
  resp::read_integer(input, ignored);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  Random pieces(data[1]);
  std::string whole;
  if (data[0] % 2 == 0) {
    whole = parse_requests(input, nullptr);
    if (parse_requests(input, &pieces) != whole) std::abort();
    if (RequestOracle(input).run() != whole) std::abort();
  } else {
    whole = scan_replies(input, nullptr);
    if (scan_replies(input, &pieces) != whole) std::abort();
    if (ReplyOracle(input).run() != whole) std::abort();
    use_array(input);
  }
  return 0;
}
