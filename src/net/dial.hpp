// A connection to a name or an address, plain or TLS, awaited: for those who keep one of their own.
#pragma once

#include <memory>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/address.hpp"
#include "base/error.hpp"
#include "io/dns.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "io/tls.hpp"
#include "net/async_stream.hpp"

namespace consort {

struct DialWorld {
  io::Loop& loop;
  io::Network& network;
  io::Dns& dns;
};

/// `tls` may be null; else the server must show a certificate for the address's host. Of a name all
/// addresses are tried in turn, none for longer than 5 s. Dropping the task ends everything. Errors
/// name the address that was tried, but for a name that has none and a deadline that passed.
Task<Result<std::unique_ptr<AsyncStream>>> dial(DialWorld world, Address address,
                                                io::TlsClient* tls, Deadline deadline);

}  // namespace consort
