#include "io/uv/path_walk.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <deque>
#include <string_view>

namespace consort::io {
namespace {

/// As many as the kernel follows (path_resolution(7)).
constexpr int kMaxLinks = 40;

using Parts = std::deque<std::string>;

/// Puts the parts of `path` in front of what is left to walk.
void prepend(Parts& rest, std::string_view path) {
  Parts parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0 && path.substr(0, end) != ".") parts.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  rest.insert(rest.begin(), parts.begin(), parts.end());
}

std::string join(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

std::string link_target(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string();
}

/// The type bits of st_mode; 0 when there is nothing.
mode_t kind_of(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & S_IFMT : 0;
}

}  // namespace

void walk_path(const std::string& path, const LookAt& look_at) {
  std::string directory = path.starts_with('/') ? "/" : ".";
  Parts rest;
  prepend(rest, path);
  int links = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    const std::string here = join(directory, name);
    // No name that can change: the directory above is a real one, whatever link led here.
    if (name == "..") {
      directory = here;
      continue;
    }
    const bool is_plain_directory = !rest.empty() && kind_of(here) == S_IFDIR;
    if (!is_plain_directory) look_at(directory, name);
    const mode_t kind = kind_of(here);
    if (kind == S_IFLNK) {
      if (++links > kMaxLinks) return;
      const std::string target = link_target(here);
      if (target.starts_with('/')) directory = "/";
      prepend(rest, target);
      continue;
    }
    if (kind != S_IFDIR) return;
    directory = here;
  }
}

}  // namespace consort::io
