#include <doctest/doctest.h>

#include <string>

#include "roles/logsaver/facts.hpp"

namespace consort::logsaver {
namespace {

constexpr std::uint64_t kStateId = 0x4f2a'9c01'd3b7'e655;
constexpr const char* kPod = "/var/log/pods/shop_web-1_3a6f3f2e-8c3b-4d9f-9b1e-2f3c4d5e6f70/nginx/";
constexpr const char* kPodMembers =
    R"("host":"h","namespace":"shop","pod":"web-1","pod_uid":"3a6f3f2e-8c3b-4d9f-9b1e-2f3c4d5e6f70",)"
    R"("container":"nginx")";

TailFacts facts_of(const std::string& origin, const FactRules& rules) {
  TailRecord tail;
  tail.id = 17;
  tail.origin = origin;
  return make_facts(rules, kStateId, tail);
}

TEST_CASE("a file is named in JSON, with the labels") {
  const TailFacts facts = facts_of("/logs/a\".log", {.labels = {{"team", "x"}}, .host = "h"});
  CHECK(facts.id == "4f2a9c01d3b7e655-17");
  CHECK(facts.file == "/logs/a\".log");
  CHECK(facts.json_members == R"("file":"/logs/a\".log","team":"x","host":"h")");
}

TEST_CASE("a path whose names are all told is not said again") {
  const TailFacts facts = facts_of(kPod + std::string("0.log"), {.labels = {}, .host = "h"});
  CHECK(facts.file == kPod + std::string("0.log"));
  CHECK(facts.json_members == kPodMembers);
  const std::string id(64, 'a');
  const TailFacts link =
      facts_of("/var/log/containers/web-1_shop_nginx-" + id + ".log", {.labels = {}, .host = ""});
  CHECK(link.json_members ==
        R"("namespace":"shop","pod":"web-1","container":"nginx","container_id":")" + id + '"');
}

TEST_CASE("a container that was restarted says how often") {
  const TailFacts facts = facts_of(kPod + std::string("3.log"), {.labels = {}, .host = "h"});
  CHECK(facts.json_members == R"("restarts":3,)" + std::string(kPodMembers));
}

TEST_CASE("a path stays where a label hides one of its names, or nobody asked for them") {
  const std::string path = kPod + std::string("0.log");
  const TailFacts hidden = facts_of(path, {.labels = {{"pod", "mine"}}, .host = ""});
  CHECK(hidden.json_members.starts_with("\"file\":\"" + path + "\",\"pod\":\"mine\","));
  const TailFacts unasked = facts_of(path, {.labels = {}, .host = "", .kubernetes = false});
  CHECK(unasked.json_members == "\"file\":\"" + path + '"');
}

}  // namespace
}  // namespace consort::logsaver
