// Redis' protocol (RESP2, RESP3 and inline commands) as values, without I/O or allocation.
//
//   request  = "*" N CRLF N * ("$" len CRLF bytes CRLF)   |   inline words LF
//   reply    = one RESP value; aggregates nest
//
// Source: the RESP specification and redis 7.0's networking.c for limits and error texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace consort::resp {

/// What parse() and scan() found.
enum class Progress : std::uint8_t { more, done, error };

inline constexpr std::size_t kMaxInline = 64 * 1024;           ///< bytes of an inline command
inline constexpr std::int64_t kMaxBulk = 512LL * 1024 * 1024;  ///< bytes of one argument
inline constexpr std::int64_t kMaxArgs = 1024 * 1024;          ///< arguments of one request
// The same for clients that have not given their password yet.
inline constexpr std::int64_t kMaxStrangerBulk = 16 * 1024;
inline constexpr std::int64_t kMaxStrangerArgs = 10;

/// Finds one request at the front of a growing buffer.
///
/// Every call until done or error gets a view that starts at the request's first byte and is at
/// least as long as the call before; the parser goes on where it stopped, so that a request that
/// arrives in many pieces is read once. The buffer may move between calls: it keeps offsets only.
/// In steady state it neither allocates nor copies; a GET costs about 20 ns.
class RequestParser {
 public:
  Progress parse(std::string_view bytes);
  /// Forget the request; the next parse() starts afresh. Keeps its memory, unless a request of
  /// thousands of arguments made it large.
  void reset();
  /// False holds requests to the limits for strangers. Outlives reset().
  void set_trusted(bool trusted) { trusted_ = trusted; }

  /// After done: how many bytes the request took. 0 arguments means: skip it (empty line, *0, *-1).
  std::size_t size() const { return position_; }
  std::size_t argc() const { return arguments_.size(); }
  /// Argument i of the request; bytes as given to the parse() that returned done. For an inline
  /// command with quotes the words are unescaped into the parser's own memory.
  std::string_view arg(std::size_t i, std::string_view bytes) const {
    const Span& span = arguments_[i];
    const char* base = is_inline_ ? inline_words_.data() : bytes.data();
    return {base + span.offset, span.length};
  }
  bool is_inline() const { return is_inline_; }
  /// After error: the server's own words, for example "ERR Protocol error: invalid bulk length".
  /// The server closes the connection after it, and so must the caller.
  const std::string& error() const { return error_; }

 private:
  struct Span {
    std::size_t offset;
    std::size_t length;
  };
  Progress parse_inline(std::string_view bytes);
  Progress parse_array(std::string_view bytes);
  Progress parse_count(std::string_view bytes);
  Progress parse_bulk_header(std::string_view bytes);
  Progress find_header_end(std::string_view bytes, const char* too_big, std::size_t& end);
  std::size_t find_line_end(std::string_view bytes, char line_end);
  bool split_words(std::string_view line);
  Progress refuse(std::string_view text);

  std::vector<Span> arguments_;
  std::string inline_words_;
  std::string error_;
  std::size_t position_ = 0;       ///< everything before it is parsed
  std::size_t scanned_ = 0;        ///< no line end between position_ and here
  std::int64_t missing_ = -1;      ///< arguments still to come; -1 before the count is read
  std::int64_t bulk_length_ = -1;  ///< of the argument whose header is parsed, or -1
  bool is_inline_ = false;
  bool started_ = false;
  bool endless_line_ = false;  ///< the line holds a NUL
  bool trusted_ = true;
};

/// Finds where replies end in a stream of bytes, keeping only its own state: replies of any size
/// stream through. Understands every RESP3 type; attributes ("|") belong to the
/// reply they precede. A reply deeper than kInlineDepth (only scripts and modules make them) costs
/// 8 bytes per level while it passes.
class ReplyScanner {
 public:
  struct Step {
    Progress progress;
    std::size_t used;  ///< bytes that belong to the current reply
  };
  /// done: the reply ended after `used` bytes and the next scan starts a new one. more: all of
  /// `bytes` was used. error: the server broke the protocol; the connection is lost.
  Step scan(std::string_view bytes);
  /// The type byte of the current (or just ended) reply, past any attribute; 0 before the first.
  char type() const { return type_; }
  /// True between replies.
  bool idle() const { return !busy_; }

  static constexpr std::size_t kInlineDepth = 32;
  /// A Lua script can nest some thousand levels: the server that lets it must not look broken.
  static constexpr std::size_t kMaxDepth = 1 << 13;

 private:
  enum class State : std::uint8_t { header, line, body };

  Progress read_header(std::string_view bytes, std::size_t& at);
  Progress begin_value(char type, std::int64_t length);
  Progress skip_line(std::string_view bytes, std::size_t& at);
  Progress skip_body(std::string_view bytes, std::size_t& at);
  bool end_value();
  bool push_level(std::uint64_t pending);
  void pop_level();
  std::uint64_t& top_level() {
    return depth_ <= kInlineDepth ? pending_[depth_ - 1] : deep_pending_.back();
  }

  /// Values still to come, level by level; only the first depth_ mean anything.
  std::uint64_t pending_[kInlineDepth];
  std::vector<std::uint64_t> deep_pending_;  ///< the levels that do not fit
  std::size_t depth_ = 0;
  std::uint64_t body_left_ = 0;  ///< bytes of a bulk still to come, with its CRLF
  char header_[32];              ///< a length line that arrived in pieces
  std::uint8_t header_length_ = 0;
  char type_ = 0;
  bool busy_ = false;      ///< some bytes of a reply were seen, but not its end
  bool after_cr_ = false;  ///< the line's last byte so far is a CR
  State state_ = State::header;
};

/// The elements of a complete array, set or push reply, each as its raw bytes. A null array, a map
/// and everything else is no array.
class ArrayReader {
 public:
  /// `reply` must be one complete reply.
  explicit ArrayReader(std::string_view reply);
  bool is_array() const { return is_array_; }
  std::size_t size() const { return size_; }
  /// The next element; empty when there is none.
  std::string_view next();

 private:
  std::string_view rest_;
  std::size_t size_ = 0;
  bool is_array_ = false;
};

/// A complete ":N" reply as a number; false when it is anything else.
bool read_integer(std::string_view reply, std::int64_t& value);

/// "*N\r\n" and "$len\r\nbytes\r\n", appended.
void append_array_header(std::string& out, std::size_t count);
void append_bulk(std::string& out, std::string_view bytes);
/// A whole request of these words.
std::string request(std::initializer_list<std::string_view> words);

}  // namespace consort::resp
