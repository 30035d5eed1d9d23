#include "base/check.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace consort {

void check_failed(const char* expression, const char* file, int line) noexcept {
  // No allocation and no locks: the heap may be what is broken.
  char text[512];
  int length = std::snprintf(text, sizeof text,
                             "consort: bug: CHECK(%s) failed at %s:%d; please report it\n",
                             expression, file, line);
  if (length > 0) {
    auto size = static_cast<std::size_t>(length);
    (void)!::write(2, text, size < sizeof text ? size : sizeof text - 1);
  }
  std::abort();
}

}  // namespace consort
