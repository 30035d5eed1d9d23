// The configuration of gather-leaf: which command answers, how many at a time, for how long.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/options.hpp"
#include "manage/role.hpp"

namespace consort::gather {

class LeafConfig final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;
  void validate(Problems& problems) override;

  std::vector<Address> listen;
  std::string exec;
  bool cgi = false;
  std::string content_type;  ///< empty: by what the output is
  Millis timeout{2000};
  std::uint32_t processes_max = 0;  ///< 0: four for each processor
  std::uint32_t waiting_max = 0;    ///< 0: as many as processes
  ByteSize request_body{8ULL << 20};
  ByteSize response_body{8ULL << 20};
  std::uint32_t connections = 1024;
};

}  // namespace consort::gather
