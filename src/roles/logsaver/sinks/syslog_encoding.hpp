// Syslog messages (RFC 5424) with octet counting (RFC 6587, 3.4.1): LEN SP MSG, no line ends
// needed.
//
//   118 <14>1 2024-05-01T12:04:05.123456Z web-1 app - -
//       [consort@32473 f="/var/log/app.log" o="4711"] the line
//
//   PRI       user.info (14); user.err (11) for what was written to stderr
//   TIMESTAMP the record's, else the batch's; microseconds are all that the RFC allows
//   HOSTNAME  the label "host", else "-"; at most 255 characters
//   APP-NAME  as set, else the label "container", else the file's name without its suffix; 48
//   SD        file and offset: by these a receiver can tell what came twice. 32473 is the number
//             that RFC 5612 keeps for examples. Bytes that are not UTF-8 become U+FFFD, the path
//             ends after 1 KiB
//   MSG       the bytes as they are; the BOM in front that the RFC asks for only where the text is
//             UTF-8 and not ASCII, since the many receivers that do not know it take it for text
//
// Messages are as long as the records; receivers have limits of their own (rsyslog: 8 KiB unless
// maxMessageSize is raised) and cut what is longer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

class SyslogEncoding final : public Encoding {
 public:
  explicit SyslogEncoding(std::string app_name) : app_name_(std::move(app_name)) {}
  void begin(const BatchHead& head, std::string& out) override;
  void record(const Record& record, const TailFacts& facts, std::string& out) override;

 private:
  void prepare(const TailFacts& facts);

  const std::string app_name_;
  std::int64_t created_ns_ = 0;
  const TailFacts* prepared_ = nullptr;  ///< whose origin_ and path_ these are
  std::string origin_;                   ///< " HOSTNAME APP-NAME - - "
  std::string path_;                     ///< escaped
  std::string message_;                  ///< without its length; kept for its memory
};

}  // namespace consort::logsaver
