// Any split of the bytes gives the same messages and the same error, for requests and responses;
// an accepted request, written out again, is read as the same request.
#include "wire/http1.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "wire/http1_text.hpp"

namespace {

using consort::http1::Limits;
using consort::http1::Message;
using consort::http1::Progress;
using consort::http1::RequestParser;
using consort::http1::ResponseParser;

// Small, so that short inputs reach them.
constexpr Limits kLimits{.header_bytes = 300, .header_count = 8, .body_bytes = 64};

void describe(std::string& out, const Message& message) {
  out += message.method + " " + message.target + " " + std::to_string(message.status) + " 1." +
         std::to_string(message.minor_version) + (message.keep_alive ? " keep\n" : " close\n");
  for (const auto& [name, value] : message.headers) out += name + "=" + value + "\n";
  out += "[" + message.body + "]\n";
}

void check_round_trip(const Message& message) {
  consort::http1::Headers headers;
  for (const auto& header : message.headers) {
    const std::string& name = header.first;
    if (name == "host" || name == "content-length" || name == "transfer-encoding" ||
        name == "connection") {
      continue;
    }
    headers.push_back(header);
  }
  std::string bytes;
  const auto written = consort::http1::append_request(
      bytes, {.method = message.method,
              .target = message.target,
              .host = consort::http1::find_header(message.headers, "host"),
              .headers = &headers,
              .body = message.body,
              .close = !message.keep_alive});
  CHECK(written.has_value());
  RequestParser parser{Limits()};
  const auto step = parser.parse(bytes);
  CHECK(step.progress == Progress::done);
  CHECK(step.used == bytes.size());
  const Message again = parser.take();
  CHECK(again.method == message.method);
  CHECK(again.target == message.target);
  CHECK(again.body == message.body);
  CHECK(again.keep_alive == message.keep_alive);
}

/// False once the stream is broken.
template <class Parser>
bool feed(Parser& parser, std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const auto step = parser.parse(bytes);
    CHECK(step.used <= bytes.size());
    if (step.progress == Progress::error) {
      out += "error: " + parser.error().text() + "\n";
      return false;
    }
    if (step.progress == Progress::more) {
      CHECK(step.used == bytes.size());
      return true;
    }
    bytes.remove_prefix(step.used);
    const Message message = parser.take();
    CHECK(message.body.size() <= kLimits.body_bytes);
    describe(out, message);
    if constexpr (std::is_same_v<Parser, RequestParser>) {
      (void)consort::http1::parse_target(message.method, message.target);
      check_round_trip(message);
    }
  }
  return true;
}

std::string read_requests(std::string_view bytes, std::size_t first, std::size_t step) {
  RequestParser parser(kLimits);
  std::string out;
  if (!feed(parser, bytes.substr(0, first), out)) return out;
  for (std::size_t at = first; at < bytes.size(); at += step) {
    if (!feed(parser, bytes.substr(at, step), out)) return out;
  }
  return out + (parser.idle() ? "idle" : "busy") + (parser.wants_continue() ? " waits" : "");
}

std::string read_responses(std::string_view bytes, std::size_t first, std::size_t step,
                           std::string_view method) {
  ResponseParser parser(kLimits, method);
  std::string out;
  if (!feed(parser, bytes.substr(0, first), out)) return out;
  for (std::size_t at = first; at < bytes.size(); at += step) {
    if (!feed(parser, bytes.substr(at, step), out)) return out;
  }
  if (parser.finish() == Progress::error) return out + parser.error().text();
  describe(out, parser.take());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t first = data[0] % (bytes.size() + 1);
  const std::size_t step = data[1] % 16 + 1;
  const std::string_view method = data[1] >= 128 ? "HEAD" : "GET";
  CHECK(read_requests(bytes, bytes.size(), 1) == read_requests(bytes, first, step));
  CHECK(read_responses(bytes, bytes.size(), 1, method) ==
        read_responses(bytes, first, step, method));
  return 0;
}
