// Which of a container's two outputs a line came from, as container runtimes write it.
#pragma once

#include <cstdint>
#include <string_view>

namespace consort {

enum class LogStream : std::uint8_t { out, err };

constexpr std::string_view log_stream_name(LogStream stream) {
  return stream == LogStream::out ? "stdout" : "stderr";
}

}  // namespace consort
