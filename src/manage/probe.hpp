// `consort health` and `consort status`: finding the consort processes of this host and asking
// them.
//
// Every process listens on the abstract socket @consort/<hostname>/<name>, which containers of a
// pod share through their network namespace; /proc/net/unix lists them. So a HEALTHCHECK needs no
// configuration and no shell: CMD ["consort", "health"].
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/error.hpp"

namespace consort {

struct HealthRequest {
  /// Names or URLs (http://HOST[:PORT][/PATH], unix:PATH); none: all of this host.
  std::vector<std::string> targets;
  bool ready = false;                       ///< ask /readyz instead of /livez
  std::chrono::milliseconds timeout{1000};  ///< for each target
};
/// Fills `out` with one line per target ("ok shard-proxy READY") for stdout and returns the exit
/// code: 0 when all pass and there is at least one, else 1. Never writes more than 4096 bytes.
int health_command(const HealthRequest& request, std::string& out);

struct StatusRequest {
  std::vector<std::string> names;  ///< none: all
  bool json = false;
  std::chrono::milliseconds timeout{1000};
};
/// A table of at most 80 columns, or a JSON array of the /health documents. Exit code as above,
/// except that a process which answers counts as success, whatever it says of itself.
int status_command(const StatusRequest& request, std::string& out);

// The parts, for tests.

/// "consort/<hostname>/<name>": what follows the '@' of a process's socket.
std::string admin_socket_name(std::string_view hostname, std::string_view name);
std::string host_name();
/// The names of all consort processes of this host, sorted. Never empty: the error says that there
/// is none, or why nobody can tell (no /proc).
Result<std::vector<std::string>> find_consorts();
/// The names of the listening sockets of one host in the text of /proc/net/unix, sorted.
std::vector<std::string> names_in_proc_net_unix(std::string_view text, std::string_view hostname);

struct ProbeTarget {
  std::string label;  ///< what the line calls it
  Address address;
  std::string host;  ///< the Host header
  std::string path;  ///< empty: /livez or /readyz
};
/// A name, "unix:PATH", or "http://HOST[:PORT][/PATH]" with an IP literal or localhost. Without a
/// path it is a consort's admin interface that is meant.
Result<ProbeTarget> parse_target(std::string_view text, std::string_view hostname);

/// The table of `consort status` from the documents that the processes gave; an empty document
/// stands for one that did not answer. `wall_ms` is now.
struct StatusRow {
  std::string name;
  std::string health_json;
};
std::string status_table(const std::vector<StatusRow>& rows, std::int64_t wall_ms);

}  // namespace consort
