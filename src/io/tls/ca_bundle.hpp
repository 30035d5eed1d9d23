// The certificate authorities inside the executable, for images that have none (FROM scratch).
#pragma once

#include <string_view>

namespace consort::io {

/// PEM: Mozilla's list as Debian's package ca-certificates had it at build time. The pages are not
/// in memory before somebody reads them.
std::string_view embedded_ca_bundle();

}  // namespace consort::io
