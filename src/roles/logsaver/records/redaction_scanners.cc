#include "roles/logsaver/records/redaction_scanners.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "roles/logsaver/records/redaction_candidates.hpp"

namespace consort::logsaver::scanners {

namespace {

using Maybe = std::optional<Found>;

constexpr std::array<std::string_view, kKinds> kNames = {"jwt",   "bearer", "aws-key",
                                                         "email", "ipv4",   "creditcard"};

/// Bits of kClasses.
enum Class : std::uint8_t {
  kDigit = 1,
  kLetter = 2,
  kBase64Url = 4,
  kBearerByte = 8,
  kCapitalOrDigit = 16,
  kLocalPart = 32,
  kDomain = 64,
  kCardByte = 128,
};

constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  const auto add = [&classes](std::string_view bytes, int bits) {
    for (const char c : bytes) {
      std::uint8_t& entry = classes[static_cast<unsigned char>(c)];
      entry = static_cast<std::uint8_t>(entry | bits);
    }
  };
  constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view kSmall = "abcdefghijklmnopqrstuvwxyz";
  constexpr int kAll = kBase64Url | kBearerByte | kLocalPart | kDomain;
  add("0123456789", kDigit | kCapitalOrDigit | kCardByte | kAll);
  add(kCapitals, kLetter | kCapitalOrDigit | kAll);
  add(kSmall, kLetter | kAll);
  add("-", kCardByte | kAll);
  add(" ", kCardByte);
  add("_", kBase64Url | kBearerByte | kLocalPart);
  add(".", kBearerByte | kLocalPart | kDomain);
  add("%+", kBearerByte | kLocalPart);
  add("!#$&*/:=?@^|~", kBearerByte);
  return classes;
}();

bool is(char c, int classes) {
  return (kClasses[static_cast<unsigned char>(c)] & classes) != 0;
}

std::size_t skip(std::string_view text, std::size_t at, int classes) {
  while (at < text.size() && is(text[at], classes)) ++at;
  return at;
}

bool has_at(std::string_view text, std::size_t at, std::string_view what) {
  return text.size() - at >= what.size() && text.substr(at, what.size()) == what;
}

/// The byte that \uXXXX at `at` stands for; -1 when there is none, or it is no ASCII.
int escaped_byte(std::string_view text, std::size_t at) {
  if (text.size() - at < 6 || text[at] != '\\' || text[at + 1] != 'u') return -1;
  int value = 0;
  for (const char c : text.substr(at + 2, 4)) {
    const char lower = static_cast<char>(c | 0x20);
    if (!is(c, kDigit) && (lower < 'a' || lower > 'f')) return -1;
    value = value * 16 + (is(c, kDigit) ? c - '0' : lower - 'a' + 10);
  }
  return value < 128 ? value : -1;
}

/// \n, \u003d and the like end at `at`, as JSON writes them.
bool is_after_escape(std::string_view text, std::size_t from, std::size_t at) {
  constexpr std::string_view kLetters = "bfnrt";
  if (at >= from + 2 && text[at - 2] == '\\') return kLetters.find(text[at - 1]) != kLetters.npos;
  return at >= from + 6 && escaped_byte(text, at - 6) >= 0;
}

Maybe find_jwt(std::string_view text, std::size_t from) {
  constexpr std::size_t kHeaderBytesMin = 10;
  constexpr int kPartsMax = 5;
  for (;;) {
    const std::size_t begin = text.find("eyJ", from);
    if (begin == text.npos) return std::nullopt;
    const std::size_t header = skip(text, begin, kBase64Url);
    // Another one that begins in this header would end where this one does.
    from = header;
    if (header - begin < kHeaderBytesMin || !has_at(text, header, ".")) continue;
    const std::size_t payload = skip(text, header + 1, kBase64Url);
    if (!has_at(text, payload, ".")) continue;
    std::size_t end = skip(text, payload + 1, kBase64Url);
    if (end == header + 2) continue;
    for (int parts = 3; parts < kPartsMax && has_at(text, end, "."); ++parts) {
      const std::size_t next = skip(text, end + 1, kBase64Url);
      if (next == end + 1) break;
      end = next;
    }
    return Found{begin, end};
  }
}

/// Escapes of what a token may have belong to it: "\/", "\u002B".
std::size_t skip_bearer_token(std::string_view text, std::size_t at) {
  for (;;) {
    at = skip(text, at, kBearerByte);
    const int escaped = at < text.size() ? escaped_byte(text, at) : -1;
    if (escaped >= 0 && is(static_cast<char>(escaped), kBearerByte)) {
      at += 6;
    } else if (has_at(text, at, "\\/")) {
      at += 2;
    } else {
      return at;
    }
  }
}

bool is_bearer(std::string_view word) {
  constexpr std::string_view kBearer = "bearer";
  return std::equal(word.begin(), word.end(), kBearer.begin(), kBearer.end(),
                    [](char c, char expected) { return (c | 0x20) == expected; });
}

Maybe find_bearer(std::string_view text, std::size_t from) {
  constexpr std::size_t kTokenBytesMin = 8;
  for (std::size_t begin = from; begin + 6 + kTokenBytesMin < text.size(); ++begin) {
    if ((text[begin] | 0x20) != 'b' || !is_bearer(text.substr(begin, 6))) continue;
    const std::size_t token = std::min(text.find_first_not_of(" \t", begin + 6), text.size());
    if (token == begin + 6) continue;
    const std::size_t end = skip_bearer_token(text, token);
    if (end - token >= kTokenBytesMin) return Found{begin, end};
  }
  return std::nullopt;
}

Maybe find_aws_key(std::string_view text, std::size_t from) {
  constexpr std::size_t kKeyBytesMin = 20;
  for (std::size_t at = from + 2;; ++at) {
    at = text.find("IA", at);
    if (at == text.npos) return std::nullopt;
    const char kind = text[at - 1];
    if (text[at - 2] != 'A' || (kind != 'K' && kind != 'S' && kind != 'B')) continue;
    const std::string_view key = text.substr(at - 2, kKeyBytesMin);
    if (skip(key, 0, kCapitalOrDigit) < kKeyBytesMin) continue;
    return Found{at - 2, skip(text, at, kCapitalOrDigit)};
  }
}

/// Blanks and dashes do not count.
bool passes_luhn(std::string_view digits) {
  int sum = 0;
  bool is_doubled = false;
  for (std::size_t i = digits.size(); i-- > 0;) {
    if (!is(digits[i], kDigit)) continue;
    const int value = digits[i] - '0';
    const int doubled = value < 5 ? 2 * value : 2 * value - 9;
    sum += is_doubled ? doubled : value;
    is_doubled = !is_doubled;
  }
  return sum % 10 == 0;
}

/// Behind the groups of that many digits that begin at `at`; npos when there are others.
std::size_t end_of_groups(std::string_view text, std::size_t at,
                          std::initializer_list<std::size_t> groups) {
  const char separator = text[at + 4];
  std::size_t end = at;
  for (const std::size_t digits : groups) {
    if (end != at && !has_at(text, end++, {&separator, 1})) return text.npos;
    if (text.size() - end < digits) return text.npos;
    if (skip(text.substr(0, end + digits), end, kDigit) != end + digits) return text.npos;
    end += digits;
  }
  return end;
}

bool is_card(std::string_view text, std::size_t begin, std::size_t end) {
  if (end == text.npos) return false;
  if (end < text.size() && is(text[end], kDigit | kLetter)) return false;
  return passes_luhn(text.substr(begin, end - begin));
}

Maybe card_at(std::string_view text, std::size_t begin, std::size_t run_end) {
  constexpr std::size_t kDigitsMin = 13;
  constexpr std::size_t kDigitsMax = 19;
  if (text[begin] < '2' || text[begin] > '6') return std::nullopt;
  if (run_end - begin >= kDigitsMin && run_end - begin <= kDigitsMax) {
    if (is_card(text, begin, run_end)) return Found{begin, run_end};
    return std::nullopt;
  }
  const bool has_groups = run_end - begin == 4 && run_end < text.size() &&
                          (text[run_end] == ' ' || text[run_end] == '-');
  if (!has_groups) return std::nullopt;
  for (const std::initializer_list<std::size_t> groups :
       {std::initializer_list<std::size_t>{4, 4, 4, 4}, {4, 4, 4, 4, 3}, {4, 6, 5}, {4, 6, 4}}) {
    const std::size_t end = end_of_groups(text, begin, groups);
    if (is_card(text, begin, end)) return Found{begin, end};
  }
  return std::nullopt;
}

/// A card that begins with the run of digits [begin, end), or behind an escape in it.
Maybe card_in_run(std::string_view text, std::size_t from, std::size_t begin, std::size_t end) {
  const char before = begin > from ? text[begin - 1] : ' ';
  if (before == '.' && begin - 1 > from && is(text[begin - 2], kDigit)) return std::nullopt;
  if (!is(before, kLetter) || is_after_escape(text, from, begin)) return card_at(text, begin, end);
  for (std::size_t at = begin + 1; at <= begin + 4 && at < end; ++at) {
    if (is_after_escape(text, from, at)) return card_at(text, at, end);
  }
  return std::nullopt;
}

/// A card is 13 or more bytes of digits, blanks and dashes, so that every 13th byte is enough to
/// meet it.
class CardFinder {
 public:
  CardFinder(std::string_view text, std::size_t from) : text_(text), from_(from), at_(from) {}

  Maybe find() {
    while (seek()) {
      if (const Maybe found = read_runs()) return found;
    }
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kCardBytesMin = 13;

  /// Moves at_ on to kCardBytesMin or more such bytes, if there are any.
  bool seek() {
    for (std::size_t probe = at_ + kCardBytesMin - 1; probe < text_.size();) {
      if (!is(text_[probe], kCardByte)) {
        probe += kCardBytesMin;
        continue;
      }
      std::size_t begin = probe;
      while (begin > at_ && is(text_[begin - 1], kCardByte)) --begin;
      const std::size_t end = skip(text_.substr(0, begin + kCardBytesMin), probe, kCardByte);
      at_ = end - begin == kCardBytesMin ? begin : end;
      if (at_ == begin) return true;
      probe = end + kCardBytesMin;
    }
    return false;
  }

  /// The runs of digits from at_ on, up to the first byte that no card has.
  Maybe read_runs() {
    while (at_ < text_.size() && is(text_[at_], kCardByte)) {
      const std::size_t begin = at_;
      at_ = skip(text_, begin, kDigit);
      if (at_ == begin) {
        ++at_;
      } else if (const Maybe found = card_in_run(text_, from_, begin, at_)) {
        return found;
      }
    }
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t from_;
  std::size_t at_;  ///< what is before was searched
};

/// Behind the number up to 255 at `at`, which no digit follows; npos when there is none.
std::size_t end_of_octet(std::string_view text, std::size_t at) {
  int value = 0;
  std::size_t end = at;
  for (; end < text.size() && end < at + 4 && is(text[end], kDigit); ++end) {
    value = value * 10 + (text[end] - '0');
  }
  return end == at || end == at + 4 || value > 255 ? text.npos : end;
}

std::size_t end_of_ipv4(std::string_view text, std::size_t begin) {
  std::size_t end = end_of_octet(text, begin);
  for (int dots = 0; dots < 3 && end != text.npos; ++dots) {
    if (!has_at(text, end, ".")) return text.npos;
    end = end_of_octet(text, end + 1);
  }
  return end;
}

Maybe find_ipv4(std::string_view text, std::size_t from) {
  for (std::size_t dot = from;; ++dot) {
    dot = text.find('.', dot);
    if (dot == text.npos) return std::nullopt;
    // The longest first number that is one: all its digits, or those behind an escape.
    for (std::size_t begin = dot - std::min<std::size_t>(dot - from, 3); begin < dot; ++begin) {
      if (skip(text, begin, kDigit) != dot) continue;
      const bool is_first = begin == from || !is(text[begin - 1], kDigit);
      if (!is_first && !is_after_escape(text, from, begin)) continue;
      const std::size_t end = end_of_ipv4(text, begin);
      if (end != text.npos) return Found{begin, end};
    }
  }
}

/// Behind the domain at `at`: up to its last dot that two letters follow, and the whole label after
/// it. npos when there is none.
std::size_t end_of_domain(std::string_view text, std::size_t at) {
  const std::size_t run_end = skip(text, at, kDomain);
  for (std::size_t dot = run_end; dot > at + 1;) {
    --dot;
    if (text[dot] != '.' || run_end - dot < 3) continue;
    if (!is(text[dot + 1], kLetter) || !is(text[dot + 2], kLetter)) continue;
    return std::min(text.substr(0, run_end).find('.', dot + 1), run_end);
  }
  return text.npos;
}

class EmailFinder {
 public:
  EmailFinder(std::string_view text, std::size_t from)
      : text_(text), from_(from), last_(from), local_(from) {}

  Maybe find() {
    for (std::size_t at = from_;; ++at) {
      at = text_.find_first_of("@%", at);
      if (at == text_.npos) return std::nullopt;
      if (text_[at] == '%' && !has_at(text_, at, "%40")) continue;
      move_local(at);
      if (local_ == at) continue;
      const std::size_t end = end_of_domain(text_, text_[at] == '@' ? at + 1 : at + 3);
      if (end != text_.npos) return Found{local_, end};
    }
  }

 private:
  /// Sets local_ to the first byte of the local part that ends at `end`. No byte is looked at
  /// twice: %40 may be part of the local part of the next.
  void move_local(std::size_t end) {
    std::size_t begin = end;
    for (;;) {
      while (begin > last_ && is(text_[begin - 1], kLocalPart)) --begin;
      // "\u002B" in the middle of it.
      const int escaped = begin > last_ && begin < end ? escaped_byte(text_, begin - 1) : -1;
      if (escaped < 0 || !is(static_cast<char>(escaped), kLocalPart)) break;
      --begin;
    }
    const bool goes_on = begin == last_ && is(text_[last_], kLocalPart);
    local_ = goes_on ? local_ : begin;
    last_ = end;
  }

  std::string_view text_;
  std::size_t from_;
  std::size_t last_;   ///< where the last local part ended
  std::size_t local_;  ///< where it began
};

std::uint32_t bit_of(Kind kind) {
  return 1U << static_cast<std::uint32_t>(kind);
}

}  // namespace

std::string_view to_string(Kind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<Kind> kind_of(std::string_view name) {
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (kNames[i] == name) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

std::uint32_t may_find(std::string_view text) {
  const std::uint32_t found = candidates::Fastest::find(text);
  std::uint32_t kinds = 0;
  if ((found & candidates::kJwt) != 0) kinds |= bit_of(Kind::jwt);
  if ((found & candidates::kBearer) != 0) kinds |= bit_of(Kind::bearer);
  if ((found & candidates::kAwsKey) != 0) kinds |= bit_of(Kind::aws_key);
  if ((found & candidates::kIpv4) != 0) kinds |= bit_of(Kind::ipv4);
  if ((found & candidates::kEmail) != 0) kinds |= bit_of(Kind::email);
  if ((found & candidates::kCard) != 0) kinds |= bit_of(Kind::creditcard);
  return kinds;
}

Maybe find(Kind kind, std::string_view text, std::size_t from) {
  switch (kind) {
    case Kind::jwt:
      return find_jwt(text, from);
    case Kind::bearer:
      return find_bearer(text, from);
    case Kind::aws_key:
      return find_aws_key(text, from);
    case Kind::creditcard:
      return CardFinder(text, from).find();
    case Kind::ipv4:
      return find_ipv4(text, from);
    case Kind::email:
      return EmailFinder(text, from).find();
  }
  return std::nullopt;
}

}  // namespace consort::logsaver::scanners
