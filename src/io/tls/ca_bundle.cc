#include "io/tls/ca_bundle.hpp"

#include <cstddef>

// The assembler copies the file as it is: an array of 200,000 numbers would take the compiler
// seconds. CMake makes the file and defines its path.
asm(R"(
  .pushsection .rodata.consort_ca_bundle, "a", @progbits
  .balign 16
consort_ca_bundle_begin:
  .incbin ")" CONSORT_CA_BUNDLE R"("
consort_ca_bundle_end:
  .popsection
)");

extern "C" {
extern const char consort_ca_bundle_begin[];
extern const char consort_ca_bundle_end[];
}

namespace consort::io {

std::string_view embedded_ca_bundle() {
  return {consort_ca_bundle_begin,
          static_cast<std::size_t>(consort_ca_bundle_end - consort_ca_bundle_begin)};
}

}  // namespace consort::io
