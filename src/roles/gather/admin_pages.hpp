// GET /topology and GET /requests, POST /replicas/drain and /replicas/restore.
//
//   /topology                  {"epoch":7,"source":"..","shards":[{"id":"s0","replicas":[{"url":..,
//                              "state":"ok","in_flight":3,"p50_ms":..,"ejected_for_s":null}]}]}
//   /requests                  the slowest requests of the last 15 minutes, leaf by leaf
//   /replicas/drain?url=URL    no further calls to it, until /replicas/restore?url=URL
//
// A replica's state is ok, new (fewer than 20 answers), ejected, or drained.
#pragma once

#include <string>

#include "manage/role.hpp"
#include "roles/gather/root.hpp"

namespace consort::gather {

inline constexpr AdminPage kPages[] = {
    {"GET", "/topology", "shards and replicas, with load, latency and ejections"},
    {"GET", "/requests", "the slowest requests of late, leaf by leaf"},
    {"POST", "/replicas/drain", "no further calls to the replica ?url=URL"},
    {"POST", "/replicas/restore", "calls to the replica ?url=URL again; ends an ejection too"},
};

/// Answers a question for one of kPages. `source` is where the topology comes from.
AdminAnswer answer_page(const AdminQuestion& question, Root& root, const std::string& source);

}  // namespace consort::gather
