// Responses of HTTP/1.x as they arrive, for clients that ask all day: no allocation per message.
//
//   http1::ResponseStream stream(limits);
//   stream.begin(http1::AnswerTo::other);
//   for (std::string_view rest = bytes;;) {
//     auto [event, body] = stream.next(rest);      // takes bytes off the front of rest
//     head: stream.head() is whole     body: a piece, a view into the bytes handed in
//     done: the message is whole       more: all bytes are used up     error: stream.fault()
//   }
//
// Accepts and refuses what http1::ResponseParser does, and gives the same messages, but for
// - chunk extensions, which are read as RFC 9112 has them (llhttp refuses ";a=b;c");
// - a Content-Length among the trailers, which is refused;
// - a HTAB behind the Transfer-Encoding of an answer without a body, which is refused too.
// Any split of the bytes gives the same. tests/fuzz/http1_response_stream.cc holds the two against
// each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/http1.hpp"

namespace consort::http1 {

struct HeaderView {
  std::string_view name;   ///< as sent
  std::string_view value;  ///< without surrounding blanks
};

/// The head of a response in one buffer.
class ResponseHead {
 public:
  int status() const { return status_; }
  int minor_version() const { return minor_version_; }
  std::size_t size() const { return fields_.size(); }
  /// Views into this object.
  HeaderView operator[](std::size_t index) const;
  /// The first value of that name in any case of letters; empty when absent.
  std::string_view find(std::string_view name) const {
    return (lengths_ & length_bit(name.size())) == 0 ? std::string_view() : search(name);
  }
  void swap(ResponseHead& other);

 private:
  friend class ResponseStream;
  struct Field {
    std::uint32_t name_at;
    std::uint32_t name_bytes;
    std::uint32_t end_at;  ///< of the line without its CRLF
  };

  /// Most names that are asked for are not there, and most lengths are not either.
  static std::uint64_t length_bit(std::size_t name_bytes) {
    return std::uint64_t{1} << (name_bytes % 64);
  }
  std::string_view search(std::string_view name) const;
  std::string_view value_of(const Field& field) const;
  void clear();

  std::string text_;  ///< every line as it came
  std::vector<Field> fields_;
  std::uint64_t lengths_ = 0;  ///< of the names, a bit each
  int status_ = 0;
  int minor_version_ = 1;
};

/// Why a response is refused.
enum class ResponseFault : std::uint8_t { none, protocol, header_limit, body_limit, closed };

/// An answer to HEAD has no body whatever its headers say.
enum class AnswerTo : std::uint8_t { head, other };

class ResponseStream {
 public:
  enum class Event : std::uint8_t { more, head, body, done, error };
  struct Item {
    Event event;
    std::string_view body;  ///< of Event::body, never empty there
  };

  explicit ResponseStream(const Limits& limits) : limits_(limits) {}

  /// Another request has been sent. What is left of the last answer is forgotten.
  void begin(AnswerTo request);
  /// Takes what it has understood off the front of `rest`. After done and error it takes nothing.
  /// Interim answers (1xx) are skipped; the header limit counts on through them.
  Item next(std::string_view& rest);
  /// The peer ended the stream: done for a body that runs until then, else error.
  Event finish();

  /// Whole between Event::head and the next begin(), and until then in this object.
  const ResponseHead& head() const { return head_; }
  /// Takes the head out, and the buffers of `other` in for the next one.
  void swap_head(ResponseHead& other) { head_.swap(other); }

  /// True while no byte of an answer has come.
  bool untouched() const { return state_ == State::status_line && !has_begun_; }
  bool has_head() const { return state_ >= State::length_body && state_ <= State::done; }
  /// What Content-Length has promised and has not come, or nothing: another framing.
  std::optional<std::uint64_t> length_left() const;
  /// What version, Connection header and framing say about the connection.
  bool keep_alive() const { return keep_alive_; }
  /// "Keep-Alive: timeout=N" in seconds.
  std::optional<std::uint32_t> keep_alive_timeout_s() const { return timeout_s_; }
  /// After error.
  ResponseFault fault() const { return fault_; }
  std::string_view fault_text() const { return fault_text_; }

 private:
  enum class State : std::uint8_t {
    status_line,
    headers,
    length_body,
    chunk_line,
    chunk_data,
    chunk_end,
    trailers,
    until_end,
    ended,
    done,
    failed
  };

  Item step_head(std::string_view& rest);
  Item step_body(std::string_view& rest);
  bool read_lines();
  bool take_line(std::string_view& rest, std::size_t room);
  bool on_status_line(std::string_view line);
  bool on_field_line(std::string_view line);
  bool note_field(std::string_view name, std::string_view text);
  bool read_length(std::string_view digits);
  void note_keep_alive(std::string_view value);
  bool on_head_end();
  bool has_no_body_by_status() const;
  bool on_chunk_line();
  bool on_trailer_line();
  void begin_message();
  /// Fails for good; false, so that checks can return it.
  /// A literal, and so its type: fault_text_ has no copy.
  bool refuse(ResponseFault fault, const char* text);
  bool refuse(const char* text) { return refuse(ResponseFault::protocol, text); }

  Limits limits_;
  ResponseHead head_;
  std::string line_;  ///< a chunk's size line or a trailer
  State state_ = State::status_line;
  AnswerTo request_ = AnswerTo::other;
  bool has_begun_ = false;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
  bool keep_alive_ = true;
  ResponseFault fault_ = ResponseFault::none;
  std::uint8_t codings_ = 0;  ///< Transfer-Encoding headers: 0, 1, 2 for more
  std::uint8_t lengths_ = 0;  ///< Content-Length headers
  std::uint8_t line_end_left_ = 0;
  std::optional<std::uint32_t> timeout_s_;
  std::size_t line_at_ = 0;     ///< where in the head's text the present line begins
  std::size_t searched_ = 0;    ///< up to where a line's end has been looked for
  std::size_t head_bytes_ = 0;  ///< of whole lines, interim answers and trailers included
  std::size_t header_lines_ = 0;
  std::uint64_t left_ = 0;  ///< of the body or the chunk
  std::size_t body_bytes_ = 0;
  std::string_view fault_text_;
};

}  // namespace consort::http1
