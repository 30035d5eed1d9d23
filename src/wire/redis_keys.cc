#include "wire/redis_keys.hpp"

#include <algorithm>
#include <charconv>

#include "wire/redis_words.hpp"

namespace consort::redis {

namespace {

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
  KeyFinder(const Arguments& arguments, Arity arity, std::vector<std::uint32_t>& positions)
      : arguments_(arguments),
        argc_(static_cast<std::int64_t>(arguments.size())),
        arity_(arity),
        out_(positions) {
    out_.clear();
  }

  bool run(const KeyRule& rule) {
    switch (rule.special) {
      case KeyRule::Special::sort:
        return find_sort();
      case KeyRule::Special::migrate:
        return find_migrate();
      case KeyRule::Special::xread:
        return find_xread();
      case KeyRule::Special::georadius:
        return find_georadius();
      case KeyRule::Special::unknown:
        return false;
      case KeyRule::Special::none:
        break;
    }
    for (std::size_t i = 0; i < rule.count; ++i) {
      if (!add(rule.specs[i])) return false;
    }
    if (rule.count > 1) {
      std::ranges::sort(out_);
      // Two specifications may name the same key.
      out_.erase(std::ranges::unique(out_).begin(), out_.end());
    }
    return true;
  }

 private:
  void add(std::int64_t position) { out_.push_back(static_cast<std::uint32_t>(position)); }
  std::string_view word(std::int64_t i) const { return arguments_[static_cast<std::size_t>(i)]; }

  bool add(const KeySpec& spec) {
    std::int64_t begin = spec.begin;
    if (!spec.keyword.empty()) {
      begin = behind(spec.keyword, spec.begin);
      if (begin == 0) return true;
    }
    return spec.find == KeySpec::Find::range ? add_range(spec, begin) : add_keynum(spec, begin);
  }

  /// The argument after the keyword, 0 when it is not there. As the server does, the search leaves
  /// out the last argument forwards, and the first after the name backwards.
  std::int64_t behind(std::string_view keyword, std::int64_t from) const {
    if (from > 0) {
      for (std::int64_t i = from; i < argc_ - 1; ++i) {
        if (same_word(word(i), keyword)) return i + 1;
      }
    } else {
      for (std::int64_t i = argc_ + from; i > 1 && i < argc_; --i) {
        if (same_word(word(i), keyword)) return i + 1;
      }
    }
    return 0;
  }

  bool add_range(const KeySpec& spec, std::int64_t first) {
    std::int64_t last = first + spec.last;
    if (spec.last < 0) {
      const std::int64_t left = std::max<std::int64_t>(argc_ - first, 0);
      last = first + left / std::max<std::int64_t>(spec.limit, 1) + spec.last;
    }
    if (first >= argc_ || last < first) return arity_ == Arity::accepted;
    if (last >= argc_) return false;
    // The values that follow the last key must be there too (MSET).
    if (last == argc_ - 1 && (last - first + 1) % spec.step != 0) return false;
    for (std::int64_t i = first; i <= last; i += spec.step) add(i);
    return true;
  }

  bool add_keynum(const KeySpec& spec, std::int64_t begin) {
    const std::int64_t at = begin + spec.last;
    std::size_t count = 0;
    if (at >= argc_ || !read_count(word(at), count)) return false;
    const std::int64_t first = begin + spec.first;
    const std::int64_t left = std::max<std::int64_t>(argc_ - first, 0);
    // With a step, the last key needs no values behind it.
    const auto room = static_cast<std::size_t>((left + spec.step - 1) / spec.step);
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
  const Arity arity_;
  std::vector<std::uint32_t>& out_;
};

}  // namespace

bool find_keys(const KeyRule& rule, const Arguments& arguments, Arity arity,
               std::vector<std::uint32_t>& positions) {
  if (KeyFinder(arguments, arity, positions).run(rule)) return true;
  positions.clear();
  return false;
}

bool stream_blocks(const Arguments& arguments) {
  return stream_options(arguments).blocks;
}

bool sort_reads_by_pattern(const Arguments& arguments) {
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

}  // namespace consort::redis
