// One line of a container's log as containerd and CRI-O write it, for Kubernetes.
//
//   2016-10-06T00:17:09.669794202Z stdout P the first half of a long li
//   2016-10-06T00:17:09.669794203Z stdout F ne
//   time                           stream tags text
//
// Tags are parted by ':'; the first one says whether the line ends here: P no, anything else yes.
// So kubelet reads it (kubernetes/kubernetes, staging/src/k8s.io/cri-client/pkg/logs/logs.go). The
// text may be empty, but the blank before it is there. Tags of more than 64 bytes are none.
//
// Cost: 23 ns, without allocation; the text is a view into the line. Pure; safe on any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/log_stream.hpp"
#include "wire/rfc3339.hpp"

namespace consort {

struct CriLine {
  std::string_view text;
  std::int64_t time_ns;
  LogStream stream;
  bool is_partial;  ///< the next line of the same stream goes on with it
};

/// Of a line without its \n; nothing when it is not of this format, which is no error: runtimes and
/// people write other things into such files too.
std::optional<CriLine> parse_cri(std::string_view line);
/// The same, for the lines of one file: half of the cost, since their times resemble each other.
std::optional<CriLine> parse_cri(std::string_view line, Rfc3339Reader& times);

}  // namespace consort
