// The configuration of gather-check: which containers are tried out, and how.
#pragma once

#include <string>
#include <vector>

#include "base/options.hpp"
#include "manage/role.hpp"
#include "net/tls_options.hpp"
#include "roles/gather/config.hpp"

namespace consort::gather {

class CheckConfig final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;
  void validate(Problems& problems) override;

  std::string leaf;   ///< URL; empty: none is tried
  std::string merge;  ///< URL or command; empty: none is tried
  bool coprocess = false;
  bool files = false;
  bool cgi = false;
  MergeFormat merge_format = MergeFormat::json;
  std::string path = "/";  ///< with its query
  std::string sample;      ///< a file; empty: the leaf's own answer, or one of ours
  Millis timeout{5000};    ///< of each request

  std::string replay;  ///< a file, "-" for standard input; empty: nothing is replayed
  std::string root;
  std::string request_id;

  TlsOptions tls;

  bool merge_is_url() const;
  /// The merge as a route of a root has it; meaningful when there is one.
  RouteConfig merge_route() const;
};

}  // namespace consort::gather
