// Which consort this is.
#pragma once

#include <string>

namespace consort {

std::string version_text();
/// {"version":"0.1.0","build_id":"..","compiler":".."}: the build id is the linker's, as
/// `readelf -n` prints it; empty when the executable has none.
std::string version_json();

}  // namespace consort
