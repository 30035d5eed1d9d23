// What goes to the leaves: the client's request as each leaf gets it (spec: leaf contract v1).
//
//   GET /shard/s0/search?q=x HTTP/1.1      method and target: the client's, or the route's template
//   Host: 10.0.0.1                         the leaf's
//   (the client's end-to-end headers)
//   Accept-Encoding: identity              the answers are read, not passed through
//   Via: 1.1 consort-5f0c-search           RFC 9110 7.6.3; how a root recognises itself
//   Consort-Request-Id, Consort-Depth, Consort-Shards
//   Consort-Shard, Consort-Attempt, traceparent, grpc-timeout, x-envoy-expected-rq-timeout-ms
//
// What all calls of one request share is built once; an attempt appends what is its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "net/http_message.hpp"
#include "roles/gather/config.hpp"
#include "roles/gather/topology.hpp"
#include "wire/trace_context.hpp"

namespace consort::gather {

/// A text with places: "{shard}", "{index}", "{shards}", "{path}" (the client's, as sent).
class Template {
 public:
  struct Values {
    std::string_view shard;
    std::uint32_t index = 0;
    std::uint32_t shards = 0;
    std::string_view path;
  };
  /// Errc::invalid for an unknown place, with the known ones.
  static Result<Template> parse(std::string_view text);
  void append(std::string& out, const Values& values) const;
  bool empty() const { return pieces_.empty(); }

 private:
  enum class Place : std::uint8_t { none, shard, index, shards, path };
  struct Piece {
    std::string text;
    Place place = Place::none;  ///< after the text
  };
  std::vector<Piece> pieces_;
};

/// Whether --path and --header say what can be sent: Errc::invalid with the remedy.
Result<> check_path_template(const std::string& path);
Result<> check_header_template(const std::string& line);

/// A route's templates, read once at load.
struct ScatterTemplates {
  Template path;
  std::vector<std::pair<std::string, Template>> headers;

  std::vector<std::string> names;  ///< of `headers`, in lower case

  /// The client's header of that (lower-case) name gives way to the route's.
  bool sets(std::string_view name) const;
  static Result<ScatterTemplates> make(const RouteConfig& route);
};

/// Who we are in Via: one token per process and route.
std::string via_token(std::string_view instance, std::string_view route);

/// The header lines that tell a leaf how long its answer is of use.
void append_deadline(std::string& out, std::chrono::microseconds left);

/// One request on its way to many leaves. Keeps views into the request and the templates: both must
/// outlive it.
class LeafRequest {
 public:
  struct Facts {
    std::string_view id;
    std::string_view via;
    std::uint32_t depth = 1;   ///< of the leaves
    std::uint32_t shards = 0;  ///< in the topology
    const TraceContext* trace = nullptr;
  };
  LeafRequest(const http::Request& request, const ScatterTemplates& templates, const Facts& facts);

  struct Attempt {
    const http::Url& url;
    std::string_view shard;
    std::uint32_t index;              ///< in the topology
    std::uint32_t number = 1;         ///< counted from 1
    std::string_view deadline_lines;  ///< of append_deadline()
  };
  /// Appends the head of one attempt, with the blank line at its end.
  void append_head(std::string& out, const Attempt& attempt, Random& random) const;
  /// HEAD is asked as GET: a merge needs bodies to know its headers.
  std::string_view method() const { return method_; }
  std::string_view body() const { return request_.body; }
  /// GET, HEAD, OPTIONS, TRACE, PUT and DELETE: sending it twice is as good as once (RFC 9110).
  bool is_idempotent() const { return is_idempotent_; }
  /// GET or HEAD.
  bool is_read() const { return method_ == "GET"; }

 private:
  void append_target(std::string& out, const Attempt& attempt) const;
  Template::Values values_for(const Attempt& attempt) const;

  const http::Request& request_;
  const ScatterTemplates& templates_;
  const TraceContext* trace_;
  std::string_view method_;
  std::string_view path_;   ///< of the target, as sent
  std::string_view query_;  ///< with its "?"
  std::uint32_t shards_;
  bool is_idempotent_;
  // The head in order, but for what stands between these and differs from leaf to leaf:
  std::string target_;  ///< unless the route has a path of its own
  std::string common_;  ///< from behind the host's name to the shard's
};

}  // namespace consort::gather
