// What travels to an external merge: one request and its parts as a document, as lines, or as
// multipart (specification 7.3). Pure.
//
//   json       {"version":1,"id":"7f","request":{"method":"GET","path":"/s","query":"q=1",
//               "headers":{"accept":"*/*"}},"coverage":{..},"parts":[PART, PART]}
//   ndjson     {"version":1,"id":..,"request":{..},"coverage":{..},"total":2,"ok":1}
//              PART                                          one line each, in shard order
//   multipart  multipart/mixed (RFC 2046): first application/json, the document above with parts
//              that have no bodies; then one part per ok shard, with its Content-Type,
//              Content-Length and Consort-Shard, and the body as it came
//
//   PART       {"shard":"s0","index":0,"status":200,"content_type":"..","ms":3.1,"body":BODY}
//              {"shard":"s1","index":1,"ms":400,"error":"http_response_timeout"}
//   BODY       the shard's JSON, bytes unchanged (in lines, line breaks between tokens become
//              blanks); anything else, an empty body too, as {"base64":"..."}
//
// Text that is not UTF-8 (paths, headers) gets U+FFFD for each bad byte. Headers that come several
// times are joined as RFC 9110 section 5.3 allows. A status that never arrived is left out.
#pragma once

#include <string>
#include <string_view>

#include "roles/gather/external_merge.hpp"

namespace consort::gather {

std::string render_json(const MergeRequest& request);
std::string render_ndjson(const MergeRequest& request);

struct MultipartPayload {
  std::string content_type;  ///< names the boundary, which occurs in no body
  std::string body;
};
MultipartPayload render_multipart(const MergeRequest& request);

/// What a document is made of, for carriers with a form of their own.
enum class PartBodies : bool { leave_out, include };
enum class JsonForm : bool { as_it_came, one_line };
/// The document of `json` with that id; one_line has no line break anywhere.
std::string render_document(const MergeRequest& request, std::string_view id, PartBodies bodies,
                            JsonForm form);
/// PART as above, without a line break at its end.
std::string render_part(const MergePart& part, PartBodies bodies, JsonForm form);

}  // namespace consort::gather
