// One request on a pool's connections, awaited: for everything that asks now and then.
//
//   Result<http::Response> response = co_await http::fetch(pool, std::move(request), deadline);
//
// The hot paths use http::Call themselves: a fetch copies the request into one buffer and each
// header of the answer into strings of its own.
#pragma once

#include <cstdint>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "net/http_client.hpp"
#include "net/http_message.hpp"
#include "net/http_pool.hpp"

namespace consort::http {

/// Whether a request may go out again when a kept connection ends without an answer.
enum class Repeat : std::uint8_t {
  by_method,  ///< the idempotent ones of RFC 9110, 9.2.2
  allowed,    ///< the caller knows that asking twice does no harm
};

/// As the fetch on one new connection (http_client.hpp), but for: the target goes behind the URL's
/// prefix, Host is the URL's unless the request has one, the header limit is the pool's. The
/// deadline covers everything; dropping the task cancels the call. Errors: Errc::refused (nobody
/// there), timed_out, closed, protocol, denied (a certificate), limit, unavailable (the name cannot
/// be resolved), invalid (a request that cannot be written), internal. With the
/// pool's end the task waits for its deadline.
Task<Result<Response>> fetch(Pool& pool, ClientRequest request, Deadline deadline,
                             Repeat repeat = Repeat::by_method);

}  // namespace consort::http
