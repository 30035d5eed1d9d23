#include "net/s3_client.hpp"

#include <charconv>
#include <system_error>

#include "async/try.hpp"
#include "base/base64.hpp"
#include "io/digest.hpp"
#include "net/http_exchange.hpp"
#include "wire/retry_after.hpp"

namespace consort::s3 {
namespace {

/// Beyond this S3 refuses a request's time; less than that is no reason for a 403.
constexpr std::int64_t kSkewMs = 10 * 60 * 1000;

std::string unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

Answer make_answer(http::Response response, bool is_head) {
  Answer answer;
  answer.status = response.status;
  answer.headers = std::move(response.headers);
  answer.body = std::move(response.body);
  answer.etag = unquoted(http1::find_header(answer.headers, "etag"));
  const std::string_view length = http1::find_header(answer.headers, "content-length");
  const auto [end, error] =
      std::from_chars(length.data(), length.data() + length.size(), answer.size);
  if (error != std::errc() || end != length.data() + length.size())
    answer.size = answer.body.size();
  if (!is_head && answer.status >= 300) {
    if (auto fault = parse_fault(answer.body)) {
      answer.code = std::move(fault->code);
      answer.message = std::move(fault->message);
    }
  }
  return answer;
}

void add_object_headers(http1::Headers& headers, const PutOptions& options) {
  if (!options.content_type.empty()) headers.emplace_back("Content-Type", options.content_type);
  if (!options.content_encoding.empty()) {
    headers.emplace_back("Content-Encoding", options.content_encoding);
  }
  for (const auto& [name, value] : options.metadata) {
    headers.emplace_back("x-amz-meta-" + name, value);
  }
}

}  // namespace

struct Client::Request {
  std::string method;
  std::string path;  ///< encoded
  aws::Parameters query{};
  http1::Headers headers{};
  std::string_view body{};
  std::string payload_hash{};  ///< empty: computed
  http::Repeat repeat = http::Repeat::allowed;
};

Client::Client(http::Pool& pool, aws::Credentials& credentials, aws::WallClock wall_ms,
               Settings settings)
    : pool_(pool),
      credentials_(credentials),
      wall_ms_(std::move(wall_ms)),
      settings_(std::move(settings)) {}

Client::Request Client::make(std::string_view method, std::string_view key) const {
  Request request;
  request.method = method;
  request.path = path_of(key);
  return request;
}

/// An empty key is the bucket itself.
std::string Client::path_of(std::string_view key) const {
  std::string path = "/";
  if (settings_.path_style) path += settings_.bucket;
  if (settings_.path_style && !key.empty()) path += '/';
  return pool_.url().target(path + aws::uri_encode(key, aws::Slash::keep));
}

Task<Result<Answer>> Client::put(std::string key, std::string_view body, PutOptions options,
                                 Deadline deadline) {
  Request request = make("PUT", key);
  request.body = body;
  request.payload_hash = std::move(options.sha256);
  if (options.if_absent) request.headers.emplace_back("If-None-Match", "*");
  add_object_headers(request.headers, options);
  co_return co_await ask(std::move(request), deadline);
}

Task<Result<Answer>> Client::head(std::string key, Deadline deadline) {
  Request request = make("HEAD", key);
  co_return co_await ask(std::move(request), deadline);
}

Task<Result<Answer>> Client::get(std::string key, Deadline deadline) {
  Request request = make("GET", key);
  co_return co_await ask(std::move(request), deadline);
}

Task<Result<Answer>> Client::get_part(std::string key, Range range, std::string etag,
                                      Deadline deadline) {
  Request request = make("GET", key);
  request.headers.emplace_back(
      "Range", "bytes=" + std::to_string(range.first) + "-" + std::to_string(range.last));
  if (!etag.empty()) request.headers.emplace_back("If-Match", "\"" + etag + "\"");
  co_return co_await ask(std::move(request), deadline);
}

Task<Result<Answer>> Client::remove(std::string key, Deadline deadline) {
  Request request = make("DELETE", key);
  co_return co_await ask(std::move(request), deadline);
}

Task<Result<Listed>> Client::list(std::string prefix, std::string token, Deadline deadline) {
  Request request = make("GET", "");
  request.query.emplace_back("list-type", "2");
  request.query.emplace_back("encoding-type", "url");
  request.query.emplace_back("max-keys", std::to_string(kMaxListed));
  if (!prefix.empty()) request.query.emplace_back("prefix", std::move(prefix));
  if (!token.empty()) request.query.emplace_back("continuation-token", std::move(token));
  Listed listed;
  listed.answer = co_await try_(ask(std::move(request), deadline));
  if (judge(listed.answer.status, listed.answer.code) == Verdict::delivered) {
    listed.listing = co_await try_(parse_listing(listed.answer.body));
  }
  co_return listed;
}

Task<Result<Answer>> Client::create_upload(std::string key, PutOptions options, Deadline deadline) {
  Request request = make("POST", key);
  request.query.emplace_back("uploads", "");
  // Repeated, it would leave an upload behind that nobody knows.
  request.repeat = http::Repeat::by_method;
  add_object_headers(request.headers, options);
  Answer answer = co_await try_(ask(std::move(request), deadline));
  if (judge(answer.status, answer.code) == Verdict::delivered) {
    answer.body = co_await try_(parse_upload_id(answer.body));
  }
  co_return answer;
}

Task<Result<Answer>> Client::upload_part(std::string key, std::string id, std::uint32_t number,
                                         std::string_view body, Deadline deadline) {
  Request request = make("PUT", key);
  request.query.emplace_back("partNumber", std::to_string(number));
  request.query.emplace_back("uploadId", std::move(id));
  request.body = body;
  co_return co_await ask(std::move(request), deadline);
}

Task<Result<Answer>> Client::complete_upload(std::string key, std::string id,
                                             std::vector<std::string> etags, bool if_absent,
                                             Deadline deadline) {
  Request request = make("POST", key);
  request.query.emplace_back("uploadId", std::move(id));
  if (if_absent) request.headers.emplace_back("If-None-Match", "*");
  const std::string body = write_complete(etags);
  request.body = body;
  // Repeated after it has worked, it is answered with NoSuchUpload, and a HEAD tells.
  Answer answer = co_await try_(ask(std::move(request), deadline));
  if (judge(answer.status, answer.code) != Verdict::delivered) co_return answer;
  if (auto fault = parse_fault(answer.body)) {
    answer.code = fault->code.empty() ? "InternalError" : std::move(fault->code);
    answer.message = std::move(fault->message);
    co_return answer;
  }
  answer.etag = co_await try_(parse_completed(answer.body));
  co_return answer;
}

Task<Result<Answer>> Client::abort_upload(std::string key, std::string id, Deadline deadline) {
  Request request = make("DELETE", key);
  request.query.emplace_back("uploadId", std::move(id));
  co_return co_await ask(std::move(request), deadline);
}

Task<Result<ListedUploads>> Client::list_uploads(std::string prefix, std::string next_key,
                                                 std::string next_id, Deadline deadline) {
  Request request = make("GET", "");
  request.query.emplace_back("uploads", "");
  request.query.emplace_back("encoding-type", "url");
  request.query.emplace_back("max-uploads", std::to_string(kMaxListed));
  if (!prefix.empty()) request.query.emplace_back("prefix", std::move(prefix));
  if (!next_key.empty()) request.query.emplace_back("key-marker", std::move(next_key));
  if (!next_id.empty()) request.query.emplace_back("upload-id-marker", std::move(next_id));
  ListedUploads listed;
  listed.answer = co_await try_(ask(std::move(request), deadline));
  if (judge(listed.answer.status, listed.answer.code) == Verdict::delivered) {
    listed.uploads = co_await try_(parse_uploads(listed.answer.body));
  }
  co_return listed;
}

Task<Result<Answer>> Client::ask(Request request, Deadline deadline) {
  if (request.payload_hash.empty()) {
    request.payload_hash =
        request.body.empty() ? std::string(aws::kEmptyHash) : io::to_hex(io::sha256(request.body));
  }
  if (settings_.content_md5 && !request.body.empty()) {
    std::string md5;
    append_base64(md5, io::as_text(io::md5(request.body)));
    request.headers.emplace_back("Content-MD5", std::move(md5));
  }
  Result<Answer> answer = co_await ask_in_step(request, deadline);
  if (!answer) {
    co_return fail(std::move(answer.error()).in(request.method + " " + request.path));
  }
  if (judge(answer->status, answer->code) == Verdict::hold_credentials) credentials_.refresh();
  co_return answer;
}

/// Once more by the server's clock, when ours is too far from it.
Task<Result<Answer>> Client::ask_in_step(const Request& request, Deadline deadline) {
  Result<Answer> answer = co_await ask_once(request, deadline);
  if (answer && is_skewed(*answer)) co_return co_await ask_once(request, deadline);
  co_return answer;
}

Task<Result<Answer>> Client::ask_once(const Request& request, Deadline deadline) {
  const std::shared_ptr<const aws::Keys> keys = co_await try_(credentials_.get(deadline));
  const std::string time = aws::amz_date(wall_ms_() + clock_offset_ms_);
  const std::string query = aws::encode_query(request.query);
  const std::string& host = pool_.url().host_header;
  http1::Headers headers = request.headers;
  headers.emplace_back("Host", host);
  headers.emplace_back("x-amz-content-sha256", request.payload_hash);
  headers.emplace_back("x-amz-date", time);
  if (!keys->session_token.empty()) {
    headers.emplace_back("x-amz-security-token", keys->session_token);
  }
  const aws::Signable signable{.method = request.method,
                               .path = request.path,
                               .query = query,
                               .headers = &headers,
                               .payload_hash = request.payload_hash};
  const aws::Scope scope{.time = time, .region = settings_.region, .service = "s3"};
  headers.emplace_back("Authorization", aws::authorization(*keys, scope, signable));
  const std::string target = query.empty() ? request.path : request.path + "?" + query;
  const http::RequestHead head{
      .method = request.method, .target = target, .host = host, .headers = &headers};
  http::Response response =
      co_await try_(http::exchange(pool_, head, request.body, deadline, request.repeat));
  co_return make_answer(std::move(response), request.method == "HEAD");
}

/// Keeps the server's time when that may be what it complains of. HEAD does not say.
bool Client::is_skewed(const Answer& answer) {
  if (answer.status != 403 || (!answer.code.empty() && answer.code != "RequestTimeTooSkewed")) {
    return false;
  }
  const auto server_s = parse_http_date(http1::find_header(answer.headers, "date"));
  if (!server_s) return false;
  const std::int64_t offset_ms = *server_s * 1000 - wall_ms_();
  const std::int64_t change_ms = offset_ms - clock_offset_ms_;
  if (answer.code.empty() && change_ms < kSkewMs && change_ms > -kSkewMs) return false;
  clock_offset_ms_ = offset_ms;
  return true;
}

}  // namespace consort::s3
