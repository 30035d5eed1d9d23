// The real resolver: c-ares on our loop, so that a slow DNS server never blocks anything.
//
// resolv.conf is looked at (one stat) before each question and read again when it changed; c-ares
// itself reads /etc/hosts, nsswitch.conf and the search list. Answers are not cached: callers know
// from the TTL when to ask again. A and AAAA are two questions, and the answer waits for both: a
// server that drops one of them costs the whole timeout (c-ares' limitation).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/dns.hpp"
#include "io/dns/channel.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

/// Costs nothing before the first question that needs a server. Queries may outlive it: they end
/// as cancelled. IP literals and localhost have the TTL kFixedTtlS; names from hosts files have 0.
class CaresDns final : public Dns {
 public:
  static constexpr std::size_t kQuestionsMax = 4096;  ///< open at once; more are Errc::limit
  static constexpr std::uint32_t kFixedTtlS = 86'400;

  explicit CaresDns(UvLoop& loop, CaresOptions options = {});
  ~CaresDns() override;
  CaresDns(const CaresDns&) = delete;
  CaresDns& operator=(const CaresDns&) = delete;

  std::unique_ptr<DnsQuery> resolve(const std::string& name, std::chrono::milliseconds timeout,
                                    DnsHandler<DnsAddress>& handler) override;
  std::unique_ptr<DnsQuery> resolve_service(const std::string& name,
                                            std::chrono::milliseconds timeout,
                                            DnsHandler<DnsService>& handler) override;

 private:
  /// Tells one state of resolv.conf from another; a mounted ConfigMap changes the inode.
  struct FileStamp {
    std::int64_t modified_ns = 0;
    std::int64_t size = -1;
    std::uint64_t inode = 0;
    friend bool operator==(const FileStamp&, const FileStamp&) = default;
  };
  static FileStamp stamp_of(const std::string& path);

  /// The channel for a new question; opened or replaced as needed.
  Result<CaresChannel*> channel_for(const std::string& name);

  UvLoop& loop_;
  CaresOptions options_;
  FileStamp resolv_conf_;
  // The last one takes new questions; the others finish theirs with the resolv.conf they knew.
  std::vector<std::unique_ptr<CaresChannel>> channels_;
};

}  // namespace consort::io
