#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "roles/gather/merge_answer_line.hpp"
#include "roles/gather/merge_payload.hpp"

using namespace consort;
using namespace consort::gather;
using Json = nlohmann::json;

namespace {

const std::vector<std::pair<std::string, std::string>> kHeaders = {
    {"accept", "*/*"}, {"x-tag", "a"}, {"cookie", "a=1"}, {"x-tag", "b"}, {"cookie", "b=2"}};

MergePart ok_part(std::string_view shard, std::uint32_t index, std::string_view body) {
  return {.shard = shard,
          .index = index,
          .ok = true,
          .status = 200,
          .content_type = "application/json",
          .ms = 3.14159,
          .body = body};
}

MergePart failed_part(std::string_view shard, std::uint32_t index) {
  return {.shard = shard, .index = index, .ms = 400, .error = "http_response_timeout"};
}

MergeRequest request_of(std::vector<MergePart> parts) {
  return {.id = "7f",
          .method = "GET",
          .path = "/search/\xC3\xA9",
          .query = "q=%20a&b",
          .headers = &kHeaders,
          .coverage_json = R"({"total":3,"ok":2})",
          .total = 3,
          .ok = 2,
          .parts = std::move(parts)};
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos;) {
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  if (!text.empty()) lines.push_back("without an end: " + std::string(text));
  return lines;
}

/// The body of a one-part document, as its text.
std::string body_text(std::string_view body) {
  const std::string document = render_json(request_of({ok_part("s0", 0, body)}));
  const std::string key = "\"body\":";
  const std::size_t at = document.find(key) + key.size();
  return document.substr(at, document.size() - at - 3);  // "}]}"
}

std::string refusal(std::string_view line) {
  const auto parsed = parse_answer_line(line);
  return parsed ? "accepted" : parsed.error().message();
}

}  // namespace

TEST_CASE("the document has the request, the coverage and the parts in order") {
  const MergeRequest request = request_of(
      {ok_part("s0", 0, R"({"hits":[1]})"), failed_part("s1", 1), ok_part("s2", 2, "plain")});
  const Json document = Json::parse(render_json(request));
  const Json expected = {
      {"version", 1},
      {"id", "7f"},
      {"request",
       {{"method", "GET"},
        {"path", "/search/\xC3\xA9"},
        {"query", "q=%20a&b"},
        {"headers", {{"accept", "*/*"}, {"x-tag", "a, b"}, {"cookie", "a=1; b=2"}}}}},
      {"coverage", {{"total", 3}, {"ok", 2}}},
      {"parts",
       {{{"shard", "s0"},
         {"index", 0},
         {"status", 200},
         {"content_type", "application/json"},
         {"ms", 3.142},
         {"body", {{"hits", {1}}}}},
        {{"shard", "s1"}, {"index", 1}, {"ms", 400.0}, {"error", "http_response_timeout"}},
        {{"shard", "s2"},
         {"index", 2},
         {"status", 200},
         {"content_type", "application/json"},
         {"ms", 3.142},
         {"body", {{"base64", "cGxhaW4="}}}}}}};
  CHECK(document == expected);
}

TEST_CASE("a request without headers, coverage and parts is still a document") {
  const Json document = Json::parse(render_json({}));
  CHECK(document.at("coverage") == Json::object());
  CHECK(document.at("parts") == Json::array());
  CHECK(document.at("request").at("headers") == Json::object());
}

TEST_CASE("JSON bodies keep their bytes, everything else is base64") {
  struct Row {
    std::string_view body;
    std::string_view expected;
  };
  const Row table[] = {
      {"9007199254740993", "9007199254740993"},
      {"1.10", "1.10"},
      {" \n{\"a\" :\n 1}\r\n", "{\"a\" :\n 1}"},
      {"\"\\u00e9\\n\"", "\"\\u00e9\\n\""},
      {"null", "null"},
      {"", R"({"base64":""})"},
      {"{\"a\":1", R"({"base64":"eyJhIjox"})"},
      {"{}{}", R"({"base64":"e317fQ=="})"},
      {"\"\xFF\"", R"({"base64":"Iv8i"})"},
      {std::string_view("\0", 1), R"({"base64":"AA=="})"},
      {"NaN", R"({"base64":"TmFO"})"},
  };
  for (const Row& row : table) {
    CAPTURE(row.body);
    CHECK(body_text(row.body) == row.expected);
  }
}

TEST_CASE("text that is not UTF-8 does not spoil the document") {
  MergeRequest request = request_of({ok_part("s\xFF\"", 0, "1")});
  request.path = "/\xC0\x80\n";
  const Json document = Json::parse(render_json(request));
  CHECK(document.at("request").at("path") == "/\xEF\xBF\xBD\xEF\xBF\xBD\n");
  CHECK(document.at("parts").at(0).at("shard") == "s\xEF\xBF\xBD\"");
}

TEST_CASE("ndjson is one line about the request and one per part") {
  const MergeRequest request = request_of(
      {ok_part("s0", 0, "{\n  \"a\": \"x\\ny\",\r\n  \"b\": 2\n}"), failed_part("s1", 1)});
  const std::vector<std::string> lines = lines_of(render_ndjson(request));
  REQUIRE(lines.size() == 3);
  const Json meta = Json::parse(lines[0]);
  CHECK(meta.at("version") == 1);
  CHECK(meta.at("id") == "7f");
  CHECK(meta.at("total") == 3);
  CHECK(meta.at("ok") == 2);
  CHECK(meta.at("coverage").at("ok") == 2);
  CHECK_FALSE(meta.contains("parts"));
  const Json first = Json::parse(lines[1]);
  CHECK(first.at("body") == Json({{"a", "x\ny"}, {"b", 2}}));
  CHECK(Json::parse(lines[2]).at("error") == "http_response_timeout");
}

TEST_CASE("the document for a coprocess is one line whatever the bodies are") {
  const MergeRequest request = request_of({ok_part("s0", 0, "[1,\n2,\r\n3]\n")});
  const std::string line =
      render_document(request, "7f-1", PartBodies::include, JsonForm::one_line);
  CHECK(line.find_first_of("\r\n") == std::string::npos);
  CHECK(Json::parse(line).at("id") == "7f-1");
  CHECK(Json::parse(line).at("parts").at(0).at("body") == Json({1, 2, 3}));
}

TEST_CASE("multipart has the document first, then each ok part as it came") {
  const std::string body = "\r\n--\0binary\r\n--";
  MergePart typed = ok_part("s2", 2, body);
  typed.content_type = "text/csv\r\nX-Bad: 1";
  const MergeRequest request =
      request_of({ok_part("s0", 0, "{}"), failed_part("s1", 1), std::move(typed)});
  const MultipartPayload payload = render_multipart(request);
  CHECK(payload.content_type == "multipart/mixed; boundary=consort-0000000000000001");
  const std::string document =
      render_document(request, "7f", PartBodies::leave_out, JsonForm::as_it_came);
  CHECK(Json::parse(document).at("parts").size() == 3);
  CHECK_FALSE(Json::parse(document).at("parts").at(0).contains("body"));
  const std::string line = "--consort-0000000000000001";
  CHECK(payload.body ==
        line + "\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(document.size()) + "\r\n\r\n" + document + "\r\n" + line +
            "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            "Consort-Shard: s0\r\n\r\n{}\r\n" +
            line +
            "\r\nContent-Type: text/csvX-Bad: 1\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\nConsort-Shard: s2\r\n\r\n" + body + "\r\n" + line + "--\r\n");
}

TEST_CASE("the boundary occurs in no body, whoever guesses it") {
  const std::string guesses =
      "consort-0000000000000001 consort-0000000000000002\r\n--consort-0000000000000003--";
  const MergeRequest request =
      request_of({ok_part("s0", 0, guesses), ok_part("consort-0000000000000004", 1, "consort-")});
  CHECK(render_multipart(request).content_type ==
        "multipart/mixed; boundary=consort-0000000000000005");
}

TEST_CASE("an answer line is read member by member") {
  const auto parsed = parse_answer_line(
      R"( {"body": {"a": 1.10}, "id":"7f-\u0031", "other": [1], "status": 404,)"
      R"( "headers": {"X-A": "1", "content-TYPE": "text/x", "Connection": "close",)"
      R"( "X-B": ["2", "3"]}} )");
  REQUIRE(parsed.has_value());
  CHECK(parsed->id == "7f-1");
  CHECK(parsed->answer.status == 404);
  CHECK(parsed->answer.content_type == "text/x");
  CHECK(parsed->answer.body == R"({"a": 1.10})");
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"X-A", "1"}, {"X-B", "2"}, {"X-B", "3"}};
  CHECK(parsed->answer.headers == expected);
  CHECK(parsed->error.empty());
}

TEST_CASE("an answer's body is a string's text, JSON as it is, or base64") {
  const auto body = [](std::string_view member) {
    const auto parsed = parse_answer_line(R"({"id":"1",)" + std::string(member) + "}");
    return parsed ? parsed->answer.body : "refused: " + parsed.error().message();
  };
  CHECK(body(R"("body":"a\nb\"")") == "a\nb\"");
  CHECK(body(R"("body":null)") == "null");
  CHECK(body(R"("body":[1, 2])") == "[1, 2]");
  CHECK(body(R"("body_base64":"AP8=")") == std::string("\0\xFF", 2));
  CHECK(body(R"("status":200)").empty());
  const auto plain = parse_answer_line(R"({"id":"1","body":"x"})");
  REQUIRE(plain.has_value());
  CHECK(plain->answer.content_type == "application/json");
  CHECK(plain->answer.status == 200);
}

TEST_CASE("an answer may be a failure in the merge's own words") {
  CHECK(parse_answer_line(R"({"id":"1","error":"no model"})")->error == "no model");
  CHECK(parse_answer_line(R"({"id":"1","error":{"a":1}})")->error == R"({"a":1})");
  CHECK(parse_answer_line(R"({"id":"1","error":""})")->error == "the merge says that it failed");
  CHECK(parse_answer_line(R"({"id":"1","error":null})")->error.empty());
}

TEST_CASE("lines that are no answer say what is wrong with them") {
  CHECK(refusal("Traceback (most recent call last):").starts_with("no JSON: "));
  CHECK(refusal("[1]") == "no JSON object");
  CHECK(refusal("{}") == "no \"id\"");
  CHECK(refusal(R"({"id":7})") == "\"id\" is not a string");
  CHECK(refusal(R"({"id":"1","status":99})") ==
        "\"status\" is \"99\", not a number from 200 to 599");
  CHECK(refusal(R"({"id":"1","status":"200"})") ==
        "\"status\" is \"\\\"200\\\"\", not a number from 200 to 599");
  CHECK(refusal(R"({"id":"1","status":2e2})") ==
        "\"status\" is \"2e2\", not a number from 200 to 599");
  CHECK(refusal(R"({"id":"1","headers":[]})") == "\"headers\" is not an object");
  CHECK(refusal(R"({"id":"1","headers":{"a b":"1"}})") ==
        "\"headers\" has \"a b\", which is no name and text for HTTP");
  CHECK(refusal(R"({"id":"1","headers":{"a":"1\r\nb: 2"}})") ==
        "\"headers\" has \"a\", which is no name and text for HTTP");
  CHECK(refusal(R"({"id":"1","headers":{"a":1}})") ==
        "\"headers\" has \"a\", which is no name and text for HTTP");
  CHECK(refusal(R"({"id":"1","body_base64":"*"})") == "\"body_base64\" is not base64");
  CHECK(refusal(R"({"id":"1","body_base64":1})") == "\"body_base64\" is not base64");
}
