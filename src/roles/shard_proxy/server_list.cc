#include "roles/shard_proxy/server_list.hpp"

#include <algorithm>
#include <map>

#include "base/options.hpp"
#include "net/records.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::uint32_t kMaxWeight = 10'000;

ServerSpec make_server(std::string host, std::uint16_t port, std::uint32_t weight) {
  ServerSpec spec;
  spec.name = host + ":" + std::to_string(port);
  spec.address.host = std::move(host);
  spec.address.port = port;
  spec.weight = weight;
  return spec;
}

Result<std::vector<ServerSpec>> tidied(std::vector<ServerSpec> servers) {
  std::sort(servers.begin(), servers.end(), [](const ServerSpec& a, const ServerSpec& b) {
    if (a.name == b.name) return a.weight < b.weight;
    return natural_less(a.name, b.name);
  });
  const auto last =
      std::unique(servers.begin(), servers.end(),
                  [](const ServerSpec& a, const ServerSpec& b) { return a.name == b.name; });
  servers.erase(last, servers.end());
  if (servers.size() > kMaxServers) {
    return fail(Errc::limit, "the answer has more than 1000 servers");
  }
  return servers;
}

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = line.find_first_not_of(kBlank);
  if (first == line.npos) return {};
  return line.substr(first, line.find_last_not_of(kBlank) - first + 1);
}

std::string_view without_comment(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_word = i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t';
    if (line[i] == '#' && begins_word) return line.substr(0, i);
  }
  return line;
}

}  // namespace

bool same_server(const ServerSpec& a, const ServerSpec& b) {
  return a.name == b.name && a.weight == b.weight && a.address == b.address;
}

bool same_servers(const std::vector<ServerSpec>& a, const std::vector<ServerSpec>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_server);
}

Result<std::vector<ServerSpec>> servers_of(const std::vector<io::DnsAddress>& answer,
                                           std::uint16_t port, std::uint32_t weight) {
  if (answer.empty()) return fail(Errc::not_found, "the answer is empty");
  std::vector<ServerSpec> servers;
  servers.reserve(answer.size());
  for (const io::DnsAddress& address : answer) {
    servers.push_back(make_server(address.ip, port, weight));
  }
  return tidied(std::move(servers));
}

Result<std::vector<ServerSpec>> servers_of(const std::vector<io::DnsService>& answer) {
  Result<std::vector<io::DnsService>> found = usable_services(answer);
  if (!found) return fail(std::move(found.error()));
  std::vector<io::DnsService> usable = std::move(*found);
  std::uint16_t priority = UINT16_MAX;
  for (const io::DnsService& record : usable) priority = std::min(priority, record.priority);
  std::erase_if(usable, [priority](const auto& record) { return record.priority != priority; });

  const std::uint32_t divisor = weight_divisor(usable);
  std::vector<ServerSpec> servers;
  servers.reserve(usable.size());
  for (const io::DnsService& record : usable) {
    const std::uint32_t weight = divisor != 0 ? record.weight / divisor : 1;
    servers.push_back(make_server(record.target, record.port, std::min(weight, kMaxWeight)));
  }
  return tidied(std::move(servers));
}

Result<std::vector<ServerSpec>> servers_of(std::string_view text, const std::string& path) {
  std::vector<ServerSpec> servers;
  std::map<std::string, std::size_t> seen;  // by name, the index
  std::size_t number = 0;
  auto refuse = [&](const std::string& why) {
    return fail(Errc::invalid, path + ":" + std::to_string(number) + ": " + why);
  };
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(without_comment(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    Result<ServerSpec> server = ServerSpec::parse(line);
    if (!server) return refuse(server.error().message());
    const auto [known, is_new] = seen.emplace(server->name, servers.size());
    if (!is_new && same_server(servers[known->second], *server)) continue;
    if (!is_new) return refuse("another server is called " + in_quotes(server->name) + " already");
    if (servers.size() == kMaxServers) return refuse("more than 1000 servers");
    servers.push_back(std::move(*server));
  }
  if (servers.empty()) return fail(Errc::not_found, path + ": no server in it");
  return servers;
}

}  // namespace consort::shard_proxy
