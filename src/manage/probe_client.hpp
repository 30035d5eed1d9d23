// One HTTP GET with plain blocking sockets, for commands that ask once and end.
#pragma once

#include <chrono>
#include <string>

#include "base/address.hpp"
#include "base/error.hpp"

namespace consort {

struct ProbeAnswer {
  int status = 0;
  std::string body;
};

/// Answers larger than this are an error.
inline constexpr std::size_t kMaxProbeBody = 1024 * 1024;

/// `timeout` bounds all of it. The host must be an IP literal, "localhost" or empty (loopback).
Result<ProbeAnswer> http_get(const Address& address, const std::string& host_header,
                             const std::string& path, std::chrono::milliseconds timeout);

}  // namespace consort
