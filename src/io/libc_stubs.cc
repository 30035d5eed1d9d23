// Keeps glibc's name services (NSS) out of a static executable.
//
// libuv, c-ares and OpenSSL refer to these functions for calls that we never make. glibc's own
// versions load shared objects at run time, which an image without them (FROM scratch) lacks; the
// linker warns of that, and they add 200 kB. Ours are found first, answer "there is no such entry",
// and thereby also make sure that nobody resolves a name behind io::Dns's back.
//
// Each function that shares an object file of libc.a with another one here must stay complete
// (getaddrinfo with freeaddrinfo), or both definitions would be linked and clash.
#include <netdb.h>
#include <pwd.h>

#include <cerrno>

extern "C" {

// clang-format off
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's names are reserved.
int getaddrinfo(  // tidy:allow the definition that makes the blocking resolver unusable
    const char* /*name*/, const char* /*service*/, const addrinfo* /*hints*/, addrinfo** result) {
  // clang-format on
  *result = nullptr;
  return EAI_FAIL;
}

void freeaddrinfo(addrinfo* /*list*/) noexcept {}

// NOLINTNEXTLINE(readability-function-size): POSIX has seven parameters for it.
int getnameinfo(const sockaddr* /*address*/, socklen_t /*length*/, char* /*host*/,
                socklen_t /*host_length*/, char* /*service*/, socklen_t /*service_length*/,
                int /*flags*/) {
  return EAI_FAIL;
}

hostent* gethostbyname(const char* /*name*/) {
  h_errno = NO_RECOVERY;
  return nullptr;
}

servent* getservbyname(const char* /*name*/, const char* /*protocol*/) {
  return nullptr;
}

int getservbyname_r(const char* /*name*/, const char* /*protocol*/, servent* /*entry*/,
                    char* /*buffer*/, size_t /*length*/, servent** result) {
  *result = nullptr;
  return ENOENT;
}

int getservbyport_r(int /*port*/, const char* /*protocol*/, servent* /*entry*/, char* /*buffer*/,
                    size_t /*length*/, servent** result) {
  *result = nullptr;
  return ENOENT;
}

int getpwuid_r(uid_t /*uid*/, passwd* /*entry*/, char* /*buffer*/, size_t /*length*/,
               passwd** result) {
  *result = nullptr;
  return 0;  // POSIX: success without an entry is "not found"
}

}  // extern "C"
