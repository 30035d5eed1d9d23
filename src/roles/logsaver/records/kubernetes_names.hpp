// Whose container wrote a log file, told by its path alone: no API server is asked.
//
//   /var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log        as the kubelet makes them
//   /var/log/pods/.../3.log.20060102-150405(.gz)                  and rotates them
//   /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log            links to the first
//
// The directories above may be others, as when the node's are mounted elsewhere. Names are checked
// as Kubernetes does (RFC 1123), so that other files with underscores are not taken for pods'.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace consort::logsaver {

/// Views into the path; empty where the path does not tell.
struct KubernetesNames {
  std::string_view pod_namespace;
  std::string_view pod;
  std::string_view uid;
  std::string_view container;
  std::string_view container_id;          ///< 64 hexadecimal digits
  std::optional<std::uint32_t> restarts;  ///< how many containers of that name there were before
};

std::optional<KubernetesNames> kubernetes_names(std::string_view path);

}  // namespace consort::logsaver
