#include "roles/gather/merge_answer_line.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "base/base64.hpp"
#include "base/options.hpp"
#include "base/text.hpp"
#include "roles/gather/cgi.hpp"
#include "wire/http1_text.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {

namespace {

tl::unexpected<Error> wrong(std::string text) {
  return fail(Errc::protocol, std::move(text));
}

std::optional<std::string> text_of(std::string_view value) {
  if (json_kind(value) != JsonKind::string) return std::nullopt;
  return unescape_json_string(value.substr(1, value.size() - 2));
}

Result<> add_header(MergedAnswer& answer, std::string_view name, std::string_view value) {
  std::optional<std::string> text = text_of(value);
  if (!text || !http1::is_token(name) || !http1::is_field_value(*text)) {
    return wrong("\"headers\" has " + in_quotes(name) + ", which is no name and text for HTTP");
  }
  if (equals_ignoring_case(name, "content-type")) {
    answer.content_type = std::move(*text);
  } else if (!is_framing_header(name)) {
    answer.headers.emplace_back(name, std::move(*text));
  }
  return {};
}

Result<> read_headers(MergedAnswer& answer, std::string_view value) {
  if (json_kind(value) != JsonKind::object) return wrong("\"headers\" is not an object");
  JsonObjectReader members(value);
  for (std::string_view raw, member; members.next(raw, member);) {
    const std::string name = unescape_json_string(raw);
    if (json_kind(member) != JsonKind::array) {
      if (Result<> added = add_header(answer, name, member); !added) return added;
      continue;
    }
    JsonArrayReader values(member);
    for (std::string_view each; values.next(each);) {
      if (Result<> added = add_header(answer, name, each); !added) return added;
    }
  }
  return {};
}

Result<> read_status(MergedAnswer& answer, std::string_view value) {
  int status = 0;
  const char* end = value.data() + value.size();
  const auto [rest, failure] = std::from_chars(value.data(), end, status);
  if (failure != std::errc() || rest != end || status < 200 || status > 599) {
    return wrong("\"status\" is " + in_quotes(value) + ", not a number from 200 to 599");
  }
  answer.status = status;
  return {};
}

Result<> read_base64(MergedAnswer& answer, std::string_view value) {
  const std::optional<std::string> text = text_of(value);
  std::optional<std::string> bytes = text ? parse_base64(*text) : std::nullopt;
  if (!bytes) return wrong("\"body_base64\" is not base64");
  answer.body = std::move(*bytes);
  return {};
}

Result<> read_member(AnswerLine& line, std::string_view raw_key, std::string_view value) {
  const auto is = [raw_key](std::string_view name) { return json_string_equals(raw_key, name); };
  if (is("status")) return read_status(line.answer, value);
  if (is("headers")) return read_headers(line.answer, value);
  if (is("body_base64")) return read_base64(line.answer, value);
  if (is("body")) {
    std::optional<std::string> text = text_of(value);
    line.answer.body = text ? std::move(*text) : std::string(value);
  } else if (is("id")) {
    std::optional<std::string> text = text_of(value);
    if (!text) return wrong("\"id\" is not a string");
    line.id = std::move(*text);
  } else if (is("error") && json_kind(value) != JsonKind::null) {
    line.error = text_of(value).value_or(std::string(value));
    if (line.error.empty()) line.error = "the merge says that it failed";
  }
  return {};
}

}  // namespace

Result<AnswerLine> parse_answer_line(std::string_view line) {
  const Result<std::string_view> document = check_json(line);
  if (!document) return wrong("no JSON: " + document.error().message());
  if (json_kind(*document) != JsonKind::object) return wrong("no JSON object");
  AnswerLine out;
  JsonObjectReader members(*document);
  for (std::string_view key, value; members.next(key, value);) {
    if (Result<> read = read_member(out, key, value); !read) return fail(std::move(read.error()));
  }
  if (out.id.empty()) return wrong("no \"id\"");
  if (out.answer.content_type.empty()) out.answer.content_type = "application/json";
  return out;
}

}  // namespace consort::gather
