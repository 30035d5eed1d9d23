// What a status of c-ares means to us.
#pragma once

#include "base/error.hpp"

namespace consort::io {

/// `status` is one of the ARES_E... codes, not ARES_SUCCESS.
Error cares_error(int status);

}  // namespace consort::io
