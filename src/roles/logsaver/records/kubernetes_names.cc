#include "roles/logsaver/records/kubernetes_names.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace consort::logsaver {

namespace {

constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kSubdomainBytesMax = 253;
constexpr std::size_t kContainerIdBytes = 64;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_small_or_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z');
}

/// RFC 1123, as Kubernetes reads it.
bool is_label(std::string_view text) {
  if (text.empty() || text.size() > kLabelBytesMax) return false;
  if (!is_small_or_digit(text.front()) || !is_small_or_digit(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_small_or_digit(c) || c == '-'; });
}

bool is_subdomain(std::string_view text) {
  if (text.empty() || text.size() > kSubdomainBytesMax) return false;
  if (!is_small_or_digit(text.front()) || !is_small_or_digit(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_small_or_digit(c) || c == '-' || c == '.'; });
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

/// A UUID, or of a static pod the hash of its manifest.
bool is_uid(std::string_view text) {
  if (text.size() == 32) return is_hex(text);
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash ? text[i] != '-' : !is_hex(text.substr(i, 1))) return false;
  }
  return true;
}

/// Cuts the last name off a path.
std::string_view take_last(std::string_view& path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
  path = slash == path.npos ? std::string_view() : path.substr(0, slash);
  return name;
}

/// Cuts off what is before the first separator; empty and nothing cut when there is none.
std::string_view take_first(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  if (end == text.npos) return {};
  const std::string_view first = text.substr(0, end);
  text.remove_prefix(end + 1);
  return first;
}

/// "", or ".20060102-150405" with or without ".gz" or ".tmp" behind it.
bool is_rotation(std::string_view text) {
  constexpr std::string_view kForm = ".dddddddd-dddddd";
  if (text.empty()) return true;
  if (text.size() < kForm.size()) return false;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] == 'd' ? !is_digit(text[i]) : text[i] != kForm[i]) return false;
  }
  const std::string_view rest = text.substr(kForm.size());
  return rest.empty() || rest == ".gz" || rest == ".tmp";
}

std::optional<KubernetesNames> of_pods_file(std::string_view path) {
  KubernetesNames names;
  const std::string_view file = take_last(path);
  names.container = take_last(path);
  std::string_view pod = take_last(path);
  names.pod_namespace = take_first(pod, '_');
  names.pod = take_first(pod, '_');
  names.uid = pod;
  if (!is_label(names.container) || !is_label(names.pod_namespace)) return std::nullopt;
  if (!is_subdomain(names.pod) || !is_uid(names.uid)) return std::nullopt;
  std::uint32_t restarts = 0;
  const auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), restarts);
  const std::string_view rest = file.substr(static_cast<std::size_t>(end - file.data()));
  if (error != std::errc() || !rest.starts_with(".log")) return std::nullopt;
  if (!is_rotation(rest.substr(4))) return std::nullopt;
  names.restarts = restarts;
  return names;
}

std::optional<KubernetesNames> of_containers_link(std::string_view path) {
  KubernetesNames names;
  std::string_view file = take_last(path);
  names.pod = take_first(file, '_');
  names.pod_namespace = take_first(file, '_');
  constexpr std::string_view kEnd = ".log";
  if (!file.ends_with(kEnd)) return std::nullopt;
  file.remove_suffix(kEnd.size());
  if (file.size() < kContainerIdBytes + 2) return std::nullopt;
  names.container_id = file.substr(file.size() - kContainerIdBytes);
  file.remove_suffix(kContainerIdBytes);
  if (!file.ends_with('-')) return std::nullopt;
  names.container = file.substr(0, file.size() - 1);
  const bool is_right = is_subdomain(names.pod) && is_label(names.pod_namespace) &&
                        is_label(names.container) && is_hex(names.container_id);
  if (!is_right) return std::nullopt;
  return names;
}

}  // namespace

std::optional<KubernetesNames> kubernetes_names(std::string_view path) {
  if (const auto names = of_pods_file(path)) return names;
  return of_containers_link(path);
}

}  // namespace consort::logsaver
