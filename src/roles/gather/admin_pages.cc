#include "roles/gather/admin_pages.hpp"

#include "base/json_writer.hpp"
#include "manage/admin_guard.hpp"

namespace consort::gather {
namespace {

void put_percentile(JsonWriter& json, std::string_view name, ReplicaStats& stats, double p,
                    std::uint64_t now_ms) {
  json.key(name);
  if (const auto us = stats.percentile_us(p, now_ms)) {
    json.value(static_cast<double>(*us) / 1000);
  } else {
    json.null();
  }
}

std::string_view state_of(const ReplicaStats& stats, std::uint64_t now_ms) {
  if (stats.is_drained()) return "drained";
  if (stats.is_ejected(now_ms)) return "ejected";
  return stats.is_warm() ? "ok" : "new";
}

void put_replica(JsonWriter& json, const ReplicaSpec& spec, Backend& backend,
                 std::uint64_t now_ms) {
  ReplicaStats& stats = backend.stats();
  const http::Pool::Stats pool = backend.pool().stats();
  json.begin_object();
  json.key("url").value(backend.name()).key("state").value(state_of(stats, now_ms));
  json.key("weight").value(spec.weight).key("zone").value(spec.zone);
  json.key("priority").value(spec.priority);
  json.key("in_flight").value(stats.inflight()).key("waiting").value(backend.waiting());
  put_percentile(json, "p50_ms", stats, 0.50, now_ms);
  put_percentile(json, "p95_ms", stats, 0.95, now_ms);
  put_percentile(json, "p99_ms", stats, 0.99, now_ms);
  json.key("failure_share").value(stats.failure_share(now_ms));
  json.key("failures_in_a_row").value(stats.tally().consecutive_errors);
  json.key("ejected_for_s");
  if (stats.is_ejected(now_ms)) {
    json.value(static_cast<double>(stats.ejected_until_ms() - now_ms) / 1000);
    if (stats.eject_reason()) json.key("ejected_because").value(to_string(*stats.eject_reason()));
  } else {
    json.null();
  }
  json.key("connections").begin_object();
  json.key("idle").value(pool.idle).key("busy").value(pool.busy);
  json.key("opened").value(pool.connects_total).key("failed").value(pool.connect_failures_total);
  json.end_object().end_object();
}

AdminAnswer topology(const Root& root, const std::string& source, std::uint64_t now_ms) {
  AdminAnswer answer;
  const auto& generation = root.epoch()->generation;
  if (!generation) {
    return admin_error(503, "no_topology", "the leaves are not known yet", "see /logs for why");
  }
  JsonWriter json(1);
  json.begin_object();
  json.key("epoch").value(generation->topology->epoch).key("source").value(source);
  json.key("shards").begin_array();
  for (const Shard& shard : generation->shards) {
    json.begin_object().key("id").value(shard.spec->id).key("weight").value(shard.spec->weight);
    json.key("leaves").value(shard.last_total);
    json.key("replicas").begin_array();
    for (std::size_t i = 0; i < shard.replicas.size(); ++i) {
      put_replica(json, shard.spec->replicas[i], *shard.replicas[i], now_ms);
    }
    json.end_array().end_object();
  }
  json.end_array().end_object();
  answer.content_type = "application/json";
  answer.body = json.take() + "\n";
  return answer;
}

AdminAnswer set_drained(const AdminQuestion& question, Root& root, bool is_drained) {
  const std::string url = question.query_value("url");
  const auto backend = root.backends().find(url);
  if (!backend) {
    return admin_error(404, "unknown_replica", "no replica has the URL " + in_quotes(url),
                       "GET /topology lists them; ?url= wants it as it stands there");
  }
  backend->stats().set_drained(is_drained);
  if (is_drained) {
    backend->pool().close_idle();
  } else {
    backend->stats().restore();
  }
  root.state().services.log.info(is_drained ? "replica.drained" : "replica.restored",
                                 {{"replica", url}, {"by", question.peer.text}});
  AdminAnswer answer;
  answer.content_type = "application/json";
  JsonWriter json;
  json.begin_object().key("url").value(url).key("drained").value(is_drained).end_object();
  answer.body = json.take() + "\n";
  return answer;
}

}  // namespace

AdminAnswer answer_page(const AdminQuestion& question, Root& root, const std::string& source) {
  if (question.path == "/replicas/drain") return set_drained(question, root, true);
  if (question.path == "/replicas/restore") return set_drained(question, root, false);
  if (question.path == "/requests") {
    AdminAnswer answer;
    answer.content_type = "application/json";
    answer.body = root.recorder().to_json();
    return answer;
  }
  return topology(root, source, root.state().services.loop.now_ms());
}

}  // namespace consort::gather
