// A connection to a name or an address, plain or TLS, awaited: for sinks that keep one.
#pragma once

#include <memory>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/address.hpp"
#include "base/error.hpp"
#include "io/tls.hpp"
#include "net/async_stream.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

/// `tls` may be null; else the server must show a certificate for the address's host. Of a name all
/// addresses are tried in turn, none for longer than 5 s. Dropping the task ends everything. Errors
/// name the address.
Task<Result<std::unique_ptr<AsyncStream>>> dial(const SinkWorld& world, Address address,
                                                io::TlsClient* tls, Deadline deadline);

}  // namespace consort::logsaver
