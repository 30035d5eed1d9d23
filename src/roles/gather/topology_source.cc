#include "roles/gather/topology_source.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "net/records.hpp"
#include "roles/gather/topology_file.hpp"

namespace consort::gather {
namespace {

constexpr std::string_view kForms =
    "write a path, file:PATH, dns://NAME:PORT[?as=shards|replicas] or "
    "srv://_SERVICE._tcp.NAME[?as=shards|replicas]";

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  std::string message = in_quotes(text) + " is not a topology: ";
  message.append(why).append(" (").append(kForms);
  return fail(Errc::invalid, message + ")");
}

/// A path may hold a ':' behind its first '/', but not before: that is a kind or a host.
bool is_bare_path(std::string_view text) {
  const std::string_view front = text.substr(0, std::min(text.find('/'), text.size()));
  return !text.empty() && front.find(':') == front.npos;
}

Result<> set_parameter(TopologyOrigin& origin, std::string_view name, std::string_view value) {
  if (name == "as") {
    Result<TopologyOrigin::As> as = Text<TopologyOrigin::As>::parse(value);
    if (!as) return fail(Errc::invalid, "as: " + as.error().text());
    origin.as = *as;
  } else if (name == "scheme") {
    if (value != "http" && value != "https") {
      return fail(Errc::invalid, "scheme: " + in_quotes(value) + " is not http or https");
    }
    origin.scheme = value == "https" ? http::Url::Scheme::https : http::Url::Scheme::http;
  } else if (name == "path") {
    const Result<http::Url> url = http::Url::parse("http://a" + std::string(value));
    if (!value.starts_with('/') || !url) {
      return fail(Errc::invalid, "path: " + in_quotes(value) + " is not a path as /search");
    }
    origin.path_prefix = url->path_prefix;
  } else {
    return fail(Errc::invalid, "after \"?\" only as=, scheme= and path= may stand, joined by &");
  }
  return {};
}

/// As http::Url reads it, so that equal places are equal values.
Result<http::Url> url_of(const TopologyOrigin& origin, const std::string& host,
                         std::uint16_t port) {
  Address address;
  address.host = host;
  address.port = port;
  const bool is_https = origin.scheme == http::Url::Scheme::https;
  return http::Url::parse((is_https ? "https://" : "http://") + address.to_string() +
                          origin.path_prefix);
}

/// A place found in DNS, before it is a shard or a replica.
struct Found {
  ReplicaSpec replica;
  std::string name;  ///< that it sorts by
};

/// Sorted and without duplicates, so that the order of an answer means nothing.
Result<Topology> assemble(std::vector<Found> found, TopologyOrigin::As as) {
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    if (a.name == b.name) {
      return std::pair(a.replica.priority, a.replica.weight) <
             std::pair(b.replica.priority, b.replica.weight);
    }
    return natural_less(a.name, b.name);
  });
  const auto last = std::unique(found.begin(), found.end(),
                                [](const Found& a, const Found& b) { return a.name == b.name; });
  found.erase(last, found.end());
  Topology topology;
  if (as == TopologyOrigin::As::shards && found.size() > kMaxShards) {
    return fail(Errc::limit, "the answer has more than " + std::to_string(kMaxShards) + " shards");
  }
  for (Found& each : found) {
    if (as == TopologyOrigin::As::shards || topology.shards.empty()) {
      std::string id = default_shard_id(topology.shards.size());
      topology.shards.emplace_back().id = std::move(id);
    }
    ShardSpec& shard = topology.shards.back();
    if (as == TopologyOrigin::As::shards) shard.weight = std::exchange(each.replica.weight, 1);
    if (auto added = add_replica(shard, std::move(each.replica)); !added) {
      return fail(std::move(added.error()));
    }
  }
  return topology;
}

}  // namespace

Result<TopologyOrigin> TopologyOrigin::parse(std::string_view text) {
  TopologyOrigin origin;
  std::string with_kind(text);
  if (is_bare_path(text)) with_kind.insert(0, text.starts_with('/') ? "file://" : "file:");
  Result<RecordSource> records = RecordSource::parse(with_kind);
  if (!records) return refuse(text, records.error().text());
  std::string_view rest = records->parameters;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto set = set_parameter(origin, pair.substr(0, equals),
                             pair.substr(std::min(equals + 1, pair.size())));
    if (!set) return refuse(text, set.error().text());
  }
  records->parameters.clear();
  origin.records = std::move(*records);
  return origin;
}

std::string TopologyOrigin::to_string() const {
  std::string text = records.to_string();
  if (records.kind == RecordSource::Kind::file) return text;
  char separator = '?';
  auto add = [&](std::string_view name, std::string_view value) {
    text.append(1, std::exchange(separator, '&')).append(name).append("=").append(value);
  };
  if (as != As::shards) add("as", Text<As>::print(as));
  if (scheme == http::Url::Scheme::https) add("scheme", "https");
  if (!path_prefix.empty()) add("path", path_prefix);
  return text;
}

Result<Topology> topology_of(const std::vector<io::DnsAddress>& answer,
                             const TopologyOrigin& from) {
  if (answer.empty()) return fail(Errc::not_found, "the answer is empty");
  const Result<http::Url> named = url_of(from, from.records.target, from.records.port);
  if (!named) return fail(named.error().clone());
  std::vector<Found> found;
  for (const io::DnsAddress& address : answer) {
    Result<http::Url> url = url_of(from, address.ip, from.records.port);
    if (!url) return fail(std::move(url.error()));
    Found each;
    each.name = url->address.to_string();
    each.replica.url = std::move(*url);
    // A leaf behind a virtual host, or with a certificate, goes by the name that was asked for.
    each.replica.url.host_header = named->host_header;
    found.push_back(std::move(each));
  }
  return assemble(std::move(found), from.as);
}

Result<Topology> topology_of(const std::vector<io::DnsService>& answer,
                             const TopologyOrigin& from) {
  Result<std::vector<io::DnsService>> usable = usable_services(answer);
  if (!usable) return fail(std::move(usable.error()));
  std::map<std::uint16_t, std::vector<io::DnsService>> by_priority;
  for (io::DnsService& record : *usable) by_priority[record.priority].push_back(std::move(record));
  std::vector<Found> found;
  for (const auto& [priority, records] : by_priority) {
    const std::uint32_t divisor = weight_divisor(records);
    for (const io::DnsService& record : records) {
      Result<http::Url> url = url_of(from, record.target, record.port);
      if (!url) return fail(std::move(url.error()));
      Found each;
      each.name = url->address.to_string();
      each.replica.url = std::move(*url);
      each.replica.priority = priority;
      const std::uint32_t weight = divisor == 0 ? 1 : record.weight / divisor;
      each.replica.weight = std::min(weight, kMaxReplicaWeight);
      found.push_back(std::move(each));
    }
    if (from.as == TopologyOrigin::As::shards) break;
  }
  return assemble(std::move(found), from.as);
}

TopologySource::TopologySource(const Services& services, TopologyOrigin origin, Watcher& watcher)
    : services_(services),
      watcher_(watcher),
      origin_(std::move(origin)),
      soon_(services.loop.timers(), nullptr, nullptr) {
  RecordWatch::Handler& handler = *this;
  watch_.emplace(
      RecordEffects{services.loop, services.dns, services.files, services.random, services.metrics},
      RecordWatch::Settings{origin_->records, origin_->to_string(), kMaxTopologyFileBytes},
      handler);
}

TopologySource::TopologySource(const Services& services, Topology fixed, Watcher& watcher)
    : services_(services),
      watcher_(watcher),
      next_(std::move(fixed)),
      soon_(
          services.loop.timers(),
          [](void* self) { static_cast<TopologySource*>(self)->on_records_changed(); }, this) {}

void TopologySource::start() {
  if (watch_) {
    watch_->start();
  } else {
    soon_.arm_at(services_.loop.now_ms());
  }
}

std::string TopologySource::name() const {
  return origin_ ? origin_->to_string() : "--leaf";
}

Result<Topology> TopologySource::read(const Records& records) const {
  switch (origin_->records.kind) {
    case RecordSource::Kind::dns:
      return topology_of(records.addresses, *origin_);
    case RecordSource::Kind::srv:
      return topology_of(records.services, *origin_);
    case RecordSource::Kind::file:
      break;
  }
  return read_topology_file(records.text, origin_->records.target);
}

Result<RecordWatch::News> TopologySource::on_records(const Records& records) {
  Result<Topology> found = read(records);
  if (!found) return fail(std::move(found.error()));
  if (as_read_ && *as_read_ == *found) return RecordWatch::News::same;
  next_ = std::move(*found);
  return RecordWatch::News::changed;
}

void TopologySource::on_records_changed() {
  auto made = std::make_shared<Topology>(next_);
  as_read_ = std::move(next_);
  if (made->epoch == 0) made->epoch = current_ ? current_->epoch + 1 : 1;
  current_ = std::move(made);
  const std::shared_ptr<const Topology> told = current_;  // the telling may destroy this
  watcher_.on_topology(told);
}

void TopologySource::on_records_failed(const std::string& why) {
  watcher_.on_topology_failed(why);
}

void TopologySource::on_records_recovered() {
  watcher_.on_topology_recovered();
}

}  // namespace consort::gather
