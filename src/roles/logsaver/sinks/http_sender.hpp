// One body to one HTTP destination, once, and what that came to.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "async/task.hpp"
#include "base/options.hpp"
#include "net/http_message.hpp"
#include "net/http_pool.hpp"
#include "net/url.hpp"
#include "roles/logsaver/sinks/http_auth.hpp"
#include "roles/logsaver/sinks/http_verdict.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"
#include "wire/compressor.hpp"
#include "wire/http1.hpp"

namespace consort::logsaver {

struct HttpTarget {
  http::Url url;
  std::string method = "POST";
  std::string target;  ///< behind the URL's prefix, with a query
  std::string content_type;
  http1::Headers headers;            ///< as the person wants them, besides ours
  bool has_idempotency_key = false;  ///< tells the body's key in Idempotency-Key
  HttpAuthSettings auth;
  Millis timeout{30'000};  ///< for all of one try
  HttpVerdict (*judge)(int status) = judge_status;
};

/// What it refers to stays until the task ends.
struct HttpBody {
  std::string_view bytes;
  Coding coding = Coding::none;
  std::string_view key;  ///< the same for the same bytes
};

struct HttpAnswer {
  HttpVerdict verdict = HttpVerdict::delivered;
  std::string body;  ///< of what was delivered or refused; at most kAnswerBytesMax
  std::string why;   ///< for people, for all but delivered: what was asked, and what came
  Millis wait{0};    ///< as the server asks, up to kWaitMax

  /// Of retry, overload and hold.
  Outcome outcome() &&;
};

/// Belongs to the loop's thread; outlives its tasks.
class HttpSender {
 public:
  static constexpr std::size_t kAnswerBytesMax = 8 * 1024 * 1024;
  static constexpr Millis kConnectTimeout{5000};
  static constexpr Millis kWaitMax{10 * 60'000};

  /// `tls` for https.
  HttpSender(const SinkWorld& world, HttpTarget target, io::TlsClient* tls);

  /// With other credentials at once when the server does not know ours (401) and the file has new
  /// ones.
  Task<HttpAnswer> send(HttpBody body);
  /// An error for credentials that cannot be read.
  Result<> check();

 private:
  Task<HttpAnswer> send_once(HttpBody body, bool& is_unknown);
  HttpAnswer read(http::Response response) const;
  std::string place() const;

  const SinkWorld world_;
  const HttpTarget target_;
  HttpAuth auth_;
  http::Pool pool_;
};

}  // namespace consort::logsaver
