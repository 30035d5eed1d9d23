// ResponseStream accepts and refuses what ResponseParser, which lets llhttp read everything, does,
// and reads the same messages, but for chunk extensions; any split of the bytes gives the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "wire/http1.hpp"
#include "wire/http1_response.hpp"
#include "wire/http1_text.hpp"

namespace {

using consort::http1::AnswerTo;
using consort::http1::Limits;
using consort::http1::Message;
using consort::http1::Progress;
using consort::http1::ResponseParser;
using consort::http1::ResponseStream;
using Event = consort::http1::ResponseStream::Event;

// Small, so that short inputs reach them.
constexpr Limits kLimits{.header_bytes = 300, .header_count = 8, .body_bytes = 64};

std::string describe_head(int status, int minor_version, bool keep_alive) {
  return std::to_string(status) + " 1." + std::to_string(minor_version) +
         (keep_alive ? " keep\n" : " close\n");
}

/// One message after the other, as a pool reads them.
std::string read_by_parser(std::string_view bytes, std::string_view method) {
  ResponseParser parser(kLimits, method);
  std::string out;
  while (!bytes.empty()) {
    const auto step = parser.parse(bytes);
    Progress progress = step.progress;
    if (progress == Progress::more) progress = parser.finish();
    if (progress == Progress::error) return out + "error";
    const Message message = parser.take();
    out += describe_head(message.status, message.minor_version, message.keep_alive);
    for (const auto& [name, value] : message.headers) out += name + "=" + value + "\n";
    out += "[" + message.body + "]\n";
    bytes.remove_prefix(step.used);
  }
  return out;
}

struct StreamReading {
  std::string messages;
  std::string why;
};

class StreamReader {
 public:
  explicit StreamReader(AnswerTo request) : request_(request), stream_(kLimits) {
    stream_.begin(request);
  }

  /// False once the stream is broken.
  bool feed(std::string_view rest) {
    for (;;) {
      const auto [event, piece] = stream_.next(rest);
      switch (event) {
        case Event::more:
          CHECK(rest.empty());
          return true;
        case Event::head:
          CHECK(stream_.has_head());
          break;
        case Event::body:
          CHECK(!piece.empty());
          body_ += piece;
          break;
        case Event::done:
          tell();
          stream_.begin(request_);
          if (rest.empty()) return true;
          break;
        case Event::error:
          reading_.messages += "error";
          reading_.why = stream_.fault_text();
          return false;
      }
    }
  }
  StreamReading finish() {
    if (stream_.untouched()) return reading_;
    if (stream_.finish() == Event::done) {
      tell();
    } else {
      reading_.messages += "error";
      reading_.why = stream_.fault_text();
    }
    return reading_;
  }
  StreamReading reading() const { return reading_; }

 private:
  void tell() {
    const auto& head = stream_.head();
    reading_.messages += describe_head(head.status(), head.minor_version(), stream_.keep_alive());
    for (std::size_t i = 0; i < head.size(); ++i) {
      reading_.messages += consort::http1::to_lower(head[i].name) + "=";
      reading_.messages.append(head[i].value).append("\n");
    }
    reading_.messages += "[" + body_ + "]\n";
    CHECK(body_.size() <= kLimits.body_bytes);
    body_.clear();
  }

  AnswerTo request_;
  ResponseStream stream_;
  std::string body_;
  StreamReading reading_;
};

StreamReading read_by_stream(std::string_view bytes, std::size_t first, std::size_t step,
                             AnswerTo request) {
  StreamReader reader(request);
  if (!reader.feed(bytes.substr(0, first))) return reader.reading();
  for (std::size_t at = first; at < bytes.size(); at += step) {
    if (!reader.feed(bytes.substr(at, step))) return reader.reading();
  }
  return reader.finish();
}

/// Whether a line could be a chunk's size with an extension: there llhttp 8.1 is looser in one
/// place and stricter in another than RFC 9112, and ResponseStream follows the RFC.
bool may_have_chunk_extension(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    const std::size_t digits = line.find_first_not_of("0123456789abcdefABCDEF");
    if (digits != 0 && digits != line.npos && line[digits] == ';') return true;
    bytes.remove_prefix(std::min(line.size() + 1, bytes.size()));
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t first = data[0] % (bytes.size() + 1);
  const std::size_t step = data[1] % 16 + 1;
  const bool is_head = data[1] >= 128;
  const AnswerTo request = is_head ? AnswerTo::head : AnswerTo::other;
  const StreamReading whole = read_by_stream(bytes, bytes.size(), 1, request);
  const StreamReading split = read_by_stream(bytes, first, step, request);
  CHECK(whole.messages == split.messages);
  CHECK(whole.why == split.why);
  if (may_have_chunk_extension(bytes)) return 0;
  // llhttp minds a HTAB behind "chunked" only where chunks follow; this does so after HEAD too.
  if (whole.why == "a HTAB behind the Transfer-Encoding") return 0;
  // Forbidden by RFC 9110, 6.5.1; llhttp takes one that is well-formed.
  if (whole.why == "a Content-Length among the trailers") return 0;
  CHECK(whole.messages == read_by_parser(bytes, is_head ? "HEAD" : "GET"));
  return 0;
}
