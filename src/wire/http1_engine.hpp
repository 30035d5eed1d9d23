// The machine behind both parsers of http1.hpp; nobody else includes this.
//
//   first_line --> headers --+--> length_body ---------------------------> done
//                            +--> chunk_line <--> chunk_data               ^ ^
//                            |        +--> trailers -----------------------+ |
//                            +--> until_end --finish()-----------------------+
//                            +--(no body)------------------------------------+
//   any state --> failed (for good)
//
// Lines are cut and checked here and then handed to llhttp whole; bodies are handed to llhttp in
// exactly the length that we worked out. llhttp thus never sees a byte of the next message, and
// must report the message's end at the byte where we expect it.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http1.hpp"

namespace consort::http1::detail {

enum class Kind : std::uint8_t { request, response, response_to_head };

class Engine {
 public:
  Engine(const Limits& limits, Kind kind);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Step parse(std::string_view bytes);
  Progress finish();
  Message take();
  bool idle() const { return state_ == State::first_line && line_.empty(); }
  bool wants_continue() const { return wants_continue_ && state_ != State::done; }
  const Error& error() const;
  int status() const { return status_; }

 private:
  enum class State : std::uint8_t {
    first_line,
    headers,
    length_body,
    chunk_line,
    chunk_data,
    trailers,
    until_end,
    done,
    failed
  };
  enum class Framing : std::uint8_t { none, length, chunked, until_end };

  static const llhttp_settings_t& settings();
  static Engine& self(llhttp_t* parser) { return *static_cast<Engine*>(parser->data); }

  bool is_request() const { return kind_ == Kind::request; }
  void step(std::string_view& rest);
  std::optional<std::string_view> take_line(std::string_view& rest, std::size_t room);
  std::optional<std::string_view> take_whole_line(std::string_view& rest, std::size_t room);
  bool check_line_byte(char c);
  void on_first_line(std::string_view line);
  bool check_request_line(std::string_view line);
  bool check_status_line(std::string_view line);
  void on_header_line(std::string_view line);
  void on_chunk_line(std::string_view line);
  void on_head_end(std::string_view line);
  void on_body(std::string_view& rest);
  bool work_out_framing();
  bool check_coding(std::string_view coding);
  bool read_length(std::string_view digits);
  bool check_request_head();
  bool has_no_body_by_status() const;
  void note_persistence();
  bool agrees() const;
  void end_message();
  bool feed(std::string_view bytes);
  void begin_message();
  /// Fails for good; false, so that checks can return it.
  bool refuse(int status, Errc code, std::string text);
  bool refuse(std::string text);
  void refuse_long_line();

  Limits limits_;
  Kind kind_;
  llhttp_t parser_{};
  State state_ = State::first_line;
  Message message_;
  std::string line_;   ///< the beginning of a line that arrived in pieces
  std::string whole_;  ///< that line once it is whole, while it is being looked at
  bool saw_cr_ = false;
  std::size_t head_bytes_ = 0;
  std::size_t header_lines_ = 0;
  Framing framing_ = Framing::none;
  std::uint64_t left_ = 0;  ///< of a body or of a chunk with its CRLF
  bool wants_continue_ = false;
  std::optional<Error> error_;
  int status_ = 0;

  // What llhttp made of it.
  bool complete_ = false;
  bool is_chunked_ = false;
  std::uint64_t length_ = 0;
  std::optional<std::uint64_t> chunk_length_;
};

}  // namespace consort::http1::detail
