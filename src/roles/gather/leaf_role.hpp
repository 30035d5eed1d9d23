// `consort gather-leaf`: turns a command into a leaf, so that a leaf can be a shell script.
//
//   request --> a place is free (else a short line, else 503) --> command --> answer
//
//   the command ...                  the client gets
//   exits 0                          200 and its output, or what its CGI headers say
//   exits with another code, a signal 502 and a problem document with the code
//   is not done in time              504; SIGTERM, after 200 ms SIGKILL
//   cannot be started                502
//   writes more than is allowed      502; SIGKILL
//   and when the client leaves       SIGKILL
//
// The command's environment: CGI's variables (cgi.hpp), and CONSORT_SHARD, CONSORT_SHARDS,
// CONSORT_ATTEMPT, CONSORT_REQUEST_ID from the root's headers, CONSORT_DEADLINE_MS.
#pragma once

#include "manage/role.hpp"

namespace consort::gather {

extern const RoleSpec kGatherLeaf;

}  // namespace consort::gather
