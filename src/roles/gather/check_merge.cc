#include "roles/gather/check_merge.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "roles/gather/check_rules.hpp"
#include "roles/gather/coverage.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

constexpr std::string_view kSample =
    R"({"hits":[{"id":"a","score":2.5},{"id":"b","score":1}],"count":2})";
constexpr std::size_t kUsualParts = 10;
constexpr std::size_t kManyParts = 1000;
constexpr std::size_t kLargeBytes = 8 * 1024 * 1024;
constexpr std::size_t kAtOnce = 8;
/// Too short for most merges of many parts.
constexpr Millis kShortDeadline{20};
/// How much later than its deadline a merge may be over.
constexpr double kLateMs = 500;

/// The parts of one request, and all that they point to; stays where it is.
class Input {
 public:
  Input(std::string id, std::string_view sample, std::size_t count) : id_(std::move(id)) {
    shards_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      MergePart part;
      part.shard = shards_.emplace_back("s" + std::to_string(i));
      part.index = static_cast<std::uint32_t>(i);
      part.ok = true;
      part.status = 200;
      part.content_type = check_json(sample) ? "application/json" : "text/plain";
      part.ms = 1.5;
      part.body = sample;
      parts.push_back(part);
    }
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// Views into this object.
  MergeRequest request(std::string_view target) {
    MergeRequest made;
    made.id = id_;
    made.method = "GET";
    const std::size_t question = std::min(target.find('?'), target.size());
    made.path = target.substr(0, question);
    made.query = target.substr(std::min(question + 1, target.size()));
    made.headers = &headers_;
    Coverage coverage;
    coverage.total = parts.size();
    for (const MergePart& part : parts) ++(part.ok ? coverage.ok : coverage.timeout);
    coverage_json_ = coverage.to_json();
    made.coverage_json = coverage_json_;
    made.total = static_cast<std::uint32_t>(coverage.total);
    made.ok = static_cast<std::uint32_t>(coverage.ok);
    made.parts = parts;
    return made;
  }

  std::vector<MergePart> parts;

 private:
  std::string id_;
  std::vector<std::string> shards_;
  std::string coverage_json_;
  const std::vector<std::pair<std::string, std::string>> headers_{{"accept", "*/*"}};
};

struct Bench {
  const Services& services;
  const MergeUnderTest& under_test;
  std::string_view sample;
  std::string first = {};  ///< the body for the usual parts
  std::string type = {};
  std::optional<Finding> content = {};  ///< the first answer that is not what it says
  std::uint32_t requests = 0;
};

std::string next_id(Bench& bench) {
  return "check-" + std::to_string(++bench.requests);
}

Task<MergeResult> merge_within(Bench& bench, Input& input, Millis time) {
  const Deadline deadline = Deadline::after(bench.services.loop.now_ms(), time);
  MergeRequest request = input.request(bench.under_test.target);
  MergeResult made = co_await bench.under_test.merge.merge(std::move(request), deadline);
  if (made && !bench.content) {
    const Finding judged = judge_content(made->content_type, made->body);
    if (judged.verdict == Finding::Verdict::fail) bench.content = judged;
  }
  co_return made;
}

Task<MergeResult> merge_once(Bench& bench, Input& input) {
  co_return co_await merge_within(bench, input, bench.under_test.timeout);
}

/// What a status other than 2xx means: for parts that any root sends, or for strange ones.
enum class Parts : std::uint8_t { usual, strange };

Finding judge(const MergeResult& made, Parts parts) {
  if (!made) {
    return Finding::fail(made.error().why +
                         (made.error().timed_out
                              ? "; a client gets 504 then"
                              : "; a client gets 502 then, see its errors with --log-level info"));
  }
  if (made->status / 100 == 2) return Finding::ok();
  std::string text = "it answers " + std::to_string(made->status);
  if (parts == Parts::usual) return Finding::fail(text + "; clients get that instead of 2xx");
  return Finding::warn(text + "; one bad leaf spoils the answers of all, better leave it out");
}

Task<Finding> merge_and_judge(Bench& bench, Input& input, Parts parts) {
  const MergeResult made = co_await merge_once(bench, input);
  co_return judge(made, parts);
}

Task<Finding> answers(Bench& bench) {
  Input input(next_id(bench), bench.sample, kUsualParts);
  const std::uint64_t began_ns = bench.services.loop.now_ns();
  MergeResult made = co_await merge_once(bench, input);
  Finding finding = judge(made, Parts::usual);
  if (finding.verdict != Finding::Verdict::ok) co_return finding;
  bench.first = std::move(made->body);
  bench.type = std::move(made->content_type);
  if (bench.first.empty()) co_return Finding::warn("its answer is empty; did it read the parts?");
  finding.text =
      in_ms(static_cast<double>((bench.services.loop.now_ns() - began_ns) / 1000) / 1000);
  co_return finding;
}

Task<Finding> takes_no_parts(Bench& bench) {
  Input input(next_id(bench), bench.sample, 0);
  co_return co_await merge_and_judge(bench, input, Parts::usual);
}

Task<Finding> takes_failed_part(Bench& bench) {
  Input input(next_id(bench), bench.sample, kUsualParts);
  MergePart& failed = input.parts[3];
  failed.ok = false;
  failed.status = 0;
  failed.content_type = {};
  failed.body = {};
  failed.error = "http_response_timeout";
  co_return co_await merge_and_judge(bench, input, Parts::usual);
}

Task<Finding> takes_body(Bench& bench, std::string_view type, std::string_view body) {
  Input input(next_id(bench), bench.sample, kUsualParts);
  input.parts[3].content_type = type;
  input.parts[3].body = body;
  co_return co_await merge_and_judge(bench, input, Parts::strange);
}

Task<Finding> takes_empty_body(Bench& bench) {
  co_return co_await takes_body(bench, "", "");
}

Task<Finding> takes_plain_text(Bench& bench) {
  co_return co_await takes_body(bench, "text/plain", "<plain words, \"no\" JSON\n");
}

Task<Finding> takes_other_bytes(Bench& bench) {
  co_return co_await takes_body(bench, "application/json", "{\"hits\":\"\xff\xfe\xc3(\"}");
}

Task<Finding> takes_many_parts(Bench& bench) {
  Input input(next_id(bench), bench.sample, kManyParts);
  co_return co_await merge_and_judge(bench, input, Parts::usual);
}

Task<Finding> takes_large_part(Bench& bench) {
  const std::string large = blown_up(bench.sample, kLargeBytes);
  Input input(next_id(bench), bench.sample, kUsualParts);
  input.parts[3].body = large;
  co_return co_await merge_and_judge(bench, input, Parts::usual);
}

/// Many merges that are under way together.
struct Crowd {
  std::size_t left = 0;
  std::size_t good = 0;
  Finding trouble;
  Event done;
};

Task<> merge_in_crowd(Bench& bench, Crowd& crowd) {
  Input input(next_id(bench), bench.sample, kUsualParts);
  const Finding finding = co_await merge_and_judge(bench, input, Parts::usual);
  if (finding.verdict == Finding::Verdict::ok) {
    ++crowd.good;
  } else {
    crowd.trouble = finding;
  }
  if (--crowd.left == 0) crowd.done.set();
}

Task<Finding> takes_many_at_once(Bench& bench) {
  Crowd crowd;
  TaskScope scope;
  crowd.left = kAtOnce;
  for (std::size_t i = 0; i < kAtOnce; ++i) scope.spawn(merge_in_crowd(bench, crowd));
  co_await crowd.done.wait();
  // The last of them stands on this stack, and must have ended before its scope does.
  co_await sleep_until(bench.services.loop.timers(), bench.services.loop.now_ms());
  if (crowd.good == kAtOnce) co_return Finding::ok();
  co_return Finding::fail("only " + std::to_string(crowd.good) + " of " + std::to_string(kAtOnce) +
                          " get an answer; another: " + crowd.trouble.text);
}

Task<Finding> goes_on_after_deadline(Bench& bench) {
  {
    Input input(next_id(bench), bench.sample, kManyParts);
    const std::uint64_t began_ns = bench.services.loop.now_ns();
    const MergeResult hurried = co_await merge_within(bench, input, kShortDeadline);
    const double ms = static_cast<double>((bench.services.loop.now_ns() - began_ns) / 1000) / 1000;
    if (!hurried && !hurried.error().timed_out) co_return judge(hurried, Parts::usual);
    if (ms > static_cast<double>(kShortDeadline.count()) + kLateMs) {
      co_return Finding::fail("it was over after " + in_ms(ms) + " of 20 ms");
    }
  }
  Input input(next_id(bench), bench.sample, kUsualParts);
  Finding finding = co_await merge_and_judge(bench, input, Parts::usual);
  if (finding.verdict != Finding::Verdict::ok) {
    finding.text = "the request after one that ran out of time: " + finding.text;
  }
  co_return finding;
}

Task<Finding> gives_same_bytes(Bench& bench) {
  Input input("check-1", bench.sample, kUsualParts);
  const MergeResult made = co_await merge_once(bench, input);
  if (!made) co_return judge(made, Parts::usual);
  if (made->body == bench.first) co_return Finding::ok();
  co_return Finding::warn(
      "two answers to the same parts differ; that defeats caches and comparisons");
}

Task<Finding> says_what_it_is(Bench& bench) {
  if (bench.content) co_return *bench.content;
  co_return judge_content(bench.type, bench.first);
}

struct Check {
  std::string_view name;
  Task<Finding> (*run)(Bench& bench);
};

constexpr Check kChecks[] = {
    {"answers without parts", takes_no_parts},
    {"answers when a part failed", takes_failed_part},
    {"takes a part with an empty body", takes_empty_body},
    {"takes a part that is no JSON", takes_plain_text},
    {"takes a part that is not UTF-8", takes_other_bytes},
    {"takes 1000 parts", takes_many_parts},
    {"takes a part of 8 MiB", takes_large_part},
    {"takes 8 requests at once", takes_many_at_once},
    {"goes on after a deadline", goes_on_after_deadline},
    {"gives the same bytes again", gives_same_bytes},
    {"says what its answers are", says_what_it_is},
};

}  // namespace

std::string blown_up(std::string_view sample, std::size_t bytes) {
  const Result<std::string_view> value = check_json(sample);
  if (!value) {
    std::string text;
    while (text.size() < bytes) text.append(sample.empty() ? "x" : sample);
    text.resize(bytes);
    return text;
  }
  std::string large(*value);
  const JsonKind kind = json_kind(*value);
  if (kind == JsonKind::object || kind == JsonKind::array) {
    large.insert(1, bytes - std::min(bytes, large.size()), ' ');
  } else {
    large = "\"" + std::string(bytes - std::min<std::size_t>(bytes, 2), 'x') + "\"";
  }
  return large;
}

Task<> check_merge(const Services& services, MergeUnderTest under_test, CheckReport& report) {
  const std::string_view sample =
      under_test.sample.empty() ? kSample : std::string_view(under_test.sample);
  Bench bench{.services = services, .under_test = under_test, .sample = sample};
  const Finding first = co_await answers(bench);
  report.add("merge", "answers when all parts are there", first);
  if (first.verdict == Finding::Verdict::fail) co_return;
  for (const Check& check : kChecks) {
    const Finding finding = co_await check.run(bench);
    report.add("merge", check.name, finding);
  }
}

}  // namespace consort::gather
