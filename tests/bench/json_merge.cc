// Megabytes per second of the JSON path: checking, skipping, and the merges of 100 leaf answers of
// 25 KB. Prints numbers and judges nothing: wall time of a shared machine is no verdict.
//
//   bench_json_merge [MILLISECONDS_PER_LINE]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "roles/gather/merge/merge.hpp"
#include "roles/gather/merge/sorted.hpp"
#include "roles/gather/merge/spec.hpp"
#include "roles/gather/merge/top_k.hpp"
#include "roles/gather/merge/union.hpp"
#include "wire/json_pointer.hpp"
#include "wire/json_scan.hpp"

namespace consort {
namespace {

constexpr std::size_t kLeaves = 100;
constexpr std::size_t kBodyBytes = 25'000;

double seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

std::string words(Random& random, std::size_t bytes, const char* const (&vocabulary)[4]) {
  std::string text;
  while (text.size() < bytes) {
    text += vocabulary[random.below(4)];
    text += ' ';
  }
  return text;
}

/// One search hit of about 250 bytes.
std::string hit(Random& random) {
  std::string text = "{\"id\":\"doc-" + std::to_string(random.below(1'000'000)) + "\",\"score\":0.";
  text += std::to_string(100'000 + random.below(900'000));
  text += ",\"title\":\"" + words(random, 40, {"search", "engine", "\\\"tail\\\"", "latency"});
  text += "\",\"url\":\"https://example.org/" + std::to_string(random.below(100'000'000));
  text += "\",\"snippet\":\"" + words(random, 90, {"the", "leaves", "answer", "in parallel"});
  return text + "\",\"tags\":[\"a\",\"bc\"],\"year\":" + std::to_string(1990 + random.below(36)) +
         "}";
}

std::vector<std::string> bodies(Random& random, bool in_object) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < kLeaves; ++i) {
    std::string body = in_object ? "{\"took\":3,\"hits\":[" : "[";
    for (bool first = true; body.size() < kBodyBytes; first = false) {
      if (!first) body += ',';
      body += hit(random);
    }
    all.push_back(body + (in_object ? "],\"total\":100}" : "]"));
  }
  return all;
}

std::vector<std::string> repeated(const std::string& item) {
  std::string body = "[" + item;
  while (body.size() < kBodyBytes) body += "," + item;
  return std::vector<std::string>(kLeaves, body + "]");
}

/// Runs `work` on all bodies again and again, and prints the speed of the best of the rounds: the
/// others were disturbed. Processor time, so that a busy machine matters less.
void measure(const char* name, const std::vector<std::string>& all, int milliseconds,
             const std::function<void(const std::vector<std::string>&)>& work) {
  double bytes = 0;
  for (const std::string& body : all) bytes += static_cast<double>(body.size());
  double best = 1e9;
  const double until = seconds() + milliseconds / 1e3;
  do {
    const double start = seconds();
    work(all);
    best = std::min(best, seconds() - start);
  } while (seconds() < until);
  std::printf("%-34s %8.0f MB/s\n", name, bytes / best / 1e6);
}

void check_all(const std::vector<std::string>& all) {
  for (const std::string& body : all) {
    if (!check_json(body)) std::abort();
  }
}

void trim_all(const std::vector<std::string>& all) {
  for (const std::string& body : all) {
    if (!trim_json(body)) std::abort();
  }
}

void read_all(const std::vector<std::string>& all) {
  for (const std::string& body : all) {
    JsonArrayReader elements(body);
    std::size_t count = 0;
    for (std::string_view element; elements.next(element);) ++count;
    if (elements.failed() || count == 0) std::abort();
  }
}

void compare_all(const std::vector<std::string>& all) {
  const Result<JsonPointer> score = JsonPointer::parse("score");
  for (const std::string& body : all) {
    JsonArrayReader elements(body);
    std::string_view best = "0";
    for (std::string_view element; elements.next(element);) {
      const auto found = score->find(element);
      if (found && compare_json(*found, best) > 0) best = *found;
    }
    if (best == "0") std::abort();
  }
}

void merge_all(std::unique_ptr<gather::Merge> merge, const std::vector<std::string>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    gather::PartBody part;
    part.index = static_cast<std::uint32_t>(i);
    part.body = all[i];
    if (!merge->feed(std::move(part))) std::abort();
  }
  if (merge->finish().body.size() < 2) std::abort();
}

JsonPointer pointer(std::string_view text) {
  return *JsonPointer::parse(text);
}

void measure_merges(Random& random, int milliseconds) {
  constexpr auto kWidth = static_cast<std::uint32_t>(kLeaves);
  const std::vector<std::string> lists = bodies(random, true);
  for (const bool validate : {true, false}) {
    const std::string suffix = validate ? "" : ", trusted";
    const gather::TopKOptions top{pointer("/hits"), pointer("/score"), true, 10, {}, validate};
    measure(("top-k 10" + suffix).c_str(), lists, milliseconds,
            [&top](const auto& all) { merge_all(gather::make_top_k(top, kWidth), all); });
    gather::TopKOptions distinct = top;
    distinct.k = 100;
    distinct.dedup = pointer("/id");
    measure(("top-k 100 with dedup" + suffix).c_str(), lists, milliseconds,
            [&distinct](const auto& all) { merge_all(gather::make_top_k(distinct, kWidth), all); });
    const gather::SortedOptions order{pointer("/hits"), pointer("/score"), true, validate};
    measure(("sorted, lists out of order" + suffix).c_str(), lists, milliseconds,
            [&order](const auto& all) { merge_all(gather::make_sorted(order, kWidth), all); });
    const gather::UnionOptions set{pointer("/hits"), pointer("/id"), validate};
    measure(("union" + suffix).c_str(), lists, milliseconds,
            [&set](const auto& all) { merge_all(gather::make_union(set, kWidth), all); });
    gather::MergeSpec array;
    array.validate = validate;
    measure(("array" + suffix).c_str(), lists, milliseconds,
            [&array](const auto& all) { merge_all(gather::make_merge(array, kWidth, 0), all); });
  }
}

void run(int milliseconds) {
  Random random(1);
  const std::vector<std::string> lists = bodies(random, false);
  measure("check_json, hits", lists, milliseconds, check_all);
  measure("trim_json, hits", lists, milliseconds, trim_all);
  measure("array reader, hits", lists, milliseconds, read_all);
  measure("reader, key and compare, hits", lists, milliseconds, compare_all);
  measure("check_json, numbers", repeated("-12.5e3"), milliseconds, check_all);
  measure("check_json, small objects", repeated("{\"a\":1,\"b\":[true,null]}"), milliseconds,
          check_all);
  measure("check_json, escapes", repeated("\"a\\n\\u00e4\\\"b\""), milliseconds, check_all);
  measure("check_json, two-byte characters",
          repeated("\"\xd0\xbf\xd0\xbe\xd0\xb8\xd1\x81\xd0\xba \xd0\xb8\""), milliseconds,
          check_all);
  measure("check_json, three-byte characters",
          repeated("\"\xe6\xa4\x9c\xe7\xb4\xa2\xe7\xb5\x90\xe6\x9e\x9c\xe3\x81\xae\""),
          milliseconds, check_all);
  measure_merges(random, milliseconds);
}

}  // namespace
}  // namespace consort

int main(int argc, char** argv) {
  consort::run(argc > 1 ? std::atoi(argv[1]) : 300);
  return 0;
}
