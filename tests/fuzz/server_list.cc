// Fuzzes a file of servers (servers_from: file:PATH): refused with its place, or a list of servers
// that differ.
#include "roles/shard_proxy/server_list.hpp"

#include <cstdint>
#include <cstdlib>

using namespace consort::shard_proxy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto servers = servers_of(text, "servers");
  if (!servers) {
    if (servers.error().message().empty()) std::abort();
    return 0;
  }
  if (servers->empty() || servers->size() > kMaxServers) std::abort();
  for (std::size_t i = 1; i < servers->size(); ++i) {
    if (same_server((*servers)[i - 1], (*servers)[i])) std::abort();
  }
  return 0;
}
