// How long a client waits and how long a server may take: deadlines in HTTP headers.
//
//   grpc-timeout: 380m                      1 to 8 digits and a unit: H M S m u n (hours to ns)
//   x-envoy-expected-rq-timeout-ms: 380     what Envoy tells the server behind it
//   x-envoy-upstream-rq-timeout-ms: 500     what a client asks of Envoy
//   Prefer: wait=2                          RFC 7240, in seconds
//
// No standard covers deadlines of HTTP requests; these are the deployed ones, and all of them are
// relative, so clocks need not agree. The units of grpc-timeout are case-sensitive (gRPC over
// HTTP/2, "Timeout"). Zero is a deadline that has passed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http1.hpp"
#include "wire/prefer.hpp"

namespace consort {

struct AskedDeadline {
  std::optional<std::chrono::microseconds> left = {};  ///< nothing when no header says
  std::uint32_t malformed = 0;  ///< headers that were ignored; a deadline never fails a request

  /// Takes in one header other than Prefer; those without a deadline are skipped. The smallest
  /// deadline wins.
  void add(std::string_view lower_case_name, std::string_view value);
  /// Takes in Prefer's `wait`.
  void add(const Preferences& preferences);
  /// Of all headers, Prefer's among them.
  static AskedDeadline from(const http1::Headers& headers);
};

/// Nothing when malformed. Rounds down to microseconds.
std::optional<std::chrono::microseconds> parse_grpc_timeout(std::string_view value);
/// Nothing when malformed: up to 12 digits, in milliseconds.
std::optional<std::chrono::microseconds> parse_timeout_ms(std::string_view value);

/// The largest unit that says it exactly ("2S", "380m", "1500u"); beyond eight digits the next one
/// that fits, rounded down. Never 0 unless nothing is left: "0m".
std::string grpc_timeout(std::chrono::microseconds left);
/// In milliseconds, rounded down, but never 0 unless nothing is left.
std::string envoy_timeout_ms(std::chrono::microseconds left);

}  // namespace consort
