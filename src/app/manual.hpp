// The manual's generated parts: the OPTIONS section of a role's page, and short pages for places
// without man(1) or man pages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/roles.hpp"

namespace consort {

struct ManualTopic {
  std::string name;
  std::string summary;
};

/// What `consort man TOPIC` accepts: every role and every page of manual.cc.
std::vector<ManualTopic> manual_topics();
/// Plain text; empty when there is no such topic.
std::string manual_page(std::string_view topic);
/// The OPTIONS section in mdoc, from its .Sh on; scripts/gen-man puts it between the markers.
std::string options_mdoc(const RoleSpec& spec);

}  // namespace consort
