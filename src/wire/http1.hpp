// HTTP/1.x messages (RFC 9110, RFC 9112) as values, without I/O: parsers and writers.
//
//   message = first-line CRLF *( name ":" value CRLF ) CRLF [ body ]
//   body    = content-length bytes | chunk* last-chunk trailers | (responses) all until the end
//
// Stricter than the RFC where peers disagree, because a disagreement is how requests are smuggled:
// every line ends in CRLF and holds no other CR, no control byte and no folded header; one Host;
// one Content-Length of digits or one "Transfer-Encoding: chunked", never both. The framing is
// worked out here, line by line, and llhttp reads the same bytes; a message on which the two
// disagree is refused. Any split of the bytes gives the same messages (tests/fuzz/http1.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace consort::http1 {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The first value of that (lower-case) name; empty when absent.
std::string_view find_header(const Headers& headers, std::string_view name);

struct Limits {
  std::size_t header_bytes = 16 * 1024;  ///< first line, headers and trailers together
  std::size_t header_count = 128;        ///< trailers count too
  std::size_t body_bytes = 1024 * 1024;  ///< after decoding
};
/// A chunk's size line with its extensions, which are read and forgotten.
inline constexpr std::size_t kMaxChunkLine = 256;

struct Message {
  std::string method;      ///< requests only
  std::string target;      ///< requests only; as sent
  int status = 0;          ///< responses only; 200..999
  int minor_version = 1;   ///< HTTP/1.minor
  bool keep_alive = true;  ///< what version and Connection header say about the connection
  Headers headers;         ///< names in lower case, values without surrounding blanks
  std::string body;        ///< decoded; trailers are dropped
};

enum class Progress : std::uint8_t { more, done, error };
struct Step {
  Progress progress;
  std::size_t used;  ///< more: all of them. done: up to the message's end. error: unspecified.
};

namespace detail {
class Engine;
}

/// Requests, one after the other. Pipelining: parse() stops at each message's end; the caller takes
/// the message and hands in the rest.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  ~RequestParser();

  /// The bytes may go away after the call. After error the connection is lost: the parser stays in
  /// error.
  Step parse(std::string_view bytes);
  /// After done: the message; the parser starts afresh.
  Message take();
  /// True between messages: no byte of a request line has come (blank lines do not count).
  bool idle() const;
  /// True while the client waits for "100 Continue" before it sends the body.
  bool wants_continue() const;
  /// After error: Errc::limit names the limit, Errc::protocol the mistake.
  const Error& error() const;
  /// After error: what to answer: 400, 413, 414, 417, 431, 501 or 505.
  int status() const;

 private:
  std::unique_ptr<detail::Engine> engine_;
};

/// The response to one request. Interim answers (1xx) are skipped.
class ResponseParser {
 public:
  /// An answer to HEAD has no body whatever its headers say, so the method must be known.
  ResponseParser(const Limits& limits, std::string_view request_method);
  ~ResponseParser();

  Step parse(std::string_view bytes);
  /// The peer ended the stream: done for a body that runs until then, else error (Errc::closed).
  Progress finish();
  Message take();
  const Error& error() const;

 private:
  std::unique_ptr<detail::Engine> engine_;
};

/// "Not Found"; "Unknown" for codes outside the common ones.
std::string_view reason_phrase(int status);

enum class Persistence : std::uint8_t {
  keep_alive,         ///< HTTP/1.1's default: nothing is said
  keep_alive_stated,  ///< "Connection: keep-alive", for HTTP/1.0 clients that asked
  close,              ///< "Connection: close"
};

struct ResponseView {
  int status = 200;
  std::string_view content_type = {};  ///< empty: no such header
  const Headers* headers = nullptr;
  std::string_view body = {};
  bool to_head = false;  ///< the length is told, the body is not sent
  Persistence persistence = Persistence::keep_alive;
};
/// Appends head and body. Fails (Errc::invalid, out unchanged) on a status outside 200..999, on a
/// header that would break the framing (control bytes, a name that is no token) and on the headers
/// that are the writer's: Content-Length, Transfer-Encoding, Connection. 204 and 304 go without
/// body and length.
Result<> append_response(std::string& out, const ResponseView& response);

struct RequestView {
  std::string_view method = {};
  std::string_view target = {};
  std::string_view host = {};
  const Headers* headers = nullptr;
  std::string_view body = {};
  bool close = false;
};
/// Appends head and body; fails like append_response. Host is the writer's header too.
Result<> append_request(std::string& out, const RequestView& request);

}  // namespace consort::http1
