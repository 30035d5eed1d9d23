// Fuzzes what hides secrets: after the built-in rules nothing is left that one of them would find,
// a JSON object stays one, the wide scan says what the plain one says and misses nothing, and
// patterns of users leave no match and do not grow the text without bounds.
//
// The input is one text; it is also put into JSON, as a string and as it is.
#include "roles/logsaver/records/redaction.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/json_writer.hpp"
#include "roles/logsaver/records/json_places.hpp"
#include "roles/logsaver/records/redaction_candidates.hpp"
#include "wire/json_scan.hpp"

namespace {

using namespace consort;
using namespace consort::logsaver;

void require(bool condition) {
  if (!condition) std::abort();
}

Redaction make(std::initializer_list<std::string> rules) {
  const std::vector<std::string> texts(rules);
  Result<Redaction> redaction = Redaction::make(texts);
  require(redaction.has_value());
  return std::move(*redaction);
}

bool is_json_object(std::string_view text) {
  return JsonPlaces::is_object(text) && check_json(text).has_value();
}

void scan(std::string_view text) {
  require(candidates::Fastest::find(text) == candidates::Scalar::find(text));
  const std::uint32_t kinds = scanners::may_find(text);
  for (std::size_t kind = 0; kind < scanners::kKinds; ++kind) {
    std::size_t from = 0;
    while (const auto found = scanners::find(static_cast<scanners::Kind>(kind), text, from)) {
      require((kinds >> kind & 1) == 1);
      require(found->begin >= from && found->end > found->begin && found->end <= text.size());
      from = found->end;
    }
  }
}

void hide(std::string_view text) {
  static Redaction redaction = make(
      {"email", "ipv4", "creditcard", "bearer", "aws-key", "jwt"});  // tidy:allow no exit order
  scan(text);
  std::string scratch;
  const std::string out(redaction.apply(text, scratch));
  for (std::size_t kind = 0; kind < scanners::kKinds; ++kind) {
    require(!scanners::find(static_cast<scanners::Kind>(kind), out, 0));
  }
  require(redaction.apply(out, scratch) == out);
  if (is_json_object(text)) require(is_json_object(out));
}

void hide_patterns(std::string_view text) {
  static Redaction redaction = make({"d=\\d{2,}", "[xy]+z", "v=(?i:k)\\w*"});
  std::string scratch;
  const std::string_view out = redaction.apply(text, scratch);
  require(out.size() <= 4 * text.size() + (1 << 17));
  require(out.find("xz") == out.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  hide(text);
  hide_patterns(text);
  std::string quoted = "{\"a\":";
  append_json_string(quoted, text);
  hide(quoted + "}");
  hide("{\"a\":" + text + ",\"b\":\"" + text + "\"}");
  hide("{\"a\":\"" + text + "\"}");
  return 0;
}
