// What gather-check finds, as lines for a person: one for each check, and a sum at the end.
//
//   ok    leaf: takes 20 requests at once (the slowest 12.0 ms)
//   warn  leaf: takes a query of 8 KiB: it answers 414; queries as long as this do not get through
//   FAIL  merge: answers without parts: exit code 1; ...
//   11 passed, 1 failed, 2 warnings
//
// What peers sent may be quoted as it is: control characters and bytes that are not UTF-8 are
// replaced, and a long text is cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace consort::gather {

/// What one check has found.
struct Finding {
  enum class Verdict : std::uint8_t { ok, warn, fail };

  static Finding ok(std::string text = {}) { return {Verdict::ok, std::move(text)}; }
  static Finding warn(std::string text) { return {Verdict::warn, std::move(text)}; }
  static Finding fail(std::string text) { return {Verdict::fail, std::move(text)}; }

  Verdict verdict = Verdict::ok;
  std::string text;  ///< of ok: a figure, or nothing. Else what is wrong; what to do
};

class CheckReport {
 public:
  static constexpr std::size_t kMaxTextBytes = 600;
  /// Takes whole lines, as soon as they are known.
  using Write = std::function<void(std::string_view lines)>;

  explicit CheckReport(Write write) : write_(std::move(write)) {}

  /// `subject` is "leaf" or "merge", `check` what it should do: "keeps the connection".
  void add(std::string_view subject, std::string_view check, const Finding& finding);
  /// The sum, as the last line.
  void finish();
  bool has_failed() const { return failed_ > 0; }

 private:
  Write write_;
  std::size_t passed_ = 0;
  std::size_t failed_ = 0;
  std::size_t warnings_ = 0;
};

/// "0.4 ms", "1250 ms": one digit after the point where that says something.
std::string in_ms(double ms);

}  // namespace consort::gather
