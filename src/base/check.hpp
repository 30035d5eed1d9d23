// CHECK: a programming error ends the process with one line, in release builds too.
// Never for what a peer or a user controls: those are Results.
#pragma once

namespace consort {

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace consort

// Headers use this name, since doctest has a CHECK of its own and includes them too.
#define CONSORT_CHECK(expression)          \
  (static_cast<bool>(expression) ? void(0) \
                                 : ::consort::check_failed(#expression, __FILE__, __LINE__))

#ifndef CHECK
#define CHECK(expression) CONSORT_CHECK(expression)
#endif
