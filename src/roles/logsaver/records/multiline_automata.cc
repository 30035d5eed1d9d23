#include "roles/logsaver/records/multiline_automata.hpp"

#include <algorithm>
#include <cstddef>

namespace consort::logsaver::multiline {
namespace {

constexpr std::string_view kPythonStart = "Traceback (most recent call last):";

/// "3 more" behind "... ", and the like.
bool is_count_of(std::string_view text, std::string_view what) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  return digits > 0 && text.substr(digits).starts_with(what);
}

/// "... 3 more".
bool is_more_frames(std::string_view inner) {
  if (!inner.starts_with("... ")) return false;
  inner.remove_prefix(4);
  return is_count_of(inner, " more") || is_count_of(inner, " common frames omitted");
}

/// "at com.example.Main", below something.
bool is_at_frame(const Line& line) {
  return line.is_indented() &&
         (line.inner().starts_with("at ") || line.inner().starts_with("eval at "));
}

bool is_end_of_inner_trace(const Line& line) {
  return line.inner().starts_with("--- End of inner exception stack trace ---") ||
         line.inner().starts_with("--- End of stack trace from previous location");
}

bool is_python_name_char(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '<' || c == '>' || static_cast<unsigned char>(c) >= 0x80;
}

/// "some.module.Error", then ':' or the end: how a Python trace ends.
bool is_python_error(std::string_view text) {
  const auto end = static_cast<std::size_t>(
      std::find_if_not(text.begin(), text.end(), is_python_name_char) - text.begin());
  return end > 0 && text[end - 1] != '.' && (end == text.size() || text[end] == ':');
}

/// "goroutine 1 [running]:", with more words before the bracket since Go 1.23.
bool is_goroutine(std::string_view text) {
  return text.starts_with("goroutine ") && text.ends_with("]:") &&
         text.find(" [") != std::string_view::npos;
}

/// "main.(*server).serve(0xc0, 0x1)", or "created by net/http.(*Server).Serve".
bool is_go_call(std::string_view text) {
  const std::size_t end = text.find_first_of(" \t:(");
  return text.starts_with("created by ") || text.starts_with("...") ||
         (end != text.npos && end > 0 && text[end] == '(');
}

/// "3: from a.rb:1:in `f'" or "from a.rb:1:in `f'", below something.
bool is_ruby_call(const Line& line) {
  if (!line.is_indented()) return false;
  const std::string_view inner = line.inner();
  return inner.starts_with("from ") || is_count_of(inner, ": from ") ||
         (inner.starts_with("... ") && is_count_of(inner.substr(4), " levels"));
}

/// "/app/index.js:12", above the code that failed.
bool is_source_place(std::string_view text) {
  if (!text.starts_with('/') && !text.starts_with("file://") && !text.starts_with("node:")) {
    return false;
  }
  const std::size_t colon = text.rfind(':');
  return text.find(' ') == text.npos && colon + 1 < text.size() &&
         text.find_first_not_of("0123456789", colon + 1) == text.npos;
}

}  // namespace

std::uint8_t java(std::uint8_t state, Line& line) {
  enum : std::uint8_t { error = 1, frames, nested };
  if (state == kIdle || state == nested) return line.has(Line::java_error) ? error : kIdle;
  const std::string_view inner = line.inner();
  if (inner.starts_with("Caused by:") || inner.starts_with("Suppressed:")) return error;
  if (is_at_frame(line) || is_more_frames(inner) || is_end_of_inner_trace(line)) return frames;
  if (state != error) return kIdle;
  if (inner.starts_with("nested exception is:")) return nested;
  return line.text().empty() ? error : kIdle;
}

std::uint8_t python(std::uint8_t state, Line& line) {
  enum : std::uint8_t { trace = 1, code, group };
  const std::string_view text = line.text();
  if (state == kIdle) {
    if (text == kPythonStart) return trace;
    const bool is_group = line.is_indented() && line.inner().starts_with("+ Exception Group ") &&
                          text.ends_with(kPythonStart);
    return is_group ? group : kIdle;
  }
  if (state == group) return line.is_indented() ? group : kIdle;
  // Below code, also marks of columns and "[Previous line repeated 3 more times]".
  if (line.is_indented()) return line.inner().starts_with("File ") ? code : trace;
  // Code without its indentation: of "exec", whose lines are printed as they are.
  if (is_python_error(text)) return kLast;
  return state == code && !text.empty() ? trace : kIdle;
}

std::uint8_t go(std::uint8_t state, Line& line) {
  enum : std::uint8_t { panic = 1, signal, goroutine, call, place };
  const std::string_view text = line.text();
  switch (state) {
    case kIdle:
      if (line.has(Line::http_panic)) return goroutine;
      return line.has(Line::go_panic) || text.starts_with("fatal error: ") ? panic : kIdle;
    case panic:
    case signal:
      if (text.starts_with("[signal ")) return signal;
      if (line.is_indented() && line.inner().starts_with("panic: ")) return panic;  // recovered
      return text.empty() ? goroutine : kIdle;
    case goroutine:
      return is_goroutine(text) ? call : kIdle;
    case call:
      if (text.empty()) return goroutine;
      return is_go_call(text) ? place : kIdle;
    case place:
      // "...additional frames elided..." has no place below it.
      if (text.empty()) return goroutine;
      if (line.is_indented()) return call;
      return is_go_call(text) ? place : kIdle;
    default:
      return kIdle;
  }
}

std::uint8_t ruby(std::uint8_t state, Line& line) {
  enum : std::uint8_t { calls = 1, calls_to_error, rails, rails_calls };
  switch (state) {
    case kIdle: {
      if (line.text() == kPythonStart) return calls_to_error;  // Ruby 2.5 to 2.7, oldest call first
      if (line.text().ends_with("):") && line.text().find("Error (") != std::string_view::npos) {
        return rails;
      }
      return !line.is_indented() && line.has(Line::ruby_frame) ? calls : kIdle;
    }
    case calls:
      return is_ruby_call(line) ? calls : kIdle;
    case calls_to_error:
      if (is_ruby_call(line)) return calls_to_error;
      return !line.is_indented() && line.has(Line::ruby_frame) ? kLast : kIdle;
    case rails:
      if (line.is_blank()) return rails;
      [[fallthrough]];
    case rails_calls:
      return line.has(Line::ruby_frame) ? rails_calls : kIdle;
    default:
      return kIdle;
  }
}

std::uint8_t nodejs(std::uint8_t state, Line& line) {
  enum : std::uint8_t { place = 1, code, caret, frames, members };
  const std::string_view text = line.text();
  const std::uint8_t behind_line = text.ends_with(" {") ? members : frames;
  switch (state) {
    case kIdle:
      if (line.has(Line::node_error)) return behind_line;
      return is_source_place(text) ? place : kIdle;
    case place:
      return code;
    case code: {
      const std::string_view marks = line.inner();
      const bool is_caret = !marks.empty() && marks.find_first_not_of('^') == marks.npos;
      return is_caret ? caret : kIdle;
    }
    case caret:
      if (text.empty()) return caret;
      return line.has(Line::node_error) ? behind_line : kIdle;
    case frames:
      return is_at_frame(line) || (line.is_indented() && line.inner().starts_with("... "))
                 ? behind_line
                 : kIdle;
    case members:
      if (text.starts_with('}')) return kLast;
      return line.is_indented() || text.empty() ? members : kIdle;
    default:
      return kIdle;
  }
}

std::uint8_t dotnet(std::uint8_t state, Line& line) {
  enum : std::uint8_t { frames = 1 };
  if (state == kIdle) return line.has(Line::dotnet_error) ? frames : kIdle;
  const bool is_inner = line.is_indented() && line.inner().starts_with("---> ");
  return is_at_frame(line) || is_inner || is_end_of_inner_trace(line) ? frames : kIdle;
}

std::uint8_t indent(std::uint8_t state, Line& line) {
  enum : std::uint8_t { record = 1 };
  return state == kIdle || line.is_indented() ? record : kIdle;
}

}  // namespace consort::logsaver::multiline
