// Keeps a pool's list of servers up to date from DNS or a file.
//
//   ask --> good answer --> changed? on_servers --> ask again after the TTL, or when the file
//   changes
//    ^ |
//    | +--> no answer, empty, bad --> on_discovery_failed, once per reason
//    +--------------------------------- again after 1 s x1.5 up to 30 s, 20 % jitter
//
// The last good list stays until a better one comes: a resolver that is down takes no cache away.
// Cost: one question per TTL; nothing per request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/timer.hpp"
#include "io/dns.hpp"
#include "io/files.hpp"
#include "manage/role.hpp"
#include "roles/shard_proxy/server_list.hpp"
#include "roles/shard_proxy/server_source.hpp"

namespace consort::shard_proxy {

/// One source under watch. Belongs to the role's thread; nothing here blocks but reading the file.
class Discovery final : private io::DnsHandler<io::DnsAddress>,
                        private io::DnsHandler<io::DnsService>,
                        private io::FileHandler {
 public:
  /// Never told within start(). Each telling may destroy the discovery.
  class Watcher {
   public:
    /// Another list than before; the first one too. 1 to kMaxServers, names distinct.
    virtual void on_servers(const std::vector<ServerSpec>& servers) = 0;
    /// Why there is no answer, in one sentence with the source's name.
    virtual void on_discovery_failed(const std::string& why) = 0;
    /// After a failure: the answers are good again, and the same as before it.
    virtual void on_discovery_recovered() {}

   protected:
    ~Watcher() = default;
  };
  /// TTLs are taken to lie between these. A TTL of 0 must not become a storm of questions, one of a
  /// day not a day without new servers.
  static constexpr std::uint64_t kTtlMinMs = 1000;
  static constexpr std::uint64_t kTtlMaxMs = 60'000;
  static constexpr std::uint64_t kRetryMinMs = 1000;
  static constexpr std::uint64_t kRetryMaxMs = 30'000;
  static constexpr Millis kQuestionTime{5000};

  Discovery(const Services& services, const ServerSource& source, Watcher& watcher);
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  /// Asks for the first time, and goes on until destroyed. Call once.
  void start();
  const ServerSource& source() const { return source_; }

 private:
  void ask();
  void read_servers();
  void on_resolved(Result<std::vector<io::DnsAddress>> answer) override;
  void on_resolved(Result<std::vector<io::DnsService>> answer) override;
  void on_file_changed() override;
  void ask_again_after(std::uint64_t wait_ms);
  Result<std::vector<ServerSpec>> named(Result<std::vector<ServerSpec>> found) const;
  // The last two tell the watcher, and nothing of this object may be touched after them.
  void take(Result<std::vector<ServerSpec>> found);
  void fail_with(const std::string& why);

  const Services& services_;
  const ServerSource source_;
  Watcher& watcher_;
  Counter& failures_;
  std::optional<std::vector<ServerSpec>> servers_;  ///< as last told
  std::string told_why_;                            ///< empty while the answers are good
  std::uint64_t retry_ms_ = kRetryMinMs;
  Timer again_;
  std::unique_ptr<io::DnsQuery> query_;
  std::unique_ptr<io::FileWatch> watch_;
};

}  // namespace consort::shard_proxy
