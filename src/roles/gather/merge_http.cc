#include "roles/gather/merge_http.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "net/http_fetch.hpp"
#include "roles/gather/cgi.hpp"
#include "roles/gather/merge_payload.hpp"
#include "wire/http1_text.hpp"
#include "wire/request_deadline.hpp"

namespace consort::gather {
namespace {

/// While it lives, a merge is under way.
class Active {
 public:
  explicit Active(MergeStats& stats) : stats_(stats) {
    ++stats_.runs;
    ++stats_.active;
  }
  ~Active() { --stats_.active; }
  Active(const Active&) = delete;
  Active& operator=(const Active&) = delete;

 private:
  MergeStats& stats_;
};

http::ClientRequest render(const MergeRequest& merge, MergeFormat format,
                           std::chrono::milliseconds left) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = "";
  std::string type;
  switch (format) {
    case MergeFormat::json:
      type = "application/json";
      request.body = render_json(merge);
      break;
    case MergeFormat::ndjson:
      type = "application/x-ndjson";
      request.body = render_ndjson(merge);
      break;
    case MergeFormat::multipart: {
      MultipartPayload payload = render_multipart(merge);
      type = std::move(payload.content_type);
      request.body = std::move(payload.body);
      break;
    }
  }
  request.headers.emplace_back("Content-Type", std::move(type));
  request.headers.emplace_back("Consort-Request-Id", merge.id);
  request.headers.emplace_back("grpc-timeout", grpc_timeout(left));
  return request;
}

/// RFC 9110, 7.6.1: what a Connection header names is for this connection only.
bool is_named_by_connection(const http1::Headers& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(), [name](const auto& header) {
    return header.first == "connection" && http1::list_contains(header.second, name);
  });
}

MergedAnswer to_answer(http::Response response) {
  MergedAnswer answer;
  answer.status = response.status;
  answer.content_type = std::move(response.content_type);
  answer.body = std::move(response.body);
  for (auto& header : response.headers) {
    const std::string_view name = header.first;
    if (name == "content-type" || is_framing_header(name)) continue;
    if (is_named_by_connection(response.headers, name)) continue;
    answer.headers.emplace_back(name, header.second);
  }
  return answer;
}

}  // namespace

HttpMerge::HttpMerge(const Services& services, const HttpMergeOptions& options)
    : format_(options.format),
      loop_(services.loop),
      pool_(services.loop, services.network, services.dns, options.url, options.pool) {}

Task<MergeResult> HttpMerge::merge(MergeRequest request, Deadline deadline) {
  const Active active(stats_);
  constexpr std::chrono::milliseconds kTold = std::chrono::hours(1);
  const std::chrono::milliseconds left = std::min(deadline.left(loop_.now_ms()), kTold);
  if (left.count() == 0) {
    ++stats_.timed_out;
    co_return tl::unexpected(MergeFailure{true, "no time was left for it"});
  }
  http::ClientRequest asked = render(request, format_, left);
  asked.response_body_bytes_max = pool_.options().body_bytes_max;
  Result<http::Response> response =
      co_await http::fetch(pool_, std::move(asked), deadline, http::Repeat::allowed);
  if (!response) {
    const bool timed_out = response.error().code() == Errc::timed_out;
    ++(timed_out ? stats_.timed_out : stats_.failed);
    co_return tl::unexpected(MergeFailure{timed_out, response.error().message()});
  }
  co_return to_answer(std::move(*response));
}

}  // namespace consort::gather
