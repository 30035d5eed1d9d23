// One connection to a server, shared by many clients: requests go out in one order, replies come
// back in the same order.
//
//            connect()/send()            greeting answered (Dialer)
//   idle ----------------------> dialing ------------------------> up
//    ^                              |                              |
//    |                              +---- failure --+-- failure, stuck
//    |                                              v              |
//    |                                            down -- retry --> dialing
//    +------------- orderly close with nothing in flight ----------+
//
// A request is 16 bytes here: who waits, and since when. All requests have the same timeout, so the
// queue is in deadline order and one timer serves it. A request that times out fails alone: its
// place stays in the queue and its late reply is thrown away. A long reply does not time out while
// its bytes come, and requests behind it have one timeout after its end. Only a connection that has
// been silent for server_failure_limit timeouts is given up. After a failure requests fail at once,
// until a new connection has answered its greeting. When to retry is Upstream's decision.
//
// Cost per request in steady state: one copy into the output buffer, no allocation, no system call
// of its own (Turn writes once per loop turn).
#pragma once

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
#include "wire/memcache.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {

class Upstream;

class Link final : public io::StreamHandler,
                   public ReplySource,
                   public Writer,
                   private Dialer::Owner {
 public:
  static constexpr std::size_t kMaxQueuedBytes = 512ULL << 20;
  static constexpr std::uint64_t kMinRetryMs = 10;  ///< whatever server-retry-timeout says
  static constexpr std::uint64_t kMaxRetryMs = 30'000;
  static constexpr std::uint64_t kShortLifeMs = 1'000;
  static constexpr std::string_view kSilent = "does not answer";  ///< the reason when it is stuck

  Link(Upstream& upstream, Lane lane);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Queues one whole request. on_failure may come during the call.
  void send(std::string_view request, ReplySink& sink, std::uint32_t tag);
  void connect();
  /// After a failure: connect after a pause that grows from failure to failure.
  void retry_later();
  /// Not to try by itself any more.
  void stop_retrying();
  /// Down without having tried, since the server is known to be.
  void be_down(std::string reason);
  /// The server is known to be up again: requests wait for the new connection instead of failing.
  void come_back();
  /// Closes the connection, unless requests are under way, and proves the server anew.
  void redial();
  /// The pool has another timeout. It holds for requests under way, too.
  void settings_changed();
  bool is_up() const { return state_ == State::up; }
  bool is_down() const { return state_ == State::down; }
  /// When a server that is down is tried again, on the loop's clock; 0 when not by this link.
  std::uint64_t next_try_ms() const { return is_down() && timer_.armed() ? timer_.at() : 0; }
  std::size_t in_flight() const { return slots_.size() - late_ + held_.size(); }
  std::size_t unsent_bytes() const { return out_.size() + held_bytes_.size(); }
  void receiver_ready() override;
  void flush() override;

  void on_data(std::string_view bytes) override;
  void on_writable() override;
  void on_end(const Error& why) override;

 private:
  enum class State : std::uint8_t { idle, dialing, up, down };

  struct Slot {
    ReplySink* sink = nullptr;
    std::uint32_t tag = 0;
    std::uint32_t since_us = 0;  ///< on Turn's clock
  };
  /// A request that came before the connection stood.
  struct Held {
    Slot slot;
    std::size_t size = 0;
  };
  struct Step {
    bool broken;
    bool last;
    std::size_t used;
  };

  void on_dialed(std::unique_ptr<io::Stream> stream) override;
  void on_dial_failed(std::string reason) override { lost(std::move(reason)); }
  void lost(std::string reason);
  void close_idle();
  void fail_everything();
  void note_in_flight();
  void push(std::string_view request, Slot slot);
  void deliver(std::string_view bytes, bool last);
  Step scan(std::string_view bytes);
  void write_soon();
  void hold_back_for_receiver();
  bool others_wait_behind(const ReplySink& sink);
  void stop_waiting();
  void arm_timeout();
  void on_timer();
  void time_out_requests();
  bool timed_out(const Slot& slot) const;
  std::uint32_t now_us() const;
  std::uint64_t now_ms() const;
  std::uint64_t timeout_ms() const;

  Upstream& upstream_;
  Turn& turn_;
  const Lane lane_;
  State state_ = State::idle;
  bool has_failed_ = false;
  bool write_pending_ = false;        ///< Turn knows, or the kernel will tell
  bool reply_under_way_ = false;      ///< the reply at the front has begun
  bool is_long_ = false;              ///< it has outlasted its deadline, or waited for its receiver
  bool in_push_ = false;              ///< an out-of-band RESP3 message is passing
  ReplySink* waiting_for_ = nullptr;  ///< reading is paused until this receiver is ready
  Dialer dialer_;
  std::unique_ptr<io::Stream> stream_;
  ByteQueue out_;
  SequenceQueue<Slot> slots_;
  std::int64_t noted_in_flight_ = 0;  ///< as the server's gauge knows it
  std::uint32_t late_ = 0;            ///< slots at the front that have been answered with a timeout
  ByteQueue held_bytes_;
  SequenceQueue<Held> held_;
  resp::ReplyScanner resp_;
  memcache::ReplyScanner memcache_;
  Timer timer_;
  std::uint64_t quiet_since_ms_ = 0;  ///< the server owes bytes and has sent none since
  /// No request times out before: those behind a long reply have their time after it.
  std::uint64_t grace_until_ms_ = 0;
  std::uint64_t retry_ms_ = 0;
  std::uint64_t retry_at_ms_ = 0;
  std::string last_reason_;
};

}  // namespace consort::shard_proxy
