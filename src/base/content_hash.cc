#include "base/content_hash.hpp"

#ifndef __clang_analyzer__  // inlined, it would look for mistakes inside xxHash
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

namespace consort {

ContentHash content_hash(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.low = hash.low64, .high = hash.high64};
}

}  // namespace consort
