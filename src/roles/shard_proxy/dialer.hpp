// Makes a connection to a server that is ready for requests: resolve, connect, greet.
//
//   dial() --> resolve --> connect --> greet: AUTH, HELLO, SELECT | version --> on_dialed()
//                 |           |          |
//                 +-----------+----------+--> on_dial_failed()
//
// The greeting is proof of life before anybody's request is risked, and sets the connection up.
// AUTH comes before SELECT: the other way round twemproxy wrote to database 0. One dial() takes at
// most connect_timeout to connect and `timeout` in all, since those who wait for the connection
// have no more time than for a reply.
//
// A server that must be emptied before it is used again (flush_on_return) is emptied by the
// greeting of one connection. Any other that stands before that is given up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/timer.hpp"
#include "base/bytes.hpp"
#include "io/dns.hpp"
#include "io/stream.hpp"
#include "roles/shard_proxy/lane.hpp"
#include "wire/memcache.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {

class Upstream;

/// Why a connection to a server ended, in words for a client.
std::string why_it_ended(const Error& why);

class Dialer final : private io::StreamHandler, private io::DnsHandler<io::DnsAddress> {
 public:
  class Owner {
   public:
    /// The greeting is answered and nothing is under way; the owner sets the stream's handler.
    virtual void on_dialed(std::unique_ptr<io::Stream> stream) = 0;
    virtual void on_dial_failed(std::string reason) = 0;

   protected:
    ~Owner() = default;
  };
  /// Bytes of a greeting's reply that are looked at.
  static constexpr std::size_t kMaxReplyBytes = 4096;
  // Reasons that mean silence: the host or the server hangs.
  static constexpr std::string_view kNotConnected = "connecting timed out";
  static constexpr std::string_view kNotGreeted = "timed out";

  Dialer(Upstream& upstream, Lane lane, Owner& owner);
  /// TCP keep-alive whatever the pool says: for connections that may wait for hours.
  void keep_alive() { keep_alive_ = true; }
  /// Its greeting empties the server when that is due. One connection per server does this: a
  /// second one would throw away what clients have written after the first.
  void may_flush() { may_flush_ = true; }

  /// Begins; ends with one call of the owner, never during this one. Not while dialing.
  void dial();
  /// Ends it without a call of the owner.
  void cancel();
  bool dialing() const { return stage_ != Stage::none; }
  /// When the last dial() began.
  std::uint64_t started_ms() const { return started_ms_; }
  /// What the server calls the connection last made (CLIENT ID); 0 when it did not say.
  std::int64_t server_side_id() const { return server_side_id_; }

 private:
  enum class Stage : std::uint8_t { none, resolving, connecting, greeting };
  enum class Step : std::uint8_t { auth, hello, select, flush, version };

  void on_resolved(Result<std::vector<io::DnsAddress>> answer) override;
  void on_open() override;
  void on_data(std::string_view bytes) override;
  void on_writable() override;
  void on_end(const Error& why) override;

  void connect(const Address& address);
  void make_greeting();
  bool scan(std::string_view& bytes);
  bool take_reply(Step step, std::string_view reply);
  void learn_from_hello(std::string_view reply);
  void on_timer();
  void succeed();
  void fail_with(std::string reason);

  Upstream& upstream_;
  const Lane lane_;
  Owner& owner_;
  Stage stage_ = Stage::none;
  std::unique_ptr<io::DnsQuery> query_;
  std::unique_ptr<io::Stream> stream_;
  ByteQueue out_;
  std::vector<Step> steps_;
  std::size_t answered_ = 0;  ///< of steps_
  std::string reply_;         ///< what has come of the next answer
  resp::ReplyScanner resp_;
  memcache::ReplyScanner memcache_;
  Timer timer_;
  bool keep_alive_ = false;
  bool may_flush_ = false;
  bool flushes_ = false;  ///< this greeting does
  std::uint64_t started_ms_ = 0;
  std::size_t address_index_ = 0;  ///< a failed address is followed by the next on the next try
  std::int64_t server_side_id_ = 0;
};

}  // namespace consort::shard_proxy
