// Who may use the guarded paths of the admin interface: local peers, or holders of the token.
//
//   token right --------------------------------------------> allowed, from anywhere
//   token wrong --------------------------------------------> 401
//   no token, remote peer ----------------------------------> 403
//   no token, local peer, browser tricks (Host, Origin, ..)-> 403
//   no token, local peer -----------------------------------> allowed
//
// A web page that a local user looks at can make the browser send requests to loopback; that is
// why a local peer's Host must be a name that DNS rebinding cannot give to a foreign page, and why
// requests with a foreign Origin are refused. The token needs no such check: no page knows it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_server.hpp"

namespace consort {

/// Compares in a time that depends on the length of `given` only.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

/// The content of a file that may change at any time (a mounted Secret), without trailing blanks.
/// One stat per question; read again only when the file has changed. Belongs to one thread.
class TokenFile {
 public:
  static constexpr std::size_t kMaxBytes = 4096;

  /// An empty path means that there is no token and every one is wrong.
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  bool configured() const { return !path_.empty(); }
  /// Empty when the file is missing, unreadable, no regular file, empty or too large: then no token
  /// is right.
  const std::string& token();

 private:
  struct Version {
    std::int64_t device = 0;
    std::int64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t changed_s = 0;
    std::int64_t changed_ns = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };

  const std::string& forget();

  std::string path_;
  Version version_;
  std::string token_;
};

class AdminGuard {
 public:
  /// `hosts` are the names that a Host header may carry besides IP literals and localhost.
  AdminGuard(std::string token_file, std::vector<std::string> hosts)
      : token_file_(std::move(token_file)), hosts_(std::move(hosts)) {}

  /// Nothing when the request may go on, else the refusal.
  std::optional<http::Response> refuse(const http::Request& request);

 private:
  bool is_known_host(std::string_view host_header) const;

  TokenFile token_file_;
  std::vector<std::string> hosts_;
};

/// {"error":{"code":..,"message":..,"hint":..}}; an empty hint is left out.
http::Response admin_error(int status, std::string_view code, std::string_view message,
                           std::string_view hint);

}  // namespace consort
