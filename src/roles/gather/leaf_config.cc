#include "roles/gather/leaf_config.hpp"

#include "roles/gather/command_run.hpp"
#include "wire/http1_text.hpp"

namespace consort::gather {
namespace {

constexpr Millis kMaxTimeout{10 * 60 * 1000};
constexpr std::uint32_t kMaxProcesses = 4096;
constexpr std::uint32_t kMaxWaiting = 65'536;
constexpr std::uint32_t kMaxConnections = 65'536;
constexpr std::uint16_t kDefaultPort = 8081;

constexpr Option kTable[] = {
    option<&LeafConfig::listen>(
        "listen", "where roots connect; default 127.0.0.1:8081; also unix:/PATH; may be repeated"),
    option<&LeafConfig::exec>(
        "exec",
        "the command that answers, run once per request: standard input is the request's body, "
        "standard output the answer's. Plain words run directly; with quotes, variables, pipes or "
        "shell commands the line is given to /bin/sh -c",
        kRequired | kReload),
    option<&LeafConfig::cgi>(
        "cgi", "the output begins with headers (Status, Content-Type, ..) and an empty line",
        kReload),
    option<&LeafConfig::content_type>(
        "content-type",
        "of the answers; default application/json when the output is JSON, else plain text",
        kReload),
    option<&LeafConfig::timeout>(
        "timeout",
        "a command is stopped by then, and the answer is 504; the request's own deadline "
        "(grpc-timeout, x-envoy-expected-rq-timeout-ms, Prefer: wait) may be sooner",
        kReload),
    option<&LeafConfig::processes_max>("max-processes",
                                       "most commands at a time; 0 is four for each processor"),
    option<&LeafConfig::waiting_max>(
        "max-waiting",
        "most requests that wait for a command to end, others get 503; 0 is as many as commands"),
    option<&LeafConfig::request_body>("max-request-body", "most bytes of a request's body"),
    option<&LeafConfig::response_body>("max-response-body", "most bytes of a command's output"),
    option<&LeafConfig::connections>("max-connections", "most clients' connections at a time"),
};

}  // namespace

std::vector<BoundTable> LeafConfig::tables() {
  return {{kTable, this}};
}

void LeafConfig::validate(Problems& problems) {
  if (listen.empty()) {
    Address address;
    address.host = "127.0.0.1";
    address.port = kDefaultPort;
    listen.push_back(address);
  }
  // That it is missing has been told.
  if (problems.ok() && command_argv(exec).empty()) {
    problems.error("exec: empty; say which command answers");
  }
  if (exec.find('\0') != std::string::npos) problems.error("exec: holds a NUL byte");
  if (!http1::is_field_value(content_type)) {
    problems.error("content_type: holds a control character");
  }
  if (cgi && !content_type.empty()) {
    problems.warn("content_type stands in only where the command's headers name none");
  }
  if (timeout.count() == 0 || timeout > kMaxTimeout) {
    problems.error("timeout: must be between 1ms and 10m");
  }
  if (processes_max > kMaxProcesses) problems.error("max_processes: must be at most 4096");
  if (waiting_max > kMaxWaiting) problems.error("max_waiting: must be at most 65536");
  if (connections == 0 || connections > kMaxConnections) {
    problems.error("max_connections: must be between 1 and 65536");
  }
  if (response_body.bytes == 0) problems.error("max_response_body: must be above 0");
}

}  // namespace consort::gather
