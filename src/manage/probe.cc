#include "manage/probe.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/document.hpp"
#include "io/read_file.hpp"
#include "manage/probe_client.hpp"

namespace consort {

namespace {

/// What Docker keeps of a health check's output.
constexpr std::size_t kMaxOutput = 4096;

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find_first_of("\r\n")));
}

/// The state that the process itself tells, for the line of a probe that passed.
std::string state_of(const ProbeTarget& target, std::chrono::milliseconds timeout) {
  const Result<ProbeAnswer> health = http_get(target.address, target.host, "/health", timeout);
  if (!health) return {};
  const Result<Node> document = read_json(health->body);
  const Node* state = document ? document->find("state") : nullptr;
  return state != nullptr ? state->scalar : std::string();
}

struct Verdict {
  bool ok = false;
  std::string line;
};

Verdict ask(const std::string& text, const HealthRequest& request) {
  const Result<ProbeTarget> target = parse_target(text, host_name());
  if (!target) return {.ok = false, .line = "fail " + text + " " + target.error().message()};
  const std::string path =
      !target->path.empty() ? target->path : (request.ready ? "/readyz" : "/livez");
  const Result<ProbeAnswer> answer = http_get(target->address, target->host, path, request.timeout);
  if (!answer) {
    std::string why = answer.error().message();
    if (answer.error().code() == Errc::refused) why = "is not running (nobody listens)";
    return {.ok = false, .line = "fail " + target->label + " " + why};
  }
  // The same range as Kubernetes' probes.
  const bool is_ok = answer->status >= 200 && answer->status < 400;
  if (!is_ok) {
    return {.ok = false,
            .line = "fail " + target->label + " " + std::to_string(answer->status) + " " +
                    first_line(answer->body)};
  }
  // Without a path it is one of ours that is asked, and it can say more.
  const bool is_consort = target->path.empty();
  const std::string state = is_consort ? state_of(*target, request.timeout) : std::string();
  return {.ok = true,
          .line = "ok " + target->label + " " + (state.empty() ? first_line(answer->body) : state)};
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

std::string admin_socket_name(std::string_view hostname, std::string_view name) {
  std::string out = "consort/";
  return out.append(hostname).append("/").append(name);
}

Result<std::vector<std::string>> find_consorts() {
  // A line for each unix socket of the network namespace, which may be a whole node's.
  constexpr std::size_t kListBytesMax = 64UL * 1024 * 1024;
  const Result<std::string> list = io::read_file("/proc/net/unix", kListBytesMax);
  if (!list) {
    return fail(list.error().code(), "cannot look for consort processes (" +
                                         list.error().message() + "); name them instead");
  }
  std::vector<std::string> names = names_in_proc_net_unix(*list, host_name());
  if (names.empty()) {
    return fail(Errc::not_found,
                "no consort process found on this host (network namespace); is it running?");
  }
  return names;
}

std::vector<std::string> names_in_proc_net_unix(std::string_view text, std::string_view hostname) {
  // "ffff8880: 00000002 00000000 00010000 0001 01 12345 @consort/host/name"; the flags tell the
  // listening socket (__SO_ACCEPTCON) from its accepted connections, which carry the name as well.
  constexpr std::string_view kListening = " 00010000 ";
  const std::string prefix = " @" + admin_socket_name(hostname, "");
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t at = line.find(prefix);
    if (at == std::string_view::npos || line.find(kListening) > at) continue;
    names.emplace_back(line.substr(at + prefix.size()));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<ProbeTarget> parse_target(std::string_view text, std::string_view hostname) {
  constexpr std::string_view kHttp = "http://";
  ProbeTarget target;
  target.label = std::string(text);
  target.host = "localhost";
  if (text.starts_with(kHttp)) {
    const std::string_view rest = text.substr(kHttp.size());
    const std::string_view authority = rest.substr(0, rest.find('/'));
    target.path = std::string(rest.substr(authority.size()));
    target.host = std::string(authority);
    const bool has_port = authority.ends_with(']') ? false : authority.rfind(':') != authority.npos;
    Result<Address> address =
        Address::parse(has_port ? std::string(authority) : std::string(authority) + ":80");
    if (!address) return fail(std::move(address.error()));
    target.address = std::move(*address);
    if (!is_ip_literal(target.address.host) && target.address.host != "localhost") {
      return fail(Errc::invalid, "use an IP address or localhost: health asks nearby processes");
    }
    return target;
  }
  if (text.starts_with("https://")) return fail(Errc::invalid, "https is not supported; use http");
  if (text.starts_with("unix:") || text.starts_with('/')) {
    Result<Address> address = Address::parse(text);
    if (!address) return fail(std::move(address.error()));
    target.address = std::move(*address);
    return target;
  }
  if (text.empty() || text.find('/') != std::string_view::npos) {
    return fail(Errc::invalid, "is neither a name nor a URL (http://HOST:PORT, unix:PATH)");
  }
  target.address.kind = Address::Kind::unix_abstract;
  target.address.path = admin_socket_name(hostname, text);
  return target;
}

int health_command(const HealthRequest& request, std::string& out) {
  const Result<std::vector<std::string>> targets =
      request.targets.empty() ? find_consorts() : request.targets;
  if (!targets) {
    out.append(targets.error().message()).append("\n");
    return 1;
  }
  bool all_ok = true;
  for (const std::string& text : *targets) {
    const Verdict verdict = ask(text, request);
    all_ok = all_ok && verdict.ok;
    if (out.size() + verdict.line.size() < kMaxOutput) out.append(verdict.line).append("\n");
  }
  return all_ok ? 0 : 1;
}

}  // namespace consort
