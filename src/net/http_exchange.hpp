// One request with a large body on a pool's connections, awaited: nothing of the body is copied.
//
//   RequestHead head{.method = "PUT", .target = "/b/k", .headers = &headers};
//   auto response = co_await exchange(pool, head, body, deadline, Repeat::allowed);
//
// fetch() (http_fetch.hpp) is the same for small ones: it takes values and needs no care. Here the
// caller keeps the body's bytes until the task has ended.
#pragma once

#include <cstddef>
#include <string_view>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "net/http_fetch.hpp"
#include "net/http_message.hpp"
#include "net/http_pool.hpp"

namespace consort::http {

struct RequestHead {
  std::string_view method;
  std::string_view target;  ///< all of it: the URL's prefix is not added
  std::string_view host;
  const http1::Headers* headers = nullptr;
  std::size_t answer_bytes_max = 8 * 1024 * 1024;  ///< the pool's own limit holds too
};

/// The answer, whatever its status; names of headers in lower case. What the head points to may go
/// when this returns, for it is rendered at once. Content-Length is written here: for every body,
/// and for an empty one with PUT and POST. Errors as those of fetch(), with the URL's origin but
/// without the target.
Task<Result<Response>> exchange(Pool& pool, const RequestHead& head, std::string_view body,
                                Deadline deadline, Repeat repeat);

}  // namespace consort::http
