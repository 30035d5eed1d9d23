// The last sessions with each server, so that the next handshake is a short one.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "io/tls/handles.hpp"

namespace consort::io {

/// Servers hand out two TLS 1.3 tickets per connection as a rule, and each is for one use (RFC
/// 8446, C.4): so many connections at a time can be opened the short way. A session of TLS 1.2 may
/// be used often. A session takes some kilobytes, most of them the server's certificates.
class TlsSessions {
 public:
  static constexpr std::size_t kNamesMax = 256;
  static constexpr std::size_t kPerNameMax = 2;

  /// Beyond the limits the name's oldest session, or the first other name, makes room.
  void add(const std::string& name, SessionPtr session);
  /// The newest one, or none.
  SessionPtr take(const std::string& name);

 private:
  std::map<std::string, std::vector<SessionPtr>> names_;  // oldest first
};

}  // namespace consort::io
