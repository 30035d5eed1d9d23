// The merge that is an HTTP service (specification 7.3, `http`): one POST per request.
//
//   POST /merge HTTP/1.1                 the path of the URL; "/" when it has none
//   Content-Type: application/json       or application/x-ndjson, multipart/mixed;boundary=...
//   Consort-Request-Id: 7f               the client's request
//   grpc-timeout: 57m                    what is left for it
//
// The body is merge_payload.hpp's. Whatever status comes back is the answer, with its end-to-end
// headers and its body. A merge computes and changes nothing, so one that a kept connection has
// lost without a word is asked again, once; anything else that goes wrong is a failure.
#pragma once

#include <cstddef>
#include <string>

#include "manage/role.hpp"
#include "net/http_pool.hpp"
#include "net/url.hpp"
#include "roles/gather/config_text.hpp"
#include "roles/gather/external_merge.hpp"

namespace consort::gather {

struct HttpMergeOptions {
  http::Url url;
  MergeFormat format = MergeFormat::json;
  /// body_bytes_max is the largest answer; tls is needed for https.
  http::PoolOptions pool;
};

class HttpMerge final : public ExternalMerge {
 public:
  HttpMerge(const Services& services, const HttpMergeOptions& options);

  Task<MergeResult> merge(MergeRequest request, Deadline deadline) override;
  std::string describe() const override { return "http " + pool_.url().to_string(); }
  const MergeStats& stats() const override { return stats_; }

 private:
  const MergeFormat format_;
  io::Loop& loop_;
  MergeStats stats_;
  http::Pool pool_;
};

}  // namespace consort::gather
