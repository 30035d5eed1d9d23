// Fuzzes the lines of Docker's json-file driver: what is taken is what a strict reader of JSON
// finds, what such a reader finds is taken, and no byte outside the line is read.
//
// The input is one line.
#include "wire/docker_json.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "wire/json_scan.hpp"
#include "wire/rfc3339.hpp"

namespace {

using consort::DockerLine;

struct Expected {
  std::string text;
  std::int64_t time_ns;
  bool is_stdout;
};

std::string_view inside(std::string_view string) {
  return string.substr(1, string.size() - 2);
}

/// Of a text that is JSON as RFC 8259 has it.
std::optional<Expected> parse_by_members(std::string_view line) {
  const auto document = consort::check_json(line);
  if (!document || consort::json_kind(*document) != consort::JsonKind::object) return std::nullopt;
  std::map<std::string_view, std::string_view> wanted;
  consort::JsonObjectReader members(*document);
  std::string_view key;
  for (std::string_view value; members.next(key, value);) {
    if (key.find('\\') != key.npos) return std::nullopt;
    if (key != "log" && key != "stream" && key != "time") continue;
    if (consort::json_kind(value) != consort::JsonKind::string) return std::nullopt;
    if (!wanted.emplace(key, inside(value)).second) return std::nullopt;
  }
  if (wanted.size() != 3) return std::nullopt;
  const auto time_ns = consort::parse_rfc3339_ns(wanted["time"]);
  const bool is_stdout = wanted["stream"] == "stdout";
  if (!time_ns || (!is_stdout && wanted["stream"] != "stderr")) return std::nullopt;
  return Expected{consort::unescape_json_string(wanted["log"]), *time_ns, is_stdout};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory of exactly its size, so that one byte too far is seen.
  const auto bytes = std::make_unique<char[]>(size);
  std::copy(data, data + size, bytes.get());
  const std::string_view line(bytes.get(), size);
  std::string scratch;
  const std::optional<DockerLine> parsed = consort::parse_docker_json(line, scratch);
  if (parsed) CHECK(parsed->text.size() <= line.size());
  // Strings may hold bytes that JSON's may not.
  const bool is_json = consort::check_json(line).has_value();
  const std::optional<Expected> expected = parse_by_members(line);
  CHECK(!expected || parsed);
  if (!parsed || !is_json) return 0;
  CHECK(expected.has_value());
  const std::string text = std::string(parsed->text) + (parsed->is_partial ? "" : "\n");
  CHECK(text == expected->text);
  CHECK(!parsed->is_partial || !text.ends_with('\n'));
  CHECK(parsed->time_ns == expected->time_ns);
  CHECK((parsed->stream == consort::LogStream::out) == expected->is_stdout);
  return 0;
}
