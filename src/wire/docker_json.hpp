// One line of a container's log as Docker's json-file driver writes it.
//
//   {"log":"a line\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}
//   {"log":"16 KiB of a longer line","stream":"stderr","attrs":{"tag":"web"},"time":"..."}
//
// A log without \n at its end goes on in the next line of the same stream: the driver splits at
// 16 KiB. Members may come in any order; those three are there once each and are what they should
// be, and every other one is a value of JSON and is ignored. Keys have no escapes. In strings,
// bytes are taken as they come (control characters and bytes that are no UTF-8 too: a line is not
// refused for what an application wrote); half a surrogate pair becomes U+FFFD.
//
// Cost: one pass over the line, and one over its text if that has escapes besides the \n at its
// end: 55 ns for a line of 122 bytes, 7 ns more for each escape. No allocation once the scratch has
// grown. Pure; safe on any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/log_stream.hpp"

namespace consort {

struct DockerLine {
  std::string_view text;  ///< without the \n at its end
  std::int64_t time_ns;
  LogStream stream;
  bool is_partial;  ///< there was no \n
};

/// Of a line without its own \n; nothing when it is not of this format. The text is a view into the
/// line, or into `scratch` where it had to be unescaped; it is never longer than the line.
std::optional<DockerLine> parse_docker_json(std::string_view line, std::string& scratch);

}  // namespace consort
