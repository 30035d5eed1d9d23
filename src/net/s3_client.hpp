// Asking an S3 server: AWS, Ceph, Swift, minio and their like.
//
//   s3::Client client(pool, credentials, wall_ms, {.bucket = "logs", .region = "eu-central-1"});
//   s3::PutOptions options{.if_absent = true};
//   s3::Answer answer = co_await try_(client.put("a/b", bytes, std::move(options), deadline));
//   switch (s3::judge(answer.status, answer.code)) ...
//
// Each call is one signed request (aws_sigv4.hpp) and gives the answer, whatever its status; an
// Error is for what never became an answer (refused, closed, timed_out: try again) and for missing
// credentials. Nothing is repeated here but for one thing: a server that finds our clock wrong
// tells its own time, which is kept as an offset, and the request goes out once more. After an
// answer that does not like the keys they are looked for again by the next call. Who retries, when
// and what is the caller's: judge() says what an answer means.
//
// The payload's SHA-256 is part of each signature, so a server that verifies signatures verifies
// bytes. Hashing happens on the loop: 5 ms for 8 MiB. The pool's connect_timeout (100 ms by
// default) is for neighbours: give it seconds for a store that is far away. Credentials, pool and
// clock outlive the client; bodies stay until their task has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "net/aws_credentials.hpp"
#include "net/aws_sigv4.hpp"
#include "net/http_pool.hpp"
#include "net/s3_xml.hpp"
#include "net/url.hpp"
#include "wire/http1.hpp"

namespace consort::s3 {

/// Where the bucket's name goes.
enum class Style : std::uint8_t {
  automatic,     ///< path for an endpoint of one's own and for names with dots, else virtual_host
  path,          ///< https://s3.example/bucket/key
  virtual_host,  ///< https://bucket.s3.example/key
};
struct Place {
  http::Url url;  ///< for the pool
  bool path_style = true;
};
/// An empty endpoint is AWS's in that region. Errc::invalid names what is wrong.
Result<Place> find_place(std::string_view endpoint, std::string_view bucket,
                         std::string_view region, Style style);

struct Settings {
  std::string bucket;
  std::string region = "us-east-1";
  bool path_style = true;
  /// Sends Content-MD5 too: buckets with object lock ask for it; 15 ms for 8 MiB.
  bool content_md5 = false;
};

struct Answer {
  int status = 0;
  std::string code;        ///< of an <Error>, under 200 too; empty when there was none
  std::string message;     ///< of an <Error>, for people
  std::string etag;        ///< without its quotes
  std::uint64_t size = 0;  ///< Content-Length, which HEAD tells too
  http1::Headers headers;  ///< names in lower case
  std::string body;
};

/// What an answer means to who wanted something saved.
enum class Verdict : std::uint8_t {
  delivered,         ///< 2xx without an <Error>
  exists,            ///< 412: the condition found an object
  absent,            ///< 404 of an object or upload
  retry,             ///< of the moment: later, with growing pauses, or after Retry-After
  hold_credentials,  ///< 401, 403 and their like: keys, rights or the clock
  hold_bucket,       ///< no such bucket, another region, its quota is used up
  hold_request,      ///< 400 and what else will not change by itself
  too_large,         ///< the object is more than the server takes
  unsupported,       ///< 501: such a header or request is not known there
  conflict,          ///< another object has the key (of ObjectWriter, never of judge())
};
std::string_view to_string(Verdict verdict);
/// By the code where it says more than the status. Pure.
Verdict judge(int status, std::string_view code);

struct PutOptions {
  bool if_absent = false;          ///< If-None-Match: *
  std::string content_type{};      ///< empty: none is sent
  std::string content_encoding{};  ///< likewise
  http1::Headers metadata{};       ///< names without "x-amz-meta-"
  std::string sha256{};            ///< hex, of the body; empty: computed here
};

/// Of an object's bytes; both ends belong to it.
struct Range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

struct Listed {
  Answer answer;
  Listing listing;  ///< empty unless the answer's verdict is delivered
};
struct ListedUploads {
  Answer answer;
  Uploads uploads;
};

class Client {
 public:
  Client(http::Pool& pool, aws::Credentials& credentials, aws::WallClock wall_ms,
         Settings settings);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Task<Result<Answer>> put(std::string key, std::string_view body, PutOptions options,
                           Deadline deadline);
  Task<Result<Answer>> head(std::string key, Deadline deadline);
  /// The body is at most the pool's limit.
  Task<Result<Answer>> get(std::string key, Deadline deadline);
  /// The bytes first..last of an object that has any: 206, or 200 from servers that give all of it.
  /// With an etag of an earlier part: 412 when it is another object by now.
  Task<Result<Answer>> get_part(std::string key, Range range, std::string etag, Deadline deadline);
  /// Fine when it is not there.
  Task<Result<Answer>> remove(std::string key, Deadline deadline);
  /// Up to kMaxListed keys in their order, from `token` (Listing::next) on.
  Task<Result<Listed>> list(std::string prefix, std::string token, Deadline deadline);

  /// The answer's body is the upload's id when the verdict is delivered.
  Task<Result<Answer>> create_upload(std::string key, PutOptions options, Deadline deadline);
  /// Numbers begin with 1; all parts but the last hold at least 5 MiB.
  Task<Result<Answer>> upload_part(std::string key, std::string id, std::uint32_t number,
                                   std::string_view body, Deadline deadline);
  /// May answer 200 with an <Error>: then Answer::code is set.
  Task<Result<Answer>> complete_upload(std::string key, std::string id,
                                       std::vector<std::string> etags, bool if_absent,
                                       Deadline deadline);
  Task<Result<Answer>> abort_upload(std::string key, std::string id, Deadline deadline);
  /// From `next_key` and `next_id` of the last answer on.
  Task<Result<ListedUploads>> list_uploads(std::string prefix, std::string next_key,
                                           std::string next_id, Deadline deadline);

  const Settings& settings() const { return settings_; }
  /// What the server's clock is ahead of ours, as far as it has complained.
  std::int64_t clock_offset_ms() const { return clock_offset_ms_; }

 private:
  struct Request;

  Task<Result<Answer>> ask(Request request, Deadline deadline);
  Task<Result<Answer>> ask_in_step(const Request& request, Deadline deadline);
  Task<Result<Answer>> ask_once(const Request& request, Deadline deadline);
  bool is_skewed(const Answer& answer);
  std::string path_of(std::string_view key) const;
  Request make(std::string_view method, std::string_view key) const;

  http::Pool& pool_;
  aws::Credentials& credentials_;
  const aws::WallClock wall_ms_;
  const Settings settings_;
  std::int64_t clock_offset_ms_ = 0;
};

}  // namespace consort::s3
