#include "roles/shard_proxy/admin_pages.hpp"

#include "base/json_writer.hpp"
#include "manage/admin_guard.hpp"

namespace consort::shard_proxy {
namespace {

std::string_view state_of(const Upstream& server) {
  if (server.is_ejected()) return "ejected";
  switch (server.state()) {
    case Upstream::State::up:
      return "up";
    case Upstream::State::down:
      return "down";
    case Upstream::State::unknown:
      break;
  }
  return "unknown";
}

double seconds(std::uint64_t ms) {
  return static_cast<double>(ms) / 1000;
}

void put_server(JsonWriter& json, Upstream& server, const ServerSpec& spec, std::uint64_t now_ms) {
  UpstreamMetrics& metrics = server.metrics();
  json.begin_object();
  json.key("name").value(spec.name).key("address").value(spec.address.to_string());
  json.key("weight").value(spec.weight).key("state").value(state_of(server));
  json.key("reason").value(server.reason()).key("since_s");
  if (server.changed_ms() == 0) {
    json.null();
  } else {
    json.value(seconds(now_ms - server.changed_ms()));
  }
  json.key("next_probe_s");
  std::uint64_t probe_ms = server.next_probe_ms();
  if (probe_ms == 0) {
    json.null();
  } else {
    json.value(seconds(probe_ms > now_ms ? probe_ms - now_ms : 0));
  }
  json.key("version").value(server.version());
  json.key("connections").value(server.connections());
  json.key("in_flight").value(server.in_flight());
  json.key("unsent_bytes").value(server.unsent_bytes());
  json.key("mean_latency_ms").value(static_cast<double>(server.mean_latency_us()) / 1000);
  json.key("requests").value(metrics.requests.value());
  json.key("responses").value(metrics.responses.value());
  json.key("timeouts").value(metrics.timeouts.value());
  json.key("failures").value(metrics.failures.value());
  json.end_object();
}

void put_pool(JsonWriter& json, const ShownPool& shown, std::uint64_t now_ms) {
  Pool& pool = shown.pool;
  const PoolConfig& config = pool.config();
  json.begin_object().key("name").value(config.name);
  json.key("protocol").value(Text<Protocol>::print(config.protocol));
  json.key("distribution").value(Text<Distribution>::print(config.distribution));
  json.key("hash").value(Text<KeyHash>::print(config.hash));
  json.key("clients").value(pool.metrics().clients.value());
  if (shown.source != nullptr) {
    json.key("servers_from").value(shown.source->source().to_string());
    json.key("source_problem").value(shown.source->problem());
  }
  json.key("servers").begin_array();
  for (std::uint32_t i = 0; i < pool.servers(); ++i) {
    put_server(json, pool.upstream(i), pool.specs()[i], now_ms);
  }
  json.end_array().end_object();
}

AdminAnswer json_answer(JsonWriter& json) {
  AdminAnswer answer;
  answer.content_type = "application/json";
  answer.body = json.take() + "\n";
  return answer;
}

AdminAnswer servers(std::span<const ShownPool> pools, std::uint64_t now_ms) {
  JsonWriter json;
  json.begin_object().key("pools").begin_array();
  for (const ShownPool& shown : pools) put_pool(json, shown, now_ms);
  json.end_array().end_object();
  return json_answer(json);
}

void put_explanation(JsonWriter& json, Pool& pool, const std::string& key) {
  Placement::Explanation why = pool.placement().explain(key);
  json.begin_object().key("pool").value(pool.config().name).key("key").value(key);
  if (why.server >= pool.servers()) {
    bool is_random = pool.config().distribution == Distribution::random && pool.servers() > 0;
    json.key("note").value(is_random ? "distribution random: any server" : "no server has keys");
    json.end_object();
    return;
  }
  json.key("hashed").value(why.hashed);
  if (why.single) {
    json.key("note").value("one server holds all keys: nothing to hash");
  } else {
    json.key("hash").value(why.hash).key("point").value(why.point);
  }
  const ServerSpec& server = pool.specs()[why.server];
  json.key("server").value(server.name).key("address").value(server.address.to_string());
  json.key("state").value(state_of(pool.upstream(why.server))).end_object();
}

AdminAnswer explain(const AdminQuestion& question, std::span<const ShownPool> pools) {
  if (!question.has_query("key")) {
    return admin_error(400, "bad_parameter", "the key is missing", "GET /explain?key=user:1000");
  }
  const std::string key = question.query_value("key");
  const std::string wanted = question.query_value("pool");
  bool is_known = !question.has_query("pool");
  JsonWriter json;
  json.begin_object().key("key").value(key).key("pools").begin_array();
  for (const ShownPool& shown : pools) {
    if (question.has_query("pool") && shown.pool.config().name != wanted) continue;
    put_explanation(json, shown.pool, key);
    is_known = true;
  }
  json.end_array().end_object();
  if (is_known) return json_answer(json);
  return admin_error(404, "not_found", "no such pool: " + in_quotes(wanted),
                     "GET /servers lists all pools");
}

}  // namespace

AdminAnswer answer_page(const AdminQuestion& question, std::span<const ShownPool> pools,
                        std::uint64_t now_ms) {
  if (question.path == "/servers") return servers(pools, now_ms);
  return explain(question, pools);
}

}  // namespace consort::shard_proxy
