// One entry of a pool's `servers`: where it is, how much it weighs, what it is called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/error.hpp"

namespace consort::shard_proxy {

/// "HOST:PORT[:WEIGHT][ NAME]" or "/path/of/socket[:WEIGHT][ NAME]", as in nutcracker.yml.
struct ServerSpec {
  Address address;
  std::uint32_t weight = 1;
  /// What placement hashes. Twemproxy's rule: the explicit name; else the host alone when the port
  /// is 11211; else "host:port" (or the path). Never the weight.
  std::string name;

  static Result<ServerSpec> parse(std::string_view text);
};

}  // namespace consort::shard_proxy
