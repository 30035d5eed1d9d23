// Keeps a root's topology up to date from flags, a file, or DNS.
//
//   file:/etc/shards.yaml, /etc/shards.yaml    topology_file.hpp; also behind a ConfigMap's ..data
//   dns://leaf.local:80                        each address is a shard: s0, s1, ... by address
//   dns://leaf.local:80?as=replicas            one shard s0, each address a replica of it
//   srv://_http._tcp.leaf.local?as=shards      the same of SRV records, by target and port
//   ...?as=shards&scheme=https&path=/search    for both; the leaf sees the DNS name as its Host
//
// `dns:NAME:PORT` and `srv:NAME` are read as well. The last good topology stays until a better one
// comes; TTLs, retries and files are net/record_watch's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/timer.hpp"
#include "base/options.hpp"
#include "io/dns.hpp"
#include "manage/role.hpp"
#include "net/record_source.hpp"
#include "net/record_watch.hpp"
#include "net/url.hpp"
#include "roles/gather/topology.hpp"

namespace consort::gather {

/// Where a topology comes from when no --leaf lists it.
struct TopologyOrigin {
  enum class As : std::uint8_t { shards, replicas };

  RecordSource records;
  As as = As::shards;                                  ///< dns and srv only
  http::Url::Scheme scheme = http::Url::Scheme::http;  ///< dns and srv only: http or https
  std::string path_prefix;                             ///< dns and srv only: "" or "/search"

  /// One of the forms above. An error is one sentence that says what is wrong and what is right.
  static Result<TopologyOrigin> parse(std::string_view text);
  std::string to_string() const;
  friend bool operator==(const TopologyOrigin&, const TopologyOrigin&) = default;
};

/// Pure, for tests and --check-config; the epoch is 0. Records of a lower priority number come
/// first; with as=shards only the lowest are shards, for nobody can say whose data the others hold.
Result<Topology> topology_of(const std::vector<io::DnsAddress>& answer, const TopologyOrigin& from);
Result<Topology> topology_of(const std::vector<io::DnsService>& answer, const TopologyOrigin& from);

/// One source under watch. Belongs to the role's thread; nothing here blocks but reading the file.
class TopologySource final : private RecordWatch::Handler {
 public:
  /// Never told within start(). Each telling may destroy the source.
  class Watcher {
   public:
    /// Another topology than before; the first one too.
    virtual void on_topology(std::shared_ptr<const Topology> topology) = 0;
    /// Why there is no good answer, in one line with the source's name; once per reason.
    virtual void on_topology_failed(const std::string& why) = 0;
    /// After a failure: the answers are good again, and the same as before it.
    virtual void on_topology_recovered() {}

   protected:
    ~Watcher() = default;
  };

  TopologySource(const Services& services, TopologyOrigin origin, Watcher& watcher);
  /// Of flags: told once, as epoch 1.
  TopologySource(const Services& services, Topology fixed, Watcher& watcher);
  TopologySource(const TopologySource&) = delete;
  TopologySource& operator=(const TopologySource&) = delete;

  /// Asks for the first time, and goes on until destroyed. Call once.
  void start();
  /// As last told; null before.
  const std::shared_ptr<const Topology>& current() const { return current_; }
  /// "dns://leaf.local:80", "/etc/shards.yaml", "--leaf".
  std::string name() const;

 private:
  Result<RecordWatch::News> on_records(const Records& records) override;
  void on_records_changed() override;
  void on_records_failed(const std::string& why) override;
  void on_records_recovered() override;
  Result<Topology> read(const Records& records) const;

  const Services& services_;
  Watcher& watcher_;
  const std::optional<TopologyOrigin> origin_;  ///< none for flags
  Topology next_;                               ///< as read, before it is told
  std::optional<Topology> as_read_;  ///< what was told last, with the epoch that it said itself
  std::shared_ptr<const Topology> current_;
  std::optional<RecordWatch> watch_;  ///< none for flags
  Timer soon_;
};

}  // namespace consort::gather

namespace consort {
template <>
struct Choices<gather::TopologyOrigin::As> {
  static constexpr std::string_view names[] = {"shards", "replicas"};
};
template <>
struct Text<gather::TopologyOrigin> : PlainText<gather::TopologyOrigin> {
  static constexpr std::string_view kind = "topology";
  static Result<gather::TopologyOrigin> parse(std::string_view text) {
    return gather::TopologyOrigin::parse(text);
  }
  static std::string print(const gather::TopologyOrigin& origin) { return origin.to_string(); }
};
}  // namespace consort
