// Where a pool's servers come from when they are not listed one by one: `--servers-from`.
//
//   dns://cache.local:11211?weight=2       every address of the name is a server
//   srv://_memcache._tcp.cache.local       every SRV record is a server, with its own port
//   file:/etc/consort/servers.txt          one server per line
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/options.hpp"
#include "net/record_source.hpp"

namespace consort::shard_proxy {

struct ServerSource {
  using Kind = RecordSource::Kind;

  Kind kind = Kind::dns;
  std::string target;        ///< the name, or the path of the file
  std::uint16_t port = 0;    ///< dns only
  std::uint32_t weight = 1;  ///< dns only: of every server found, 1 to 10000

  /// One of the three forms above; `file:///PATH` too. An error is one sentence that says what is
  /// wrong and what is right, or that a known kind is not supported yet.
  static Result<ServerSource> parse(std::string_view text);
  /// The inverse of parse.
  std::string to_string() const;
  /// What to ask for.
  RecordSource records() const { return {kind, target, port, {}}; }

  friend bool operator==(const ServerSource&, const ServerSource&) = default;
};

}  // namespace consort::shard_proxy

namespace consort {
template <>
struct Text<shard_proxy::ServerSource> : PlainText<shard_proxy::ServerSource> {
  static constexpr std::string_view kind = "source";
  static Result<shard_proxy::ServerSource> parse(std::string_view text) {
    return shard_proxy::ServerSource::parse(text);
  }
  static std::string print(const shard_proxy::ServerSource& source) { return source.to_string(); }
};
}  // namespace consort
