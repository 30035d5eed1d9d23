#include "roles/shard_proxy/discovery.hpp"

#include <utility>

namespace consort::shard_proxy {

Discovery::Discovery(const Services& services, const ServerSource& source, Watcher& watcher)
    : source_(source),
      watcher_(watcher),
      watch_(RecordEffects{services.loop, services.dns, services.files, services.random,
                           services.metrics},
             RecordWatch::Settings{source.records(), source.to_string(), kMaxServerFileBytes},
             *this) {}

Result<std::vector<ServerSpec>> Discovery::servers_in(const Records& records) const {
  switch (source_.kind) {
    case ServerSource::Kind::dns:
      return servers_of(records.addresses, source_.port, source_.weight);
    case ServerSource::Kind::srv:
      return servers_of(records.services);
    case ServerSource::Kind::file:
      break;
  }
  return servers_of(records.text, source_.target);
}

Result<RecordWatch::News> Discovery::on_records(const Records& records) {
  Result<std::vector<ServerSpec>> found = servers_in(records);
  if (!found) return fail(std::move(found.error()));
  if (servers_ && same_servers(*servers_, *found)) return RecordWatch::News::same;
  servers_ = std::move(*found);
  return RecordWatch::News::changed;
}

void Discovery::on_records_changed() {
  const std::vector<ServerSpec> told = *servers_;  // the telling may destroy this
  watcher_.on_servers(told);
}

void Discovery::on_records_failed(const std::string& why) {
  watcher_.on_discovery_failed(why);
}

void Discovery::on_records_recovered() {
  watcher_.on_discovery_recovered();
}

}  // namespace consort::shard_proxy
