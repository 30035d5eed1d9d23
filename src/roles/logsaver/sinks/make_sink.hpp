// From a sink's URL to the sink.
#pragma once

#include <memory>

#include "base/error.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_url.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

/// Nothing is sent or written before Sink::open(). Errors name the sink and the remedy: TLS files
/// that cannot be read, say. A file: URL that names a directory means DIRECTORY/{file}.
Result<std::unique_ptr<Sink>> make_sink(const SinkUrl& url, const SinkWorld& world);

}  // namespace consort::logsaver
