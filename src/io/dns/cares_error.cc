#include "io/dns/cares_error.hpp"

#include <ares.h>

namespace consort::io {

Error cares_error(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
      return {Errc::not_found, "no such name"};
    case ARES_ENODATA:
      return {Errc::not_found, "the name has no such record"};
    case ARES_ETIMEOUT:
      return {Errc::timed_out, "no DNS server answered"};
    case ARES_ECONNREFUSED:
      return {Errc::unavailable, "no DNS server could be reached"};
    case ARES_ESERVFAIL:
      return {Errc::unavailable, "the DNS server failed (SERVFAIL)"};
    case ARES_EREFUSED:
      return {Errc::unavailable, "the DNS server refused the question"};
    case ARES_ENOTIMP:
      return {Errc::unavailable, "the DNS server does not know the question"};
    case ARES_EBADNAME:
      return {Errc::invalid, "not a DNS name"};
    case ARES_EBADSTR:
      return {Errc::invalid, "not a server list (10.0.0.2,127.0.0.1:5353)"};
    case ARES_EBADRESP:
    case ARES_EFORMERR:
      return {Errc::protocol, "the DNS server's answer is malformed"};
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return {Errc::cancelled, "the resolver was closed"};
    case ARES_ENOMEM:
      return {Errc::limit, "out of memory"};
    default:
      return {Errc::io, ares_strerror(status)};
  }
}

}  // namespace consort::io
