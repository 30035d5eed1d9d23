// What went wrong, as a value that a caller can test and a person can read.
//
// Expected failures (network, disk, input, peers) travel as Result<T>; programming errors are CHECK
// (base/check.hpp). Nothing in consort throws outside app/ and the JSON reader.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace consort {

/// The stable reason, for code to test. The text beside it is for people.
enum class Errc : std::int32_t {
  invalid,      ///< input that can never be right: syntax, range, unknown name
  not_found,    ///< a file, name or key that is not there
  denied,       ///< the operating system or a peer refuses permission
  refused,      ///< nobody listens at the address
  closed,       ///< the peer ended the stream
  timed_out,    ///< a deadline passed
  cancelled,    ///< we gave up ourselves, for example while draining
  limit,        ///< a configured or built-in bound was reached
  protocol,     ///< a peer broke its protocol
  unavailable,  ///< temporarily not possible; a retry may succeed
  io,           ///< any other failure of the operating system
  internal,     ///< a bug of ours that was caught before it did harm
};

std::string_view to_string(Errc code);

/// A code, the errno behind it (0 when there is none) and a sentence. 16 bytes; move-only.
class [[nodiscard]] Error {
 public:
  Error(Errc code, std::string text, int sys = 0)
      : text_(std::make_unique<std::string>(std::move(text))), code_(code), sys_(sys) {}

  /// Picks the code that fits an errno value.
  static Error from_errno(int sys, std::string text);

  Errc code() const { return code_; }
  int sys() const { return sys_; }
  const std::string& text() const { return *text_; }
  /// The text, followed by the operating system's words for the errno: what a log line shows.
  std::string message() const;
  /// Puts "context: " in front, as the error travels up.
  Error in(std::string_view context) &&;
  Error clone() const { return Error(code_, *text_, sys_); }

 private:
  std::unique_ptr<std::string> text_;
  Errc code_;
  std::int32_t sys_;
};

template <class T = void>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Errc code, std::string text, int sys = 0) {
  return tl::unexpected<Error>(Error(code, std::move(text), sys));
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace consort
