// One connection to a server under test, watched more closely than a pool does: what ended it, how
// an answer was framed, and what came after it.
//
//   CheckConnection connection(services, url, tls);
//   auto opened = co_await connection.open(deadline);
//   auto seen = co_await connection.ask(bytes, http1::AnswerTo::other, deadline);
//
// Destroying it closes the connection at once. For checks only: each answer is copied.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "io/tls.hpp"
#include "manage/role.hpp"
#include "net/async_stream.hpp"
#include "net/url.hpp"
#include "wire/http1.hpp"
#include "wire/http1_response.hpp"

namespace consort::gather {

struct SeenAnswer {
  int status = 0;
  http1::Headers headers;  ///< lower-case names
  std::string body;
  bool until_end = false;       ///< the end of the connection was the end of the body
  bool keep_alive = false;      ///< as the server says
  std::size_t stray_bytes = 0;  ///< that came behind the answer
  double ms = 0;                ///< from the first byte of the request to the last one here

  std::string_view header(std::string_view name) const { return http1::find_header(headers, name); }
  bool is_success() const { return status / 100 == 2; }
};

/// Services, URL and TLS client outlive it.
class CheckConnection {
 public:
  /// `tls` may be null for URLs other than https.
  CheckConnection(const Services& services, const http::Url& url, io::TlsClient* tls);

  /// Each of the name's addresses in turn, until one connects.
  Task<Result<>> open(Deadline deadline);
  Task<Result<>> send(std::string bytes, Deadline deadline);
  /// Errors: timed_out, closed (without a whole answer), protocol, limit.
  Task<Result<SeenAnswer>> ask(std::string request, http1::AnswerTo to, Deadline deadline);
  /// Waits for what comes though nothing was asked: more bytes of the last answer, or the end.
  struct Afterwards {
    std::size_t bytes = 0;
    bool has_ended = false;
  };
  Task<Afterwards> listen(Deadline deadline);

 private:
  http1::ResponseStream::Event take(std::string_view& rest, std::string& body);
  Task<Result<SeenAnswer>> read(http1::AnswerTo to, Deadline deadline);

  const Services& services_;
  const http::Url& url_;
  io::TlsClient* tls_;
  http1::ResponseStream answer_;
  std::unique_ptr<AsyncStream> stream_;
};

}  // namespace consort::gather
