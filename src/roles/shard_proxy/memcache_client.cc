#include "roles/shard_proxy/memcache_client.hpp"

#include <algorithm>

#include "roles/shard_proxy/link.hpp"
#include "roles/shard_proxy/pool.hpp"

namespace consort::shard_proxy {

using memcache::Command;

namespace {

constexpr std::string_view kNotShared =
    "SERVER_ERROR not available through a shared connection\r\n";

}  // namespace

Client::Taken MemcacheClient::take_request(std::string_view bytes) {
  switch (parser_.parse(bytes)) {
    case memcache::Progress::more:
      return {Parsed::more};
    case memcache::Progress::error:
      pool().metrics().parse_errors.add();
      return {Parsed::closing, bytes.size()};
    case memcache::Progress::done:
      break;
  }
  Taken taken{Parsed::request, parser_.size()};
  bytes_ = bytes.substr(0, parser_.size());
  if (!parser_.error_reply().empty()) {
    if (!parser_.quiet()) answer_error(parser_.error_reply());
    discard(parser_.to_discard());
  } else {
    taken.parsed = route();
  }
  parser_.reset();
  return taken;
}

Client::Parsed MemcacheClient::route() {
  pool().count_command(parser_.command());
  switch (parser_.command()) {
    case Command::quit:
      return Parsed::closing;
    case Command::meta_noop:
      answer("MN\r\n");
      break;
    case Command::shutdown:
      answer_error("ERROR: shutdown not enabled\r\n");
      break;
    case Command::version:
      if (pool().servers() == 1) {
        forward(pool().link(0, *this, Dialect::memcache), "version\r\n");
      } else {
        gather_from_every_server<VersionGather>("version\r\n", kUnfiltered);
      }
      break;
    case Command::flush_all:
    case Command::verbosity:
    case Command::cache_memlimit:
    case Command::admin:
      route_to_every_server();
      break;
    case Command::stats:
      route_stats();
      break;
    case Command::watch:
    case Command::dump:
      if (!parser_.quiet()) answer_error(kNotShared);
      break;
    case Command::unknown:
      answer_error("ERROR\r\n");
      break;
    default:
      if (memcache::is_retrieval(parser_.command())) {
        route_retrieval();
      } else {
        route_one_key();
      }
  }
  return Parsed::request;
}

void MemcacheClient::route_stats() {
  StatsQuery query = stats_query(word_or_nothing(1), word_or_nothing(2), word_or_nothing(3));
  if (query.kind == StatsKind::endless) {
    // A STAT line without the END of all others: the next client's reply would be taken for the
    // rest of it. A request that makes an END follow is no way out, since a server that does not
    // know these forms would then answer twice.
    answer_error(kNotShared);
  } else if (pool().servers() == 1) {
    forward(pool().link(0, *this, Dialect::memcache), forwardable());
  } else if (query.kind == StatsKind::settings) {
    forward(pool().link(pool().any_server(), *this, Dialect::memcache), forwardable());
  } else if (query.kind == StatsKind::order) {
    route_to_every_server();
  } else {
    gather_from_every_server<StatsGather>(std::string(forwardable()), kUnfiltered, query);
  }
}

void MemcacheClient::route_one_key() {
  std::uint32_t server = pool().server_of(key_for_placement(word(parser_.first_key())));
  if (parser_.quiet() && may_create()) {
    route_quiet_creation(server);
  } else {
    forward(pool().link(server, *this, Dialect::memcache), forwardable(), filter_kind(),
            miss_kind());
  }
}

// `ma` with the flag N.
bool MemcacheClient::may_create() const {
  if (parser_.command() != Command::meta_arithmetic) return false;
  for (std::size_t i = 2; i < parser_.words(); ++i) {
    if (word(i).front() == 'N') return true;
  }
  return false;
}

void MemcacheClient::route_quiet_creation(std::uint32_t server) {
  std::string question = "me ";
  question.append(word(parser_.first_key())).append(parser_.base64_key() ? " b\r\n" : "\r\n");
  std::uint32_t slot = open_slot();
  Gather& gather = adopt(slot, std::make_unique<QuietCreationGather>(*this, slot, 2));
  Link& link = pool().link(server, *this, Dialect::memcache);
  link.send(question, gather, 0);
  link.send(forwardable(), gather, 1);
}

void MemcacheClient::route_retrieval() {
  std::size_t first = parser_.first_key();
  std::size_t last = parser_.last_key();
  std::uint32_t owner = pool().server_of(word(first));
  bool is_split = false;
  key_servers_.clear();
  key_servers_.push_back(owner);
  for (std::size_t i = first + 1; i < last; ++i) {
    key_servers_.push_back(pool().server_of(word(i)));
    is_split = is_split || key_servers_.back() != owner;
  }
  if (!is_split) {
    forward(pool().link(owner, *this, Dialect::memcache), forwardable(), kUnfiltered, miss_kind());
    return;
  }
  // What stands before the keys is the same for every part: "get", or "gat EXPTIME".
  std::string head;
  for (std::size_t i = 0; i < first; ++i) head.append(i == 0 ? "" : " ").append(word(i));
  constexpr std::uint32_t kNoPart = ~std::uint32_t{0};
  std::vector<std::uint32_t> part_of_server(pool().servers(), kNoPart);
  std::vector<std::pair<std::uint32_t, std::string>> parts;
  std::vector<RetrievalGather::Key> keys;
  keys.reserve(last - first);
  for (std::size_t i = first; i < last; ++i) {
    std::uint32_t server = key_servers_[i - first];
    std::uint32_t& part = part_of_server[server];
    if (part == kNoPart) {
      part = static_cast<std::uint32_t>(parts.size());
      parts.emplace_back(server, head);
    }
    parts[part].second.append(" ").append(word(i));
    keys.push_back({part, std::string(word(i))});
  }
  pool().metrics().split_requests.add();
  std::uint32_t slot = open_slot();
  auto count = static_cast<std::uint32_t>(parts.size());
  Gather& gather = adopt(
      slot, std::make_unique<RetrievalGather>(
                *this, slot, count, std::move(keys),
                pool().reads_miss() ? PartialMultiget::miss : pool().config().partial_multiget));
  for (std::uint32_t i = 0; i < count; ++i) {
    parts[i].second.append("\r\n");
    pool().link(parts[i].first, *this, Dialect::memcache).send(parts[i].second, gather, i);
  }
}

void MemcacheClient::route_to_every_server() {
  if (pool().servers() == 1) {
    forward(pool().link(0, *this, Dialect::memcache), forwardable(), filter_kind());
    return;
  }
  gather_from_every_server<EveryServerGather>(std::string(forwardable()), filter_kind());
}

template <class Kind, class... More>
void MemcacheClient::gather_from_every_server(std::string request, std::uint8_t filter_kind,
                                              More... more) {
  if (pool().servers() == 0) {
    forward(pool().link(Placement::kNoServer, *this, Dialect::memcache), request, filter_kind);
    return;
  }
  std::uint32_t slot = open_slot(filter_kind);
  Gather& gather = adopt(slot, std::make_unique<Kind>(*this, slot, pool().servers(), more...));
  for (std::uint32_t i = 0; i < pool().servers(); ++i) {
    pool().link(i, *this, Dialect::memcache).send(request, gather, i);
  }
}

void MemcacheClient::answer_error(std::string_view line) {
  pool().metrics().client_errors.add();
  answer(line);
}

// `mg Zm9v b` and `get foo` must meet on one server, so the decoded key is what counts.
std::string_view MemcacheClient::key_for_placement(std::string_view key) {
  if (!parser_.base64_key()) return key;
  return memcache::decode_base64(key, decoded_key_) ? std::string_view(decoded_key_) : key;
}

std::string_view MemcacheClient::forwardable() {
  if (parser_.is_canonical()) return bytes_;
  rebuilt_.clear();
  parser_.append_forward(rebuilt_, bytes_);
  return rebuilt_;
}

std::uint8_t MemcacheClient::miss_kind() const {
  if (!pool().reads_miss()) return kNoMiss;
  if (parser_.command() == Command::meta_get) return kNotFound;
  return memcache::is_retrieval(parser_.command()) ? kEnd : kNoMiss;
}

std::string_view MemcacheClient::miss_reply(std::uint8_t kind) const {
  return kind == kNotFound ? "EN\r\n" : "END\r\n";
}

std::uint8_t MemcacheClient::filter_kind() const {
  if (!parser_.quiet()) return kUnfiltered;
  switch (parser_.command()) {
    case Command::meta_get:
      return kQuietGet;
    case Command::meta_set:
    case Command::meta_delete:
    case Command::meta_arithmetic:
      return kQuietChange;
    case Command::meta_debug:
      return kUnfiltered;
    default:
      return kNoReply;
  }
}

std::string MemcacheClient::failure_reply(const Failure& failure) const {
  return memcache_failure_line(failure);
}

// As 1.6.18 does: noreply silences every answer, errors too; q silences the ordinary one, which is
// a miss for mg, and for the others success, even when it brings the value that `ma` was asked for.
std::string_view MemcacheClient::filter(std::uint8_t kind, std::string_view reply) const {
  std::string_view answer = reply.substr(0, 2);
  bool is_hidden = kind == kNoReply || (kind == kQuietGet && answer == "EN") ||
                   (kind == kQuietChange && (answer == "HD" || answer == "VA"));
  return is_hidden ? std::string_view() : reply;
}

}  // namespace consort::shard_proxy
