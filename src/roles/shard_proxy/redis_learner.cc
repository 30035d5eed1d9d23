#include "roles/shard_proxy/redis_learner.hpp"

#include <charconv>
#include <utility>

#include "roles/shard_proxy/link.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "wire/redis_command_reply.hpp"

namespace consort::shard_proxy {

void RedisLearner::server_is_up(Link& link, const std::string& version) {
  std::string asked = version.empty() ? "unknown" : version;
  if (under_way_ > 0 || asked_version_ == asked) return;
  asked_version_ = std::move(asked);
  for (const Learned& each : learned_) {
    if (each.version != asked_version_) continue;
    commands_ = each.table.get();
    return;
  }
  if (learned_.size() >= kMaxVersions) return;
  under_way_ = 2;
  link.send("*1\r\n$7\r\nCOMMAND\r\n", *this, kCommand);
  link.send("*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$9\r\ndatabases\r\n", *this, kDatabases);
}

void RedisLearner::use_built_in() {
  commands_ = &redis::CommandTable::built_in();
  databases_ = kUsualDatabases;
  asked_version_.clear();
}

void RedisLearner::on_reply(std::uint32_t tag, std::string_view bytes, bool last) {
  if (reply_.size() + bytes.size() <= redis::kMaxCommandReply) reply_.append(bytes);
  if (!last) return;
  --under_way_;
  std::string reply = std::exchange(reply_, {});
  if (tag == kCommand) {
    learn_commands(reply);
  } else {
    learn_databases(reply);
  }
}

// The next server that comes up is asked again.
void RedisLearner::on_failure(std::uint32_t, const Failure&) {
  reply_.clear();
  --under_way_;
  asked_version_.clear();
}

void RedisLearner::learn_commands(std::string_view reply) {
  auto table = redis::CommandTable::learn(reply);
  Logger& log = pool_.services().log;
  const std::string& name = pool_.config().name;
  if (!table) {
    log.warn("commands.not_learned", {{"pool", name}, {"reason", table.error().message()}});
    return;
  }
  commands_ = table->get();
  learned_.push_back({asked_version_, std::move(*table)});
  log.info("commands.learned",
           {{"pool", name}, {"version", asked_version_}, {"commands", commands_->all().size()}});
}

// `["databases", "16"]`; servers that refuse CONFIG have the usual number.
void RedisLearner::learn_databases(std::string_view reply) {
  resp::ArrayReader reader(reply);
  if (!reader.is_array() || reader.size() != 2) return;
  reader.next();
  std::string_view value = reader.next();
  std::size_t start = value.find("\r\n");
  if (start == std::string_view::npos) return;
  std::uint32_t number = 0;
  std::from_chars(value.data() + start + 2, value.data() + value.size(), number);
  if (number > 0) databases_ = number;
}

}  // namespace consort::shard_proxy
