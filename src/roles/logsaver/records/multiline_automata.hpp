// The automata behind multiline.hpp, written by hand: one function per kind, from a state and a
// line to the next state. No line is looked at by more than a few bounded scans, whatever it holds.
//
// The shapes of the traces are those that the field's collectors follow (fluent-bit's
// src/multiline, after GoogleCloudPlatform/fluent-plugin-detect-exceptions), and what the run times
// print today: Python 3.11 marks columns below the code and prints groups, Go 1.23 says more about
// a goroutine, Node.js prints the members of an error between braces, Ruby 3.4 quotes names anew.
//
//   kind    begins with                               goes on with
//   java    x Exception|Error|Throwable, then : or    blanks "at ", "Caused by:", "Suppressed:",
//           the end                                   "... 3 more", nothing; "nested exception is:"
//   python  Traceback (most recent call last):        blank lines' code; ends with "some.Error: x"
//   go      panic: | fatal error: |                   nothing, [signal], goroutine 1 [running]:,
//           http: panic serving                       frames in pairs of lines
//   ruby    a.rb:1:in | Error (x): | Traceback        blanks "from ", "3: from "; ends with
//   a.rb:1:in nodejs  x Error: | Error [CODE]: | /path:12       blanks "at ", members in braces
//   dotnet  x Exception, then : or the end            blanks "at ", " ---> ", "--- End of ..."
//   indent  anything                                  a blank or tab
#pragma once

#include <cstdint>
#include <string_view>

namespace consort::logsaver::multiline {

inline constexpr std::uint8_t kIdle = 0;    ///< the line is no part of it
inline constexpr std::uint8_t kLast = 255;  ///< it is, and the last one

/// A line, and what its words say; that is looked up once, when the first automaton asks.
class Line {
 public:
  enum Mark : std::uint8_t {
    java_error = 1,
    node_error = 2,
    dotnet_error = 4,
    go_panic = 8,
    http_panic = 16,
    ruby_frame = 32,
    scanned = 128,
  };

  explicit Line(std::string_view text);
  /// Without a \r at its end.
  std::string_view text() const { return text_; }
  /// Without the blanks and tabs before it.
  std::string_view inner() const { return inner_; }
  bool is_indented() const { return inner_.size() < text_.size(); }
  bool is_blank() const { return inner_.empty(); }
  bool has(Mark mark);

 private:
  std::string_view text_;
  std::string_view inner_;
  std::uint8_t marks_ = 0;
};

// Of a state that kIdle or the function itself gave, but kLast. From kIdle: whether it begins.
std::uint8_t java(std::uint8_t state, Line& line);
std::uint8_t python(std::uint8_t state, Line& line);
std::uint8_t go(std::uint8_t state, Line& line);
std::uint8_t ruby(std::uint8_t state, Line& line);
std::uint8_t nodejs(std::uint8_t state, Line& line);
std::uint8_t dotnet(std::uint8_t state, Line& line);
std::uint8_t indent(std::uint8_t state, Line& line);

}  // namespace consort::logsaver::multiline
