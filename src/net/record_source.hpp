// Where a list of peers comes from when nobody lists them one by one.
//
//   dns://cache.local:11211             every address of the name, with this port
//   srv://_http._tcp.leaf.local         every SRV record, with its own port
//   file:/etc/consort/servers.txt       what is in the file
//
// `dns:NAME:PORT` and `srv:NAME` say the same. What follows a '?' of the first two is the role's
// own business; a file's name may hold one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort {

struct RecordSource {
  enum class Kind : std::uint8_t { dns, srv, file };

  Kind kind = Kind::dns;
  std::string target;      ///< the name, or the path of the file
  std::uint16_t port = 0;  ///< dns only
  std::string parameters;  ///< dns and srv: the text after '?'; empty when there is none

  /// The error's text is only the reason, for the caller knows what it reads and its forms:
  /// "the port is missing".
  static Result<RecordSource> parse(std::string_view text);
  /// The inverse of parse, in the forms with "//", parameters with it.
  std::string to_string() const;

  friend bool operator==(const RecordSource&, const RecordSource&) = default;
};

}  // namespace consort
