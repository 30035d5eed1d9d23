// One connection to a server that one client has for itself: what changes or holds a connection
// (MULTI, WATCH, BLPOP, SUBSCRIBE, WAIT) cannot share one.
//
//   dialing --greeting answered--> up --failure, timeout, abandon()--> dead
//
// It never comes back from the dead: whoever leases it takes another. Requests are answered in
// order; each has its own limit, which counts from when it is the oldest, and not while bytes of
// its reply come. After
// expect_pushes() every value that comes is handed over whole as a push.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "async/timer.hpp"
#include "base/bytes.hpp"
#include "base/sequence_queue.hpp"
#include "io/stream.hpp"
#include "roles/shard_proxy/dialer.hpp"
#include "roles/shard_proxy/lane.hpp"
#include "roles/shard_proxy/reply_sink.hpp"
#include "roles/shard_proxy/turn.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {

class Upstream;

class PrivateLink final : public Mortal,
                          public io::StreamHandler,
                          public ReplySource,
                          public Writer,
                          private Dialer::Owner {
 public:
  /// Whoever has it: a client or the pool's idle list. Any call may give it away or bury it, but
  /// not destroy it.
  class Owner {
   public:
    /// Every request has been answered.
    virtual void on_private_idle(PrivateLink& link) = 0;
    /// It is dead, and its requests have been failed.
    virtual void on_private_lost(PrivateLink& link, const std::string& reason) = 0;
    /// One whole out-of-band message.
    virtual void on_private_push(PrivateLink& link, std::string_view push) {
      (void)link;
      (void)push;
    }

   protected:
    ~Owner() = default;
  };
  static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

  PrivateLink(Upstream& upstream, Lane lane, Owner& owner);
  ~PrivateLink() override;

  /// Queues one whole request; a null sink does not want the reply. Not on a dead link.
  void send(std::string_view request, ReplySink* sink, std::uint32_t tag, std::uint64_t limit_ms);
  /// The same for a request whose answers come as pushes.
  void send(std::string_view request);
  void expect_pushes() { takes_pushes_ = true; }
  void set_owner(Owner& owner) { owner_ = &owner; }
  /// As if the server had failed: requests get this reason, and the owner is told.
  void give_up(const std::string& reason) { lost(reason); }
  /// Closes at once and fails what is under way, without telling the owner.
  void abandon();

  bool is_dead() const { return is_dead_; }
  bool is_idle() const { return pending_.empty(); }
  std::size_t unsent_bytes() const { return out_.size(); }
  Upstream& upstream() const { return upstream_; }
  Lane lane() const { return lane_; }
  /// The server's CLIENT ID of this connection; 0 until it is up, or when it did not say.
  std::int64_t server_side_id() const { return dialer_.server_side_id(); }

  void receiver_ready() override;
  void flush() override;
  void on_data(std::string_view bytes) override;
  void on_writable() override { flush(); }
  void on_end(const Error& why) override;

 private:
  struct Pending {
    ReplySink* sink = nullptr;
    std::uint32_t tag = 0;
    std::uint64_t limit_ms = kNoLimit;
  };

  void on_dialed(std::unique_ptr<io::Stream> stream) override;
  void on_dial_failed(std::string reason) override { lost(std::move(reason)); }
  void take_part(std::string_view part, bool last);
  void take_push(std::string_view part, bool last);
  void hold_back_for_receiver();
  void write_soon();
  void arm();
  void on_timer();
  void lost(const std::string& reason);
  void fail_everything(const std::string& reason);

  Upstream& upstream_;
  const Lane lane_;
  Owner* owner_;
  Turn& turn_;
  Dialer dialer_;
  std::unique_ptr<io::Stream> stream_;
  ByteQueue out_;
  SequenceQueue<Pending> pending_;
  resp::ReplyScanner scanner_;
  std::string push_;  ///< what has come of a push
  Timer timer_;
  ReplySink* waiting_for_ = nullptr;
  bool write_pending_ = false;
  bool takes_pushes_ = false;
  bool reply_under_way_ = false;
  bool in_push_ = false;
  bool is_dead_ = false;
  std::uint64_t heard_ms_ = 0;  ///< bytes came last
};

}  // namespace consort::shard_proxy
