// Tries out a leaf: an HTTP server, against the leaf contract (specification 7.2) and what a root
// needs of it beyond that. One line per check.
//
//   answers a request of a root      2xx, whole, with the headers that a root sends
//   frames its answers               Content-Length or chunks, and nothing behind them
//   keeps the connection             a second request on the same one
//   answers HEAD, an unknown method  in some way, without hanging
//   says what its answers are        JSON is JSON, text is UTF-8
//   sends them in identity coding
//   sends well-formed headers        of those that a leaf may send
//   gives up at its deadline         that grpc-timeout told
//   takes 20 requests at once        from 20 connections
//   takes a query of 8 KiB
//   survives clients that leave      in mid-request, and before the answer
//
// Without an answer to the first one the others are left out.
#pragma once

#include <string>

#include "async/task.hpp"
#include "io/tls.hpp"
#include "manage/role.hpp"
#include "net/url.hpp"
#include "roles/gather/check_report.hpp"

namespace consort::gather {

struct LeafUnderTest {
  http::Url url;
  io::TlsClient* tls = nullptr;  ///< needed for https
  std::string target = "/";
  Millis timeout{5000};  ///< of each request
};

/// The body of its first answer, as a sample for a merge; empty without one. Services and report
/// outlive the task.
Task<std::string> check_leaf(const Services& services, LeafUnderTest leaf, CheckReport& report);

}  // namespace consort::gather
