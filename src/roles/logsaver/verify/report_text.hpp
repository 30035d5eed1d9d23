// What `consort sidecar verify` says, for people and for machines.
//
//   s3://logs/web/x.zst: its bytes were changed (another SHA-256)
//   stream 4f2a9c01d3b7e655-0: batch 12 is missing: bytes 8 to 900 of /var/log/a.log
//   note: stream 4f2a9c01d3b7e655-1: begins with batch 40: ...
//   stream 4f2a9c01d3b7e655-0: 41 objects, 1,500,000 records, 3 files, 2 problems
//   stream 4f2a9c01d3b7e655-1: 7 objects, 300 records, 1 file, complete
//   2 objects carry no manifest, the first is s3://logs/web/README
#pragma once

#include <string>

#include "roles/logsaver/verify/checker.hpp"

namespace consort::logsaver {

/// Lines, each with its end. Names come from whoever can write there, and have no control
/// characters here.
std::string report_lines(const Report& report);
/// {"complete":false,"streams":[{"id":..,"first":..,"last":..,"head":"BATCH=HASH",...}],
///  "problems":[{"kind":"missing","where":..,"text":..}],"problems_total":1,"notes":[..],
///  "foreign":0} and a line end.
std::string report_json(const Report& report);

}  // namespace consort::logsaver
