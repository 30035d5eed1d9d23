#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "roles/gather/outcome.hpp"
#include "wire/structured_field.hpp"

using namespace consort::gather;
using consort::Handling;
using consort::ProxyError;

namespace {

/// One letter per leaf: (k) ok, (e)mpty, (f)ailed, (t)imed out, (u)navailable, (s)kipped; a digit
/// d stands for a leaf that answered 40d.
std::vector<LeafResult> leaves_of(std::string_view letters) {
  std::vector<LeafResult> leaves;
  for (const char letter : letters) {
    LeafResult leaf{.shard = "s", .status = 200};
    switch (letter) {
      case 'k':
        break;
      case 'e':
        leaf.verdict = LeafVerdict::empty;
        leaf.status = 404;
        break;
      case 'f':
        leaf.verdict = LeafVerdict::failed;
        leaf.status = 500;
        break;
      case 't':
        leaf.verdict = LeafVerdict::timed_out;
        leaf.status = 0;
        leaf.error = ProxyError::http_response_timeout;
        break;
      case 'u':
        leaf.verdict = LeafVerdict::unavailable;
        leaf.status = 0;
        leaf.error = ProxyError::destination_unavailable;
        break;
      case 's':
        leaf.verdict = LeafVerdict::skipped;
        leaf.status = 0;
        break;
      default:
        leaf.verdict = LeafVerdict::client_error;
        leaf.status = 400 + letter - '0';
    }
    leaves.push_back(leaf);
  }
  return leaves;
}

Coverage sum_of(const std::vector<LeafResult>& leaves) {
  Coverage sum;
  for (const LeafResult& leaf : leaves) sum += coverage_of(leaf.verdict, leaf.weight);
  return sum;
}

/// "merge 200", "pass 404 from 0", "problem 503 after 1".
std::string text_of(const Decision& decision) {
  const std::string status = " " + std::to_string(decision.status);
  switch (decision.kind) {
    case Decision::Kind::merge:
      return "merge" + status;
    case Decision::Kind::pass_through:
      return "pass" + status + " from " + std::to_string(decision.pass_index);
    case Decision::Kind::problem:
      break;
  }
  const auto after = decision.retry_after_s;
  return "problem" + status + (after ? " after " + std::to_string(*after) : "");
}

std::string answer(std::string_view letters, const Demand& demand = {}) {
  const auto leaves = leaves_of(letters);
  return text_of(decide(leaves, sum_of(leaves), demand));
}

constexpr Demand kHalf{.min_coverage = 50};
constexpr Demand kStrict{.min_coverage = 50, .handling = Handling::strict};
constexpr Demand kLenient{.min_coverage = 90, .handling = Handling::lenient};
constexpr Demand kLenientRefused{
    .min_coverage = 90, .handling = Handling::lenient, .lenient_allowed = false};

}  // namespace

TEST_CASE("the status table: coverage, failures and demands give one answer each") {
  struct Case {
    const char* leaves;
    Demand demand;
    const char* answer;
  };
  const Case cases[] = {
      // Everything is there, or nothing was to be.
      {"", {}, "merge 200"},
      {"", kStrict, "merge 200"},
      {"k", {}, "merge 200"},
      {"kkkkkkkkkk", {}, "merge 200"},
      {"kkkkkkkkkk", kStrict, "merge 200"},
      {"eeee", {}, "merge 200"},
      {"keke", kStrict, "merge 200"},
      {"ssss", {}, "merge 200"},
      {"kssss", kStrict, "merge 200"},
      // Partial, and the route takes it or not.
      {"kkkkkkkkkt", {.min_coverage = 90}, "merge 200"},
      {"kkkkkkkktt", {.min_coverage = 90}, "problem 504"},
      {"kkkkkkkkkt", {}, "problem 504"},
      {"kkkkkkkkkf", {}, "problem 502"},
      {"kf", kHalf, "merge 200"},
      {"kff", kHalf, "problem 502"},
      {"kf", {.min_coverage = 50.001}, "problem 502"},
      {"kfssssss", kHalf, "merge 200"},
      {"kffsssss", kHalf, "problem 502"},
      {"ff", {.min_coverage = 0}, "merge 200"},
      // Which error it is.
      {"t", {}, "problem 504"},
      {"ttt", {}, "problem 504"},
      {"fff", {}, "problem 502"},
      {"kft", {}, "problem 504"},
      {"kut", {}, "problem 504"},
      {"kuf", {}, "problem 502"},
      {"kuu", {}, "problem 503 after 1"},
      {"u", {}, "problem 503 after 1"},
      {"us", {}, "problem 503 after 1"},
      {"ku", kHalf, "merge 200"},
      // What the client wants.
      {"kt", kStrict, "problem 504"},
      {"kf", kStrict, "problem 502"},
      {"ku", kStrict, "problem 503 after 1"},
      {"kfff", kLenient, "merge 200"},
      {"efff", kLenient, "merge 200"},
      {"ffff", kLenient, "problem 502"},
      {"tttt", kLenient, "problem 504"},
      {"kfff", kLenientRefused, "problem 502"},
      {"kkkkkkkkkf", kLenientRefused, "merge 200"},
      // Client errors: the same from all is the client's answer, otherwise they are failures.
      {"4", {}, "pass 404 from 0"},
      {"444", {}, "pass 404 from 0"},
      {"444", {.min_coverage = 0}, "pass 404 from 0"},
      {"111", kLenient, "pass 401 from 0"},
      {"s4s4", {}, "pass 404 from 1"},
      {"434", {}, "problem 502"},
      {"4k", {}, "problem 502"},
      {"4k", kHalf, "merge 200"},
      {"4e", {}, "problem 502"},
      {"4e", kHalf, "merge 200"},
      {"4t", {}, "problem 504"},
      {"4f", {}, "problem 502"},
      {"4u", {}, "problem 502"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.leaves);
    CAPTURE(c.demand.min_coverage);
    CHECK(answer(c.leaves, c.demand) == c.answer);
  }
}

TEST_CASE("children count by what they said of themselves") {
  const auto leaves = leaves_of("kk");
  const auto decided = [&](const Coverage& coverage, double min_coverage) {
    return text_of(decide(leaves, coverage, {.min_coverage = min_coverage}));
  };
  CHECK(decided({.total = 20, .ok = 19, .failed = 1}, 95) == "merge 200");
  CHECK(decided({.total = 20, .ok = 18, .failed = 2}, 95) == "problem 502");
  CHECK(decided({.total = 20, .ok = 18, .failed = 1, .timeout = 1}, 95) == "problem 504");
}

TEST_CASE("one refused shard does not excuse what is missing inside of a child") {
  const auto leaves = leaves_of("ku");
  CHECK(text_of(decide(leaves, {.total = 11, .ok = 10, .failed = 1}, {})) == "problem 503 after 1");
  CHECK(text_of(decide(leaves, {.total = 11, .ok = 9, .failed = 2}, {})) == "problem 502");
  CHECK(text_of(decide(leaves, {.total = 11, .ok = 9, .failed = 1, .timeout = 1}, {})) ==
        "problem 504");
}

TEST_CASE("a heavy child weighs more than a leaf") {
  auto leaves = leaves_of("kf");
  leaves[1].weight = 9;
  CHECK(sum_of(leaves) == Coverage{.total = 10, .ok = 1, .failed = 9});
  CHECK(text_of(decide(leaves, sum_of(leaves), kHalf)) == "problem 502");
  leaves[0].weight = 9;
  CHECK(text_of(decide(leaves, sum_of(leaves), kHalf)) == "merge 200");
}

TEST_CASE("a percentage that rounds to 100 is not all of it") {
  const auto leaves = leaves_of("kf");
  const Coverage almost{.total = 999'999'999'999'999, .ok = 999'999'999'999'998, .failed = 1};
  CHECK(text_of(decide(leaves, almost, {})) == "problem 502");
  CHECK(text_of(decide(leaves, almost, {.min_coverage = 99.9})) == "merge 200");
}

TEST_CASE("each verdict counts in one place of the coverage") {
  CHECK(coverage_of(LeafVerdict::ok, 1) == Coverage{.total = 1, .ok = 1});
  CHECK(coverage_of(LeafVerdict::empty, 2) == Coverage{.total = 2, .ok = 2});
  CHECK(coverage_of(LeafVerdict::failed, 1) == Coverage{.total = 1, .failed = 1});
  CHECK(coverage_of(LeafVerdict::client_error, 1) == Coverage{.total = 1, .failed = 1});
  CHECK(coverage_of(LeafVerdict::unavailable, 3) == Coverage{.total = 3, .failed = 3});
  CHECK(coverage_of(LeafVerdict::timed_out, 1) == Coverage{.total = 1, .timeout = 1});
  CHECK(coverage_of(LeafVerdict::skipped, 1) == Coverage{.total = 1, .skipped = 1});
}

TEST_CASE("an error's verdict follows the status that RFC 9209 recommends for it") {
  CHECK(verdict_for(ProxyError::connection_timeout) == LeafVerdict::timed_out);
  CHECK(verdict_for(ProxyError::connection_limit_reached) == LeafVerdict::unavailable);
  CHECK(verdict_for(ProxyError::connection_refused) == LeafVerdict::failed);
}

TEST_CASE("a problem document names the leaves that are missing") {
  const LeafResult leaves[] = {
      {.shard = "s0", .status = 200},
      {.shard = "s1", .verdict = LeafVerdict::skipped},
      {.shard = "s2",
       .verdict = LeafVerdict::timed_out,
       .error = ProxyError::http_response_timeout,
       .details = "no answer within 400ms"},
      {.shard = "s\"3", .verdict = LeafVerdict::failed, .status = 500},
  };
  const Problem problem{.status = 504, .detail = "2 of 3 leaves are missing", .request_id = "r1"};
  const Coverage coverage{.total = 4, .ok = 1, .failed = 1, .timeout = 1, .skipped = 1};
  CHECK(problem_json(problem, coverage, leaves) ==
        R"({"type":"urn:consort:gather:insufficient-coverage","title":"Too few leaves answered",)"
        R"("status":504,"detail":"2 of 3 leaves are missing","request_id":"r1",)"
        R"("coverage":{"total":4,"ok":1,"failed":1,"timeout":1,"skipped":1,"hedged":0,)"
        R"("percent":33.333},"leaves":[{"shard":"s2","outcome":"timeout",)"
        R"("error":"http_response_timeout","details":"no answer within 400ms"},)"
        R"({"shard":"s\"3","outcome":"failed","status":500}]})");
}

TEST_CASE("a problem without leaves has an empty list") {
  CHECK(problem_json({.status = 413, .type = problems::kBodyTooLarge}, {}, {}) ==
        R"({"type":"urn:consort:gather:body-too-large","title":"The request's body is too large",)"
        R"("status":413,"coverage":{"total":0,"ok":0,"failed":0,"timeout":0,"skipped":0,)"
        R"("hedged":0,"percent":100.0},"leaves":[]})");
}

TEST_CASE("64 leaves are listed and the rest is counted") {
  const auto count_of = [](const std::string& text, std::string_view part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
    return count;
  };
  const auto json = [](std::size_t failed) {
    const auto leaves = leaves_of("kk" + std::string(failed, 'f'));
    return problem_json({}, sum_of(leaves), leaves);
  };
  CHECK(count_of(json(64), "\"shard\"") == 64);
  CHECK(count_of(json(64), "leaves_left_out") == 0);
  CHECK(count_of(json(100), "\"shard\"") == 64);
  CHECK(count_of(json(100), "\"leaves_left_out\":36") == 1);
}

TEST_CASE("details may hold anything and be of any length") {
  std::string details = "a\xff\r\n\"";
  details += std::string(1000, 'x');
  const LeafResult leaves[] = {{.shard = "s1", .verdict = LeafVerdict::failed, .details = details}};
  const std::string rest(kMaxDetailsBytes - 5, 'x');
  const std::string json = problem_json({}, {}, leaves);
  CHECK(json.find("\"details\":\"a\xef\xbf\xbd\\r\\n\\\"" + rest + "\"") != json.npos);
  CHECK(proxy_status_header(leaves) ==
        "consort; next-hop=\"s1\"; details=\"a???\\\"" + rest + "\"");
}

TEST_CASE("Proxy-Status has an entry for each leaf that is missing") {
  const LeafResult leaves[] = {
      {.shard = "s0", .status = 200},
      {.shard = "s7",
       .verdict = LeafVerdict::timed_out,
       .error = ProxyError::http_response_timeout,
       .details = "no answer within 400ms"},
      {.shard = "s8", .verdict = LeafVerdict::skipped},
      {.shard = "s9", .verdict = LeafVerdict::failed, .status = 500},
      {.shard = "sa",
       .verdict = LeafVerdict::failed,
       .status = 200,
       .error = ProxyError::http_response_incomplete},
  };
  CHECK(
      proxy_status_header(leaves) ==
      "consort; error=http_response_timeout; next-hop=\"s7\"; details=\"no answer within 400ms\", "
      "consort; next-hop=\"s9\"; received-status=500, "
      "consort; error=http_response_incomplete; next-hop=\"sa\"; received-status=200");
  CHECK(proxy_status_header({}) == "");
  CHECK(proxy_status_header(leaves_of("kes")) == "");
}

TEST_CASE("Proxy-Status ends after 16 entries") {
  const auto entries = [](std::size_t failed) {
    const std::string text = proxy_status_header(leaves_of(std::string(failed, 't')));
    std::size_t count = 0;
    for (auto at = text.find("consort"); at != text.npos; at = text.find("consort", at + 1)) {
      ++count;
    }
    return count;
  };
  CHECK(entries(16) == 16);
  CHECK(entries(17) == 16);
}

TEST_CASE("an entry of Proxy-Status is what readers of structured fields expect") {
  const LeafResult leaves[] = {{.shard = "s\"\\\xc3\xa9",
                                .verdict = LeafVerdict::timed_out,
                                .error = ProxyError::dns_timeout,
                                .details = "a\"b\\c;d,e\n"}};
  // A list of one token with parameters reads as a dictionary of one key with the same parameters.
  const std::string header = proxy_status_header(leaves);
  const auto dictionary = consort::sf::parse_dictionary(header);
  REQUIRE(dictionary);
  REQUIRE(dictionary->size() == 1);
  CHECK(dictionary->begin()->key == "consort");
  CHECK(dictionary->begin()->parameters ==
        R"(; error=dns_timeout; next-hop="s\"\\??"; details="a\"b\\c;d,e?")");
}
