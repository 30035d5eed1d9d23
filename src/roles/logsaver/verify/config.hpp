// The configuration of `consort sidecar verify`.
#pragma once

#include <string>
#include <vector>

#include "base/options.hpp"
#include "manage/role.hpp"
#include "net/tls_options.hpp"
#include "roles/logsaver/verify/checker.hpp"

namespace consort::logsaver {

class VerifyConfig final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;

  std::vector<std::string> target;
  bool no_read = false;
  bool from_start = false;
  std::vector<std::string> head;
  bool json = false;
  Millis timeout{60'000};

  TlsOptions tls;

  Checker::Rules rules() const;
};

}  // namespace consort::logsaver
