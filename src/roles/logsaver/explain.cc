#include "roles/logsaver/explain.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "roles/logsaver/config.hpp"

namespace consort::logsaver {
namespace {

std::string reason(const Selection::Answer& answer, bool has_include) {
  switch (answer.verdict) {
    case Selection::Verdict::followed:
      return "--path " + answer.rule + " names it";
    case Selection::Verdict::not_named:
      return has_include ? "no --path names it" : "there is no --path";
    case Selection::Verdict::excluded:
      return "--exclude " + answer.rule + " leaves it out";
    case Selection::Verdict::compressed:
      return "it is compressed: only a --path that ends so names it, not " + answer.rule;
    case Selection::Verdict::own:
      return "it is written by consort itself: in " + answer.rule +
             " lie its state or what a file sink saves";
  }
  return "";
}

/// Empty when the file can be read.
std::string trouble_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? "it is not there yet; it will be followed as soon as it is"
                           : Error::from_errno(errno, path).message();
  }
  if (S_ISDIR(status.st_mode)) return "it is a directory";
  if (!S_ISREG(status.st_mode)) return "it is not a regular file";
  if (::access(path.c_str(), R_OK) != 0) {
    return Error::from_errno(errno, path).message() + " (user " + std::to_string(::getuid()) + ")";
  }
  return "";
}

bool is_directory(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// Without "", "." and "..": as the path is written, whatever links there are.
std::string absolute(std::string_view here, std::string_view path) {
  std::string whole = path.starts_with('/') ? "" : std::string(here) + "/";
  whole += path;
  std::vector<std::string_view> names;
  for (std::string_view rest = whole; !rest.empty();) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (name == "..") {
      if (!names.empty()) names.pop_back();
    } else if (!name.empty() && name != ".") {
      names.push_back(name);
    }
  }
  std::string made;
  for (const std::string_view name : names) made.append("/").append(name);
  return made.empty() ? "/" : made;
}

}  // namespace

int explain_path(const LogsaverConfig& config, std::string_view here, const std::string& path,
                 std::string& out) {
  auto selection = config.selection(here);
  if (!selection) {
    out += selection.error().message() + "\n";
    return 1;
  }
  const std::string asked = absolute(here, path);
  const Selection::Answer answer = selection->ask(asked);
  const bool is_named = answer.verdict == Selection::Verdict::followed;
  const std::string trouble = is_named ? trouble_of(asked) : "";
  out += asked + (is_named && trouble.empty() ? ": is followed\n" : ": is not followed\n");
  out += "  " + reason(answer, !config.path.empty()) + "\n";
  if (!trouble.empty()) out += "  " + trouble + "\n";
  if (is_directory(asked)) {
    out += selection->wants_directory(asked)
               ? "  the directory is watched for files that a --path names\n"
               : "  for all files in it write --path '" + asked + "/*'\n";
  }
  return is_named && trouble.empty() ? 0 : 1;
}

}  // namespace consort::logsaver
