// The text that names a merge.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

#include "gather_merge_support.hpp"
#include "roles/gather/merge/spec.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

std::string refused(std::string_view text) {
  auto spec = MergeSpec::parse(text);
  return spec ? "accepted as " + spec->to_string() : spec.error().text();
}

MergeSpec spec_of(std::string_view text) {
  auto spec = MergeSpec::parse(text);
  REQUIRE(spec);
  return std::move(*spec);
}

}  // namespace

TEST_CASE("every merge has a name, and prints as it is read") {
  for (std::string_view text :
       {"concat",
        "concat:\\n",
        "concat:, ",
        "concat::\\t\\\\",
        "array",
        "object",
        "ndjson",
        "deep",
        "json-merge-patch",
        "sum",
        "sum:/a/b",
        "min",
        "max",
        "avg",
        "count:/n",
        "top-k",
        "top-k:/score",
        "top-k:/score:20",
        "top-k:/score:asc",
        "top-k:20",
        "sorted",
        "sorted:/ts",
        "sorted:/ts:desc",
        "union",
        "union:/id",
        "first",
        "quorum",
        "quorum:/value",
        "array:validate=no",
        "top-k:/score:20:asc:items=/hits:dedup=/id:k-max=50:k-query=size:validate=no",
        "union:/a\\:b/c\\\\d/e=f:items=/list"}) {
    CAPTURE(text);
    auto spec = MergeSpec::parse(text);
    REQUIRE(spec);
    CHECK(spec->to_string() == text);
    CHECK(spec_of(spec->to_string()) == *spec);
    CHECK(make_merge(*spec, 3, spec->k_default) != nullptr);
  }
}

TEST_CASE("a bare name is a pointer, numbers and directions stand where they like") {
  const MergeSpec spec = spec_of("top-k:score:10");
  CHECK(spec.kind == MergeKind::top_k);
  CHECK(spec.key == "/score");
  CHECK(spec.k_default == 10);
  CHECK(spec.descending);
  CHECK(spec.to_string() == "top-k:/score");
  CHECK(spec_of("top-k:asc:7:/score").to_string() == "top-k:/score:7:asc");
  CHECK(spec_of("sorted:ts").descending == false);
  CHECK(spec_of("sorted:/desc").key == "/desc");
  CHECK(spec_of("top-k:/7:items=hits").items == "/hits");
  CHECK(spec_of("union:a\\:b").key == "/a:b");
  CHECK(spec_of("array:") == MergeSpec{});
  CHECK(spec_of("quorum:value").pointer == "/value");
}

TEST_CASE("a separator has the escapes of C, and any colons") {
  CHECK(spec_of("concat:\\n--\\t\\r\\\\").separator == "\n--\t\r\\");
  CHECK(spec_of("concat:a:b").separator == "a:b");
  CHECK(spec_of("concat:\n").separator == "\n");
  CHECK(refused("concat:\\x") ==
        "the separator \"\\\\x\" has a \\ before something else than n, r, t or \\");
  CHECK(refused("concat:\\").find("something else") != std::string::npos);
}

TEST_CASE("what is no merge is refused with what was meant") {
  CHECK(refused("topk:score") == "\"topk\" is no merge (did you mean \"top-k\"?)");
  CHECK(refused("arrray") == "\"arrray\" is no merge (did you mean \"array\"?)");
  CHECK(refused("").starts_with("\"\" is no merge (there are concat, array,"));
  CHECK(refused("mean") != "");
  CHECK(refused("top-k:itmes=/hits") ==
        "\"itmes\" is no field of a merge (did you mean \"items\"?)");
  CHECK(refused("array:x") == "array has no parameters, so \"x\" means nothing");
  CHECK(refused("array:key=x") == "array has no key");
  CHECK(refused("sum:key=x") == "sum has no key");
  CHECK(refused("sum:5:6") == "sum has one pointer, so \"6\" after \"/5\" means nothing");
  CHECK(refused("sorted:ts:dedup=id") == "sorted has no dedup");
  CHECK(refused("sorted:k=3") == "sorted has no k");
  CHECK(refused("quorum:items=x") == "quorum has no items");
  CHECK(refused("top-k:score:0") == "k must be a number from 1 to k-max (10000), not 0");
  CHECK(refused("top-k:score:10001") == "k must be a number from 1 to k-max (10000), not 10001");
  CHECK(refused("top-k:99999999999") ==
        "K must be a number from 1 to 1000000, not \"99999999999\"");
  CHECK(refused("top-k:k-max=1000001") == "k-max must be a number from 1 to 1000000, not 1000001");
  CHECK(refused("top-k:k=x") == "k must be a number from 1 to 1000000, not \"x\"");
  CHECK(refused("array:validate=maybe") == "validate must be yes or no, not \"maybe\"");
  CHECK(refused("sum:/a~b").starts_with("pointer: \"/a~b\" is not a JSON pointer"));
}

TEST_CASE("fields that were set one by one are checked together") {
  MergeSpec spec;
  CHECK(spec.check());
  spec.separator = ",";
  CHECK(spec.check().error().text() == "array has no separator");
  spec.kind = MergeKind::concat;
  CHECK(spec.check());
  spec = {};
  spec.kind = MergeKind::union_;
  spec.key = "id";
  spec.items = "hits";
  REQUIRE(spec.check());
  CHECK(spec_of(spec.to_string()).items == "/hits");
  CHECK(make_merge(spec, 1, 1) != nullptr);
  spec.k_query = "size";
  CHECK(spec.check().error().text() == "union has no k");
}

TEST_CASE("what the query asks of top-k is cut to k-max") {
  const MergeSpec spec = spec_of("top-k:2:k-max=3");
  auto merge = make_merge(spec, 1, 1000);
  REQUIRE(feed(*merge, {0, "[1,2,3,4,5]"}));
  CHECK(merge->finish().body == "[5,4,3]");
  merge = make_merge(spec, 1, 0);
  REQUIRE(feed(*merge, {0, "[1,2,3,4,5]"}));
  CHECK(merge->finish().body == "[]");
}
