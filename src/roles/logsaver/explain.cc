#include "roles/logsaver/explain.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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
      return "it is compressed: --path " + answer.rule + " would have to end like its name";
    case Selection::Verdict::own:
      return "it is written by consort itself (" + answer.rule + ")";
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
  if (!S_ISREG(status.st_mode)) return "it is not a regular file";
  if (::access(path.c_str(), R_OK) != 0) {
    return Error::from_errno(errno, path).message() + " (user " + std::to_string(::getuid()) + ")";
  }
  return "";
}

}  // namespace

int explain_path(const LogsaverConfig& config, std::string_view here, const std::string& path,
                 std::string& out) {
  auto selection = config.selection(here);
  if (!selection) {
    out += selection.error().message() + "\n";
    return 1;
  }
  std::string absolute = path;
  if (!path.starts_with('/')) absolute = std::string(here) + "/" + path;
  const Selection::Answer answer = selection->ask(absolute);
  const bool is_named = answer.verdict == Selection::Verdict::followed;
  const std::string trouble = is_named ? trouble_of(absolute) : "";
  out += absolute + (is_named && trouble.empty() ? ": is followed\n" : ": is not followed\n");
  out += "  " + reason(answer, !config.path.empty()) + "\n";
  if (!trouble.empty()) out += "  " + trouble + "\n";
  return is_named && trouble.empty() ? 0 : 1;
}

}  // namespace consort::logsaver
