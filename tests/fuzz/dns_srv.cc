// Answers of a name server are bytes from outside: any of them ends in services or an error.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "io/dns/srv_reply.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto answer = consort::io::parse_srv_reply({data, size});
  if (!answer) return 0;
  for (const auto& service : *answer) {
    if (service.target.size() > 4 * 255) std::abort();
  }
  return 0;
}
