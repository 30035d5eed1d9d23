// Keeps asking for a list of peers, in DNS or a file, and tells what becomes of the answers.
//
//   ask --> good answer --> changed? on_records_changed --> ask again after the TTL, or when the
//    ^ |                                                    file changes
//    | +--> no answer, empty, bad --> on_records_failed, once per reason
//    +------------------------------- again after 1 s x1.5 up to 30 s, 20 % jitter
//
// What an answer means is the handler's business; it keeps the last good one, so that a resolver
// that is down takes no peer away. Cost: one question per TTL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/timer.hpp"
#include "base/metrics.hpp"
#include "base/options.hpp"
#include "base/random.hpp"
#include "io/dns.hpp"
#include "io/files.hpp"
#include "io/loop.hpp"
#include "net/record_source.hpp"
#include "net/records.hpp"

namespace consort {

/// Every effect that a watch has. Outlives it.
struct RecordEffects {
  io::Loop& loop;
  io::Dns& dns;
  io::Files& files;
  Random& random;
  Registry& metrics;
};

/// One source under watch. Belongs to the loop's thread; nothing here blocks but reading the file.
class RecordWatch final : private io::DnsHandler<io::DnsAddress>,
                          private io::DnsHandler<io::DnsService>,
                          private io::FileHandler {
 public:
  enum class News : bool { same, changed };
  /// Never called within start().
  class Handler {
   public:
    /// What an answer means. When it is good and says something else than the one before, take it
    /// down and answer `changed`. An error's text says why it cannot be used; the source's name is
    /// put in front of it, but of a file's not. Must not destroy the watch: tell in the next call.
    virtual Result<News> on_records(const Records& records) = 0;
    /// on_records answered `changed`. This and the others may destroy the watch.
    virtual void on_records_changed() = 0;
    /// Why there is no answer, in one sentence.
    virtual void on_records_failed(const std::string& why) = 0;
    /// After a failure: the answers are good again, and the same as before it.
    virtual void on_records_recovered() = 0;

   protected:
    ~Handler() = default;
  };
  struct Settings {
    RecordSource source;
    std::string name;  ///< what messages and metrics call the source
    std::size_t file_bytes_max = 1 << 20;
  };
  /// TTLs are taken to lie between these. A TTL of 0 must not become a storm of questions, one of a
  /// day not a day without new peers.
  static constexpr std::uint64_t kTtlMinMs = 1000;
  static constexpr std::uint64_t kTtlMaxMs = 60'000;
  static constexpr std::uint64_t kRetryMinMs = 1000;
  static constexpr std::uint64_t kRetryMaxMs = 30'000;
  static constexpr Millis kQuestionTime{5000};

  RecordWatch(const RecordEffects& effects, Settings settings, Handler& handler);
  RecordWatch(const RecordWatch&) = delete;
  RecordWatch& operator=(const RecordWatch&) = delete;

  /// Asks for the first time, and goes on until destroyed. Call once.
  void start();
  const RecordSource& source() const { return settings_.source; }
  const std::string& name() const { return settings_.name; }

 private:
  void ask();
  void read_file();
  void on_resolved(Result<std::vector<io::DnsAddress>> answer) override;
  void on_resolved(Result<std::vector<io::DnsService>> answer) override;
  void on_file_changed() override;
  void ask_again_after(std::uint64_t wait_ms);
  // These tell the handler, and nothing of this object may be touched after them.
  void take(const Records& records);
  void fail_with(const std::string& why);

  const RecordEffects effects_;
  const Settings settings_;
  Handler& handler_;
  Counter& failures_;
  std::string told_why_;  ///< empty while the answers are good
  std::uint64_t retry_ms_ = kRetryMinMs;
  Timer again_;
  std::unique_ptr<io::DnsQuery> query_;
  std::unique_ptr<io::FileWatch> watch_;
};

}  // namespace consort
