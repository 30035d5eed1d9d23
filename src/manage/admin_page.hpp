// Pages that a role adds to the admin interface.
//
//   constexpr AdminPage kPages[] = {{"GET", "/servers", "state of each server"}};
//   RoleSpec{... .pages = kPages};   AdminAnswer MyRole::ask(const AdminQuestion& question) {...}
//
// They are guarded like every path that is not a probe's, listed by GET /, and answered on the
// role's loop: a role that hangs is answered for with 503. GET must not change anything.
#pragma once

#include <string_view>

#include "net/http_message.hpp"

namespace consort {

struct AdminPage {
  std::string_view method;  ///< GET (then HEAD too), POST, PUT or DELETE
  std::string_view path;    ///< exactly; parameters come as the query
  std::string_view summary;
};

/// The request as it came: method, path, query_value("key"), body (4096 bytes at most).
using AdminQuestion = http::Request;
/// content_type is plain text unless set; errors look best as admin_error() (admin_guard.hpp).
using AdminAnswer = http::Response;

}  // namespace consort
