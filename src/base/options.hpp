// One table per command: every option is declared once, and from that come its flag, environment
// variable, file key, --print-config, JSON Schema, man page section and completion.
//
//   struct Config { Millis timeout{1000}; std::vector<std::string> servers; };
//   constexpr Option kOptions[] = {
//       option<&Config::timeout>("timeout", "how long a request may take", kReload),
//       option<&Config::servers>("server", "HOST:PORT[:WEIGHT][ NAME]", kRequired),
//   };
//
// A vector member is an option that may be repeated. `--connect-timeout 5s` is the key
// `connect_timeout` in a file (dashes are accepted too) and CONSORT_<ROLE>_CONNECT_TIMEOUT.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/address.hpp"
#include "base/error.hpp"

namespace consort {

using Millis = std::chrono::milliseconds;
struct ByteSize {
  std::uint64_t bytes = 0;
  friend bool operator==(const ByteSize&, const ByteSize&) = default;
};

/// The names of an enum's values, in order of their numbers (0, 1, ..). Specialise for each enum
/// that is an option: template <> struct Choices<Color> { static constexpr std::string_view
/// names[] = {"red", "green"}; };
template <class E>
struct Choices;

namespace detail {
/// The index of text in names, whatever its case. The error lists them all.
Result<std::uint32_t> parse_choice(std::string_view text, std::span<const std::string_view> names);
}  // namespace detail

/// A person's own text inside a message: in quotes, control characters escaped, cut when long.
std::string in_quotes(std::string_view text);

/// Durations end here, so that a deadline (now + duration) still fits in signed nanoseconds.
inline constexpr Millis kMaxDuration = std::chrono::hours(876'000);  // 100 years

/// How a type reads and prints. `kind` is what messages and manuals call it.
template <class T>
struct Text {
  static constexpr std::string_view kind = "choice";
  static constexpr std::span<const std::string_view> choices{Choices<T>::names};
  static Result<T> parse(std::string_view text) {
    auto index = detail::parse_choice(text, choices);
    if (!index) return tl::unexpected<Error>(std::move(index.error()));
    return static_cast<T>(*index);
  }
  static std::string print(const T& value) {
    return std::string(choices[static_cast<std::size_t>(value)]);
  }
};

template <class T>
struct PlainText {
  static constexpr std::span<const std::string_view> choices{};
};
template <>
struct Text<std::string> : PlainText<std::string> {
  static constexpr std::string_view kind = "text";
  static Result<std::string> parse(std::string_view text) { return std::string(text); }
  static std::string print(const std::string& value) { return value; }
};
/// 250ms, 10s, 5m, 1h30m, 0: units from h to ms in falling order, each once, no blanks, at most
/// kMaxDuration. A bare number other than 0 is an error that names the units.
template <>
struct Text<Millis> : PlainText<Millis> {
  static constexpr std::string_view kind = "duration";
  static Result<Millis> parse(std::string_view text);
  static std::string print(Millis value);
};
/// 512, 64KiB, 8MiB, 1GiB, 1TiB (also kB, MB, GB, TB: powers of ten). A bare K or M is an error,
/// for the field does not agree on what they mean.
template <>
struct Text<ByteSize> : PlainText<ByteSize> {
  static constexpr std::string_view kind = "size";
  static Result<ByteSize> parse(std::string_view text);
  static std::string print(ByteSize value);
};
/// true|false|yes|no|on|off|1|0, whatever the case; a flag without a value is true.
template <>
struct Text<bool> : PlainText<bool> {
  static constexpr std::string_view kind = "flag";
  static Result<bool> parse(std::string_view text);
  static std::string print(bool value);
};
template <>
struct Text<std::uint32_t> : PlainText<std::uint32_t> {
  static constexpr std::string_view kind = "number";
  static Result<std::uint32_t> parse(std::string_view text);
  static std::string print(std::uint32_t value);
};
/// A ratio or share: 0.5, 1.25. Finite and not negative.
template <>
struct Text<double> : PlainText<double> {
  static constexpr std::string_view kind = "ratio";
  static Result<double> parse(std::string_view text);
  static std::string print(double value);
};
template <>
struct Text<Address> : PlainText<Address> {
  static constexpr std::string_view kind = "address";
  static Result<Address> parse(std::string_view text) { return Address::parse(text); }
  static std::string print(const Address& value) { return value.to_string(); }
};

enum OptionFlags : std::uint32_t {
  kNone = 0,
  kRequired = 1,  ///< must be given by some source
  kReload = 2,    ///< takes effect on reload; any other changed key is reported as "needs restart"
  kSecret = 4,    ///< never printed; only from a file or ..._FILE, never a flag
  kFlagOnly = 8,  ///< belongs to one invocation: not in files or the environment
  kBareMillis = 16,  ///< a duration whose bare integers are milliseconds (nutcracker's keys)
};

/// One option, type-erased so that the layers above need neither CLI11 nor the YAML reader.
struct Option {
  std::string_view name;
  std::string_view kind;
  std::string_view doc;
  std::uint32_t flags = kNone;
  bool repeats = false;
  std::span<const std::string_view> choices;
  /// Sets the member, or appends to it when it repeats.
  Result<> (*set)(void* config, std::string_view text) = nullptr;
  /// Empties a repeating member, before a stronger source fills it.
  void (*clear)(void* config) = nullptr;
  /// The current values as text: one, or as many as a repeating member has.
  std::vector<std::string> (*get)(const void* config) = nullptr;

  /// A map from names to structs with their own table (`pools:` in a file); not a flag.
  std::span<const Option> nested;
  void* (*add_entry)(void* config, std::string_view name) = nullptr;
  std::size_t (*entries)(const void* config) = nullptr;
  const void* (*entry)(const void* config, std::size_t index, std::string& name) = nullptr;
};

namespace detail {
template <auto Member>
struct MemberOf;
template <class C, class T, T C::* M>
struct MemberOf<M> {
  using Config = C;
  using Value = T;
};
template <class T>
struct Element {
  using type = T;
  static constexpr bool repeats = false;
};
template <class T>
struct Element<std::vector<T>> {
  using type = T;
  static constexpr bool repeats = true;
};
}  // namespace detail

/// `Check`, a Result<> (const Value&), says what of a well-formed value is not allowed: out of
/// range, say. Its error is told at the value's place, as that of a malformed one is.
template <auto Member, auto Check = nullptr>
constexpr Option option(std::string_view name, std::string_view doc, std::uint32_t flags = kNone) {
  using C = typename detail::MemberOf<Member>::Config;
  using V = typename detail::MemberOf<Member>::Value;
  using E = typename detail::Element<V>::type;
  constexpr bool repeats = detail::Element<V>::repeats;
  Option made;
  made.name = name;
  made.kind = Text<E>::kind;
  made.doc = doc;
  made.flags = flags;
  made.repeats = repeats;
  made.choices = Text<E>::choices;
  made.set = [](void* config, std::string_view text) -> Result<> {
    auto value = Text<E>::parse(text);
    if (!value) return tl::unexpected<Error>(std::move(value.error()));
    if constexpr (!std::is_null_pointer_v<decltype(Check)>) {
      if (Result<> fine = Check(*value); !fine) return fine;
    }
    auto& member = static_cast<C*>(config)->*Member;
    if constexpr (repeats) {
      member.push_back(std::move(*value));
    } else {
      member = std::move(*value);
    }
    return {};
  };
  made.clear = [](void* config) {
    if constexpr (repeats) (static_cast<C*>(config)->*Member).clear();
  };
  made.get = [](const void* config) {
    std::vector<std::string> texts;
    const auto& member = static_cast<const C*>(config)->*Member;
    if constexpr (repeats) {
      for (const auto& value : member) texts.push_back(Text<E>::print(value));
    } else {
      texts.push_back(Text<E>::print(member));
    }
    return texts;
  };
  return made;
}

/// A named map of structs. The element type needs a std::string member `name`.
template <auto Member>
constexpr Option option_map(std::string_view name, std::span<const Option> nested,
                            std::string_view doc) {
  using C = typename detail::MemberOf<Member>::Config;
  Option made;
  made.name = name;
  made.kind = "map";
  made.doc = doc;
  made.nested = nested;
  made.add_entry = [](void* config, std::string_view entry_name) -> void* {
    auto& member = static_cast<C*>(config)->*Member;
    member.emplace_back();
    member.back().name = std::string(entry_name);
    return &member.back();
  };
  made.entries = [](const void* config) { return (static_cast<const C*>(config)->*Member).size(); };
  made.entry = [](const void* config, std::size_t index, std::string& entry_name) -> const void* {
    const auto& member = static_cast<const C*>(config)->*Member;
    entry_name = member[index].name;
    return &member[index];
  };
  return made;
}

/// What another tool calls something that we do in another way: people try the names they know.
struct ForeignName {
  std::string_view name;     ///< "read_from_head"; dashes and case do not matter
  std::string_view instead;  ///< what to do here: "use --from start"
};

/// A table and the struct it fills.
struct BoundTable {
  std::span<const Option> options;
  void* config = nullptr;
  std::span<const ForeignName> foreign{};  ///< for the message that an option is not known
};

/// What to write instead of a name that is foreign to these tables; empty for any other name.
std::string_view instead_of(std::span<const BoundTable> tables, std::string_view name);

/// The nearest of `names` to `word`, for "did you mean"; empty when none is near. Counts letters
/// added, dropped, changed or swapped with their neighbour: 1 may differ in a word of up to 4
/// letters, 2 in up to 8, 3 above. Case and dash or underscore make no difference. The first name
/// wins a draw.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

}  // namespace consort
