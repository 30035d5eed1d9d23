// memcached's text protocol (classic and meta commands) as values, without I/O.
//
//   request = line LF [body CRLF]         reply = (line CRLF [body CRLF])* ending as the command
//   says
//
// Source: memcached 1.6.18's doc/protocol.txt and its measured answers (limits and error texts).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace consort::memcache {

enum class Progress : std::uint8_t { more, done, error };

inline constexpr std::size_t kMaxKey = 250;
/// Of a line that is no retrieval. The server closes when more than this has arrived without a line
/// end; we close whether or not the end arrived in the same piece.
inline constexpr std::size_t kMaxLine = 2048;
/// Of a get, gets, gat or gats line. (The server takes a long gat line only when it arrives at
/// once.)
inline constexpr std::size_t kMaxRetrievalLine = 64 * 1024 * 1024;
inline constexpr std::int64_t kMaxBody = 128LL * 1024 * 1024;

enum class Command : std::uint8_t {
  get,
  gets,
  gat,
  gats,  // retrieval: many keys
  set,
  add,
  replace,
  append,
  prepend,
  cas,  // storage: one key and a body
  remove,
  incr,
  decr,
  touch,  // "delete" and numbers: one key
  meta_get,
  meta_set,
  meta_delete,
  meta_arithmetic,
  meta_debug,  // mg ms md ma me: one key
  meta_noop,   // mn
  flush_all,
  version,
  verbosity,
  stats,
  cache_memlimit,
  shutdown,
  quit,
  admin,    // lru, slabs, extstore..: the server as a whole, answered in one line
  watch,    // streams for ever
  dump,     // lru_crawler's lists of all keys
  unknown,  // the server answers ERROR
};

bool is_retrieval(Command command);
bool is_storage(Command command);  ///< has a body: set..cas and ms
bool is_meta(Command command);

/// Finds one request at the front of a growing buffer; the same contract as resp::RequestParser:
/// each parse() sees the request from its first byte, at least as long as before, until done or
/// error. In steady state it neither allocates nor copies; a line is read once however it arrives.
class RequestParser {
 public:
  /// done: the request is whole, or error_reply() is what the server would say to it (the request
  /// was swallowed as the server does: its line, and its body where the server reads it).
  /// error: the server would close without a reply, or the client speaks the binary protocol (by
  /// the first byte of a parser's first request: keep one parser per connection).
  Progress parse(std::string_view bytes);
  /// Forget the request; the next parse() starts afresh. Keeps its memory, unless a request of
  /// thousands of keys made it large.
  void reset();

  std::size_t size() const { return size_; }  ///< bytes taken, body included
  /// After done with an error_reply(): so many bytes beyond size() are the body of a request above
  /// kMaxBody. The caller throws them away as they arrive; they were never buffered.
  std::size_t to_discard() const { return to_discard_; }
  Command command() const { return command_; }
  /// The words of the command line, the command first; bytes as given to the last parse().
  std::size_t words() const { return words_.size(); }
  std::string_view word(std::size_t i, std::string_view bytes) const {
    return bytes.substr(words_[i].offset, words_[i].length);
  }
  /// Keys are words [first_key, last_key).
  std::size_t first_key() const { return first_key_; }
  std::size_t last_key() const { return last_key_; }
  /// The command line without its line end, and the body with its CRLF (empty when none).
  std::string_view line(std::string_view bytes) const { return bytes.substr(0, line_length_); }
  std::string_view body(std::string_view bytes) const {
    return bytes.substr(body_offset_, size_ - body_offset_);
  }
  /// "noreply" stands at the end, or (meta) the flag q. append_forward() strips both.
  /// With an error_reply() as well, the server would swallow the request without a word (noreply
  /// silences most complaints about the line it stands on), and so must the caller: send nothing.
  bool quiet() const { return quiet_; }
  /// The meta flag b: the key is base64, and decode_base64() will accept it.
  bool base64_key() const { return base64_key_; }
  /// Not empty: answer this (with its CRLF) instead of forwarding, unless quiet().
  std::string_view error_reply() const { return error_reply_; }

  /// True when the request's own bytes are what must be forwarded (the common case: no copy).
  bool is_canonical() const { return canonical_ && !quiet_; }
  /// Appends the request as it must be forwarded: single blanks, CRLF, no noreply and no q.
  void append_forward(std::string& out, std::string_view bytes) const;

 private:
  struct Span {
    std::uint32_t offset;
    std::uint32_t length;
  };
  Progress find_line(std::string_view bytes);
  Progress take_body(std::string_view bytes);
  void split_words(std::string_view line);
  void judge(std::string_view bytes);
  void judge_retrieval(std::string_view bytes);
  void judge_storage(std::string_view bytes);
  void judge_delete(std::string_view bytes);
  void judge_number(std::string_view bytes);
  void judge_keyless(std::string_view bytes);
  void judge_admin(std::string_view bytes);
  void judge_crawler(std::string_view bytes);
  void judge_slabs(std::string_view bytes);
  void judge_watch(std::string_view bytes);
  void judge_meta(std::string_view bytes);
  void judge_meta_set(std::string_view bytes);
  void judge_meta_debug(std::string_view bytes);
  void read_meta_flags(std::string_view bytes, std::size_t first);
  bool is_noreply(std::string_view bytes) const;
  void drop_repeated_noreply(std::string_view bytes);
  bool has_bad_key(std::string_view bytes, std::size_t first, std::size_t last) const;
  void expect_body(std::uint32_t length);
  void refuse(std::string_view reply);

  std::vector<Span> words_;
  std::string_view error_reply_;  ///< always a literal
  std::size_t scanned_ = 0;       ///< no line end before it
  std::size_t size_ = 0;
  std::size_t to_discard_ = 0;
  std::size_t line_length_ = 0;
  std::size_t body_offset_ = 0;
  std::size_t first_key_ = 0;
  std::size_t last_key_ = 0;
  Command command_ = Command::unknown;
  bool line_done_ = false;
  bool is_first_ = true;  ///< of its connection: reset() does not bring it back
  bool canonical_ = false;
  bool quiet_ = false;
  bool base64_key_ = false;
};

/// The bytes that a base64 key stands for. Strict RFC 4648 section 4 with padding, and nothing for
/// an empty text: false for what is not base64. (The server skips characters that are not in the
/// alphabet; two spellings of one key would meet on different shards.)
bool decode_base64(std::string_view text, std::string& out);

/// Finds where replies end, keeping only its own state, so that values of any size stream through.
/// No request is needed to know the end: VALUE, STAT, ITEM and other list lines go on until END
/// (or another final line); every other line is final; VA carries a body.
class ReplyScanner {
 public:
  struct Step {
    Progress progress;
    std::size_t used;
  };
  /// done: the reply ended after `used` bytes. more: all of `bytes` belongs to it. error: the
  /// server broke the protocol; the connection is lost.
  Step scan(std::string_view bytes);
  /// True between replies.
  bool idle() const { return body_left_ == 0 && line_length_ == 0 && !in_list_; }

 private:
  enum class Line : std::uint8_t { final, list, value, meta_value, broken };

  Line read_line(std::string_view line);
  Progress take_line(std::string_view bytes, std::size_t& at);
  bool skip_body(std::string_view bytes, std::size_t& at);

  char line_[512] = {};  ///< a line that arrived in pieces (its end is cut: only words count)
  std::size_t line_length_ = 0;
  std::uint64_t body_left_ = 0;  ///< with its CRLF
  bool in_list_ = false;
  bool body_is_final_ = false;
};

/// The first line of a reply as a class of answers, for noreply, quiet and merging.
enum class Answer : std::uint8_t {
  success,  ///< STORED, DELETED, TOUCHED, OK, a number, HD, VA, VALUE.. END, VERSION, RESET
  miss,     ///< NOT_STORED, NOT_FOUND, EXISTS, EN, NF, NS, EX and a bare END
  error,    ///< ERROR, CLIENT_ERROR, SERVER_ERROR and every line that is not known
};
Answer classify(std::string_view reply);

/// Walks the VALUE blocks of a complete retrieval reply.
class ValueReader {
 public:
  explicit ValueReader(std::string_view reply) : rest_(reply) {}
  struct Value {
    std::string_view key;
    std::string_view block;  ///< the VALUE line and the data, with their line ends
  };
  /// False at END, at an error line or at the end of the bytes; tail() is then what is left.
  bool next(Value& value);
  std::string_view tail() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace consort::memcache
