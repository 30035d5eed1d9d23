// The merges of a route's own, made from its options.
#pragma once

#include <memory>

#include "manage/role.hpp"
#include "net/lazy_tls.hpp"
#include "roles/gather/config.hpp"
#include "roles/gather/external_merge.hpp"

namespace consort::gather {

/// Null when the route has a built-in merge.
Result<std::unique_ptr<ExternalMerge>> make_external_merge(const Services& services,
                                                           const RouteConfig& route, LazyTls& tls,
                                                           const TlsOptions& tls_options);

}  // namespace consort::gather
