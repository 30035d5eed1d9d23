#include "roles/shard_proxy/server_list.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/options.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::uint32_t kMaxWeight = 10'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Takes the number that the text begins with, without leading zeros.
std::string_view take_number(std::string_view& text) {
  const auto is_zero = [](char c) { return c == '0'; };
  const auto begin = std::find_if_not(text.begin(), text.end(), is_zero);
  const auto end = std::find_if_not(begin, text.end(), is_digit);
  const std::string_view number(begin, end);
  text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  return number;
}

/// Runs of digits compare by value, the rest by bytes.
bool natural_less(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::string_view left = take_number(a);
      const std::string_view right = take_number(b);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  if (a.size() != b.size()) return a.size() < b.size();
  return whole_a < whole_b;  // "a01" and "a1": equal so far, yet two names
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

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
  std::vector<io::DnsService> usable;
  for (io::DnsService record : answer) {
    record.target = lower_case(record.target);
    if (record.target.ends_with('.')) record.target.pop_back();
    if (!record.target.empty() && record.port != 0) usable.push_back(std::move(record));
  }
  if (usable.empty()) return fail(Errc::not_found, "the service is said to be nowhere");
  std::uint16_t priority = UINT16_MAX;
  for (const io::DnsService& record : usable) priority = std::min(priority, record.priority);
  std::erase_if(usable, [priority](const auto& record) { return record.priority != priority; });

  std::uint32_t divisor = 0;
  bool has_weights = true;
  for (const io::DnsService& record : usable) {
    has_weights = has_weights && record.weight > 0;
    divisor = std::gcd(divisor, std::uint32_t{record.weight});
  }
  std::vector<ServerSpec> servers;
  servers.reserve(usable.size());
  for (const io::DnsService& record : usable) {
    const std::uint32_t weight = has_weights ? record.weight / divisor : 1;
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
