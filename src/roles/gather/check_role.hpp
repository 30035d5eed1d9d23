// `consort gather-check`: tries out a developer's leaf and merge, or replays a request of a root.
//
//   gather-check --leaf URL --merge CMD|URL    lines "ok", "warn" and "FAIL"; 1 when any failed
//   gather-check --replay FILE --root URL      both timelines side by side; 1 when there is none
//
// A job: it has no admin interface, writes what it finds to standard output, and ends.
#pragma once

#include "manage/role.hpp"

namespace consort::gather {

extern const RoleSpec kGatherCheck;

}  // namespace consort::gather
