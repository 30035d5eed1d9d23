#include "manage/startup_pages.hpp"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace consort {
namespace {

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};
constexpr std::size_t kMaxSegments = 8;  // linkers make two: constants and code

/// Where code and constants lie: unchanged copies of the file, so that nothing can be lost.
struct Segments {
  std::array<Range, kMaxSegments> ranges;
  std::size_t count = 0;
};

int find_segments(dl_phdr_info* info, std::size_t, void* into) {
  auto& found = *static_cast<Segments*>(into);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < info->dlpi_phnum && found.count < kMaxSegments; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (info->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const std::uintptr_t end = (info->dlpi_addr + segment.p_vaddr + segment.p_memsz) & ~(page - 1);
    if (end > begin) found.ranges[found.count++] = {begin, end};
  }
  return 1;  // the executable is the first object; a static one is the only one
}

}  // namespace

void release_startup_pages() {
  // All are found first: the program headers lie in a segment that would come back for them.
  Segments found;
  ::dl_iterate_phdr(find_segments, &found);
  for (std::size_t i = 0; i < found.count; ++i) {
    const Range& range = found.ranges[i];
    // NOLINTNEXTLINE(performance-no-int-to-ptr): that is what program headers hold.
    ::madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_DONTNEED);
  }
}

}  // namespace consort
