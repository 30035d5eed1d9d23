#include "roles/gather/external_merges.hpp"

#include <utility>

#include "roles/gather/merge_coprocess.hpp"
#include "roles/gather/merge_exec.hpp"
#include "roles/gather/merge_http.hpp"

namespace consort::gather {
namespace {

constexpr std::size_t kMergedBytesMax = 64UL << 20;

}  // namespace

Result<std::unique_ptr<ExternalMerge>> make_external_merge(const Services& services,
                                                           const RouteConfig& route, LazyTls& tls,
                                                           const TlsOptions& tls_options) {
  if (!route.merge_exec.empty()) {
    ExecMergeOptions options;
    options.command = route.merge_exec;
    if (route.merge_processes > 0) options.processes_max = route.merge_processes;
    options.files = route.merge_files;
    options.cgi = route.merge_cgi;
    return std::make_unique<ExecMerge>(services, std::move(options));
  }
  if (!route.merge_coprocess.empty()) {
    CoprocessMergeOptions options;
    options.command = route.merge_coprocess;
    options.patience = route.timeout;
    if (route.merge_processes > 0) options.processes = route.merge_processes;
    return std::make_unique<CoprocessMerge>(services, std::move(options));
  }
  if (!route.merge_url.empty()) {
    auto url = http::Url::parse(route.merge_url);
    if (!url) return fail(std::move(url.error()));
    HttpMergeOptions options;
    if (url->scheme == http::Url::Scheme::https) {
      auto made = tls.make(tls_options, services.log);
      if (!made) return fail(std::move(made.error()));
      options.pool.tls = *made;
    }
    options.url = std::move(*url);
    options.format = route.merge_format;
    options.pool.connect_timeout = route.connect_timeout;
    options.pool.body_bytes_max = kMergedBytesMax;
    return std::make_unique<HttpMerge>(services, options);
  }
  return std::unique_ptr<ExternalMerge>();
}

}  // namespace consort::gather
