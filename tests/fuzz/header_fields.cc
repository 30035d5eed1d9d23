// Fuzzes the small grammars of header values: structured fields, Prefer, deadlines, trace context,
// Server-Timing, Retry-After and the coverage. What is read stays within its limits, what is
// written is read back as the same, and text from outside never breaks out of what quotes it.
//
// The input is the value for every reader, and also a list of headers: a line each, its first byte
// picks the name.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "roles/gather/coverage.hpp"
#include "roles/gather/outcome.hpp"
#include "wire/http1.hpp"
#include "wire/prefer.hpp"
#include "wire/request_deadline.hpp"
#include "wire/retry_after.hpp"
#include "wire/server_timing.hpp"
#include "wire/structured_field.hpp"
#include "wire/trace_context.hpp"

namespace {

namespace gather = consort::gather;
namespace sf = consort::sf;

/// A dictionary from the parts of one that was read.
std::string rebuild(const sf::Dictionary& dictionary) {
  std::string out;
  for (const sf::Member& member : dictionary) {
    if (!out.empty()) out += " \t,";
    out += member.key;
    const sf::Item& value = member.value;
    switch (value.type) {
      case sf::Type::integer:
        out += '=';
        CHECK(sf::append_integer(out, value.number));
        break;
      case sf::Type::decimal:
        out += '=';
        CHECK(sf::append_decimal(out, *value.as_number()));
        break;
      case sf::Type::string:
        out += '=';
        CHECK(sf::append_string(out, *value.as_text()));
        break;
      case sf::Type::token:
        out += '=';
        CHECK(sf::append_token(out, value.text));
        break;
      case sf::Type::bytes:
        out += "=:" + std::string(value.text) + ":";
        break;
      case sf::Type::boolean:
        out += value.number == 1 ? "" : "=?0";
        break;
      case sf::Type::inner_list:
        out += "=(" + std::string(value.text) + ")";
    }
    out += member.parameters;
  }
  return out;
}

void check_dictionary(std::string_view text) {
  const auto dictionary = sf::parse_dictionary(text);
  if (!dictionary) {
    CHECK(!dictionary.error().text().empty());
    return;
  }
  CHECK(dictionary->size() <= sf::kMaxKeys);
  const std::string again_text = rebuild(*dictionary);
  const auto again = sf::parse_dictionary(again_text);
  CHECK(again.has_value() && again->size() == dictionary->size());
  const sf::Member* other = again->begin();
  for (const sf::Member& member : *dictionary) {
    CHECK(sf::is_key(member.key) && dictionary->find(member.key) == &member);
    CHECK(other->key == member.key && other->parameters == member.parameters);
    CHECK(other->value.type == member.value.type && other->value.number == member.value.number);
    CHECK(other->value.text == member.value.text);
    ++other;
  }
}

void check_quoting(std::string_view text) {
  std::string exact = "a=";
  std::string lossy = "a=";
  sf::append_lossy_string(lossy, text);
  if (sf::append_string(exact, text)) {
    CHECK(exact == lossy);
    CHECK(sf::parse_dictionary(exact)->find("a")->value.as_text() == text);
  }
  const auto read = sf::parse_dictionary(lossy);
  CHECK(read.has_value() && read->begin()->value.as_text()->size() == text.size());

  std::string timings;
  consort::append_timing(timings, "first", std::chrono::microseconds(1500), text);
  consort::append_timing(timings, "second", std::chrono::microseconds(2));
  consort::Timing timing;
  std::string_view rest = timings;
  CHECK(consort::next_timing(rest, timing) && timing.name == "first" && timing.dur_ms == 1.5);
  CHECK(consort::next_timing(rest, timing) && timing.name == "second");
  CHECK(!consort::next_timing(rest, timing));
}

void check_preferences(const consort::Preferences& preferences) {
  CHECK(preferences.wait_s.value_or(0) <= consort::Preferences::kMaxWaitS);
  consort::Preferences again;
  again.add(consort::preference_applied(preferences));
  CHECK(again.wait_s == preferences.wait_s && again.handling == preferences.handling);
  CHECK(again.malformed_waits == 0 && again.malformed_handlings == 0);
}

void check_deadline(const consort::AskedDeadline& asked) {
  if (!asked.left) return;
  CHECK(asked.left->count() >= 0);
  const auto told = consort::parse_grpc_timeout(consort::grpc_timeout(*asked.left));
  CHECK(told && *told <= *asked.left && (told->count() > 0) == (asked.left->count() > 0));
  // Milliseconds are rounded up when there is less than one.
  const auto told_ms = consort::parse_timeout_ms(consort::envoy_timeout_ms(*asked.left));
  CHECK(!told_ms || *told_ms <= std::max(*asked.left, std::chrono::microseconds(1000)));
}

void check_trace(const consort::http1::Headers& headers) {
  consort::Random random(headers.size());
  const auto context = consort::TraceContext::from(headers, random);
  std::string child;
  context.append_child_traceparent(child, random);
  const auto parent = consort::TraceParent::parse(child);
  CHECK(parent && parent->sampled == context.sampled());
  CHECK(std::string_view(parent->trace_id.data(), parent->trace_id.size()) == context.trace_id());
  CHECK(context.continued() || context.tracestate().empty());
  CHECK(consort::normal_tracestate(context.tracestate()) == context.tracestate());
}

void check_tracestate(std::string_view text) {
  const auto state = consort::normal_tracestate(text);
  if (!state) return;
  CHECK(state->size() <= text.size());
  CHECK(consort::normal_tracestate(*state) == state);
  CHECK(static_cast<std::size_t>(std::count(state->begin(), state->end(), ',')) <
        consort::kMaxTracestateMembers);
}

void check_timings(std::string_view text) {
  consort::Timing timing;
  std::string_view rest = text;
  while (true) {
    const std::size_t before = rest.size();
    if (!consort::next_timing(rest, timing)) break;
    CHECK(rest.size() < before && !timing.name.empty());
    CHECK(!timing.dur_ms || (std::isfinite(*timing.dur_ms) && *timing.dur_ms >= 0));
  }
  CHECK(rest.empty());
}

void check_waits(std::string_view text, const consort::http1::Headers& headers) {
  const auto wait = consort::parse_retry_after(text, 784'111'777'000);
  CHECK(!wait || (wait->count() >= 0 && *wait <= consort::kMaxRetryAfter));
  CHECK(!consort::parse_http_date(text) || (text.size() == 29 && wait));
  const auto pushback = consort::pushback_of(headers, 0);
  CHECK(!pushback || pushback->wait <= consort::kMaxRetryAfter);
}

void check_coverage(std::string_view text) {
  const auto coverage = gather::Coverage::parse(text);
  if (!coverage) return;
  CHECK(coverage->ok + coverage->failed + coverage->timeout + coverage->skipped == coverage->total);
  CHECK(coverage->percent() >= 0 && coverage->percent() <= 100);
  CHECK(gather::Coverage::parse(coverage->to_header()) == coverage);
  CHECK(consort::is_json(coverage->to_json()));
  gather::Coverage sum = *coverage;
  sum += *coverage;
  CHECK(sum.total >= coverage->total && sum.percent() <= 100);
}

void check_problem(std::string_view text) {
  const gather::LeafResult leaves[] = {
      {.shard = text, .verdict = gather::LeafVerdict::failed, .status = 500, .details = text},
      {.shard = text,
       .verdict = gather::LeafVerdict::timed_out,
       .error = consort::ProxyError::http_response_timeout}};
  const gather::Problem problem{.status = 504, .detail = text, .request_id = text};
  CHECK(consort::is_json(gather::problem_json(problem, {.total = 2}, leaves)));
  const std::string header = gather::proxy_status_header(leaves);
  const auto entries = sf::parse_dictionary(header);
  CHECK(entries.has_value() && entries->size() == 1);
}

consort::http1::Headers headers_of(std::string_view text) {
  static constexpr std::array<std::string_view, 10> kNames = {"prefer",
                                                              "grpc-timeout",
                                                              "x-envoy-expected-rq-timeout-ms",
                                                              "x-envoy-upstream-rq-timeout-ms",
                                                              "traceparent",
                                                              "tracestate",
                                                              "retry-after",
                                                              "grpc-retry-pushback-ms",
                                                              "consort-coverage",
                                                              "host"};
  consort::http1::Headers headers;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const auto name = static_cast<unsigned char>(line[0]) % kNames.size();
    headers.emplace_back(kNames[name], line.substr(1));
  }
  return headers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const consort::http1::Headers headers = headers_of(text);
  consort::Preferences preferences;
  preferences.add(text);
  check_preferences(preferences);
  check_preferences(consort::Preferences::from(headers));
  check_deadline({.left = consort::parse_grpc_timeout(text)});
  check_deadline({.left = consort::parse_timeout_ms(text)});
  check_deadline(consort::AskedDeadline::from(headers));
  check_dictionary(text);
  check_quoting(text);
  check_trace(headers);
  check_tracestate(text);
  check_timings(text);
  check_waits(text, headers);
  check_coverage(text);
  check_problem(text);
  return 0;
}
