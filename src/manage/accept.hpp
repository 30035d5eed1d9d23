// Which of two media types a client prefers, by the q-values of its Accept header (RFC
// 9110, 12.5.1).
#pragma once

#include <string_view>

namespace consort {

/// The quality 0..1000 that an Accept header gives to a type ("text/plain"); the most specific
/// range counts. 0 means not acceptable; an empty header accepts everything. Parameters other than
/// q are not compared.
int accept_quality(std::string_view accept, std::string_view type);

/// True when the header names `type` explicitly and ranks it above `otherwise`. Ranges alone
/// ("*/*") never choose: then the default answer is given.
bool prefers(std::string_view accept, std::string_view type, std::string_view otherwise);

}  // namespace consort
