// The one way the command line talks: data to stdout, messages to stderr.
#pragma once

#include <string_view>

namespace consort {

/// Exit codes that the command line decides itself; DESIGN section 6 has them all.
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitIo = 74;
inline constexpr int kExitConfig = 78;

/// Writes all of it. False when stdout is gone or full (the caller ends with kExitIo).
bool write_out(std::string_view text);
/// One line, "consort: MESSAGE". A message that begins with a place in a file stays as it is, for
/// editors jump to it.
void complain(std::string_view message);
void write_err(std::string_view text);

}  // namespace consort
