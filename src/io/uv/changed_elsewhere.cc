#include "io/uv/changed_elsewhere.hpp"

#include <sys/vfs.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace consort::io {

bool is_changed_elsewhere(const std::string& path) {
  // f_type, of statfs(2).
  constexpr std::uint32_t kTypes[] = {
      0x6969,      // NFS
      0x65735546,  // FUSE
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x01021997,  // 9P
      0x00C36400,  // Ceph
  };
  struct statfs found{};
  if (::statfs(path.c_str(), &found) != 0) return false;
  const auto type = static_cast<std::uint32_t>(found.f_type);
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

}  // namespace consort::io
