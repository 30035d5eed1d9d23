// The line by which a coprocess answers one request. Pure.
//
//   {"id":"7f-12","status":200,"headers":{"content-type":"text/plain"},"body":"hello"}
//
//   id           as it stood in the request's line; required
//   status       200 to 599; default 200
//   headers      name to text, or to a list of texts; framing headers are ignored
//   body         a string: its text. Any other JSON value: its JSON, bytes unchanged
//   body_base64  instead of body: any bytes
//   error        instead of both: the merge failed, in its own words
//
// Other members are ignored. Of a member that comes twice the last one counts.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "roles/gather/external_merge.hpp"

namespace consort::gather {

struct AnswerLine {
  std::string id;
  MergedAnswer answer;  ///< content_type is application/json unless a header names another
  std::string error;    ///< not empty: there is no answer
};

/// The line without its end. Errors (Errc::protocol) say what is wrong with it.
Result<AnswerLine> parse_answer_line(std::string_view line);

}  // namespace consort::gather
