// One connection to a server, shared by many clients: requests go out in one order, replies come
// back in the same order.
//
//            connect()/send()                connected             greeting answered
//   idle ----------------------> connecting ----------> greeting ---------------------> up
//    ^                               |                     |                             |
//    |                               +------ failure ------+------- failure, stuck ------+
//    |                                             v                                     |
//    |                                           down --- retry timer ---> connecting    |
//    +------------- orderly close with nothing in flight --------------------------------+
//
// A request is 16 bytes here: who waits, and until when. All requests have the same timeout, so the
// queue is in deadline order and one timer serves it. A request that times out fails alone: its
// place stays in the queue and its late reply is thrown away. A long reply does not time out while
// its bytes come, and requests behind it have one timeout after its end. Only a connection that has
// been silent for kStuckTimeouts timeouts is given up. After a failure requests fail at once, until
// a new connection has answered its greeting.
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
#include "io/dns.hpp"
#include "io/stream.hpp"
#include "roles/shard_proxy/reply_sink.hpp"
#include "wire/memcache.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {

class Upstream;

/// What is spoken on a connection. RESP2 and RESP3 clients use different ones, so that no reply is
/// ever translated.
enum class Dialect : std::uint8_t { memcache, resp2, resp3 };
inline constexpr std::size_t kDialects = 3;

class Link final : public io::StreamHandler, private io::DnsHandler<io::DnsAddress> {
 public:
  static constexpr std::uint32_t kStuckTimeouts = 3;
  static constexpr std::size_t kMaxQueuedBytes = 512ULL << 20;
  static constexpr std::uint64_t kMinRetryMs = 10;  ///< whatever server-retry-timeout says
  static constexpr std::uint64_t kMaxRetryMs = 30'000;
  static constexpr std::uint64_t kShortLifeMs = 1'000;

  Link(Upstream& upstream, Dialect dialect);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Queues one whole request. on_failure may come during the call.
  void send(std::string_view request, ReplySink& sink, std::uint32_t tag);
  void connect();
  bool is_up() const { return state_ == State::up; }
  bool has_failed() const { return has_failed_; }
  std::size_t in_flight() const { return slots_.size() - late_; }
  /// The receiver that made this link wait takes bytes again.
  void receiver_ready();
  /// Turn's call.
  void flush();

  void on_open() override;
  void on_data(std::string_view bytes) override;
  void on_writable() override;
  void on_end(const Error& why) override;

 private:
  enum class State : std::uint8_t { idle, connecting, greeting, up, down };

  struct Slot {
    ReplySink* sink = nullptr;
    std::uint32_t tag = 0;
    std::uint32_t deadline = 0;  ///< low 32 bits of the loop's milliseconds
  };
  /// A request that came before the connection stood.
  struct Held {
    Slot slot;
    std::size_t size = 0;
  };
  /// Takes the replies to AUTH, HELLO, SELECT or version.
  class Greeter final : public ReplySink {
   public:
    explicit Greeter(Link& link) : link_(link) {}
    void on_reply(std::uint32_t tag, std::string_view bytes, bool last) override;
    void on_failure(std::uint32_t tag, const Failure& failure) override;
    bool congested(std::uint32_t) const override { return false; }
    void wait_for_room(Link&, std::uint32_t) override {}
    void forget_waiting(Link&) override {}

   private:
    Link& link_;
    std::string reply_;
  };
  enum GreetingStep : std::uint8_t { kAuth, kHello, kSelect, kVersion };

  struct Step {
    bool broken;
    bool last;
    std::size_t used;
  };

  static bool turns_us_away(std::string_view line);
  void on_resolved(Result<std::vector<io::DnsAddress>> answer) override;
  void open(const Address& address);
  void greet();
  void greeting_reply(std::uint32_t step, std::string_view reply);
  void go_up();
  void lost(std::string reason);
  void close_idle();
  void fail_everything();
  void retry_later();
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
  std::uint32_t now() const;
  std::uint64_t now_ms() const;

  Upstream& upstream_;
  const Dialect dialect_;
  State state_ = State::idle;
  bool has_failed_ = false;
  bool write_pending_ = false;        ///< Turn knows, or the kernel will tell
  bool reply_under_way_ = false;      ///< the reply at the front has begun
  bool is_long_ = false;              ///< it has outlasted its deadline, or waited for its receiver
  bool in_push_ = false;              ///< an out-of-band RESP3 message is passing
  ReplySink* waiting_for_ = nullptr;  ///< reading is paused until this receiver is ready
  std::unique_ptr<io::DnsQuery> query_;
  std::unique_ptr<io::Stream> stream_;
  ByteQueue out_;
  SequenceQueue<Slot> slots_;
  std::uint32_t late_ = 0;  ///< slots at the front that have been answered with a timeout
  ByteQueue held_bytes_;
  SequenceQueue<Held> held_;
  Greeter greeter_{*this};
  std::uint32_t greeting_left_ = 0;
  resp::ReplyScanner resp_;
  memcache::ReplyScanner memcache_;
  Timer timer_;
  std::uint64_t connect_started_ms_ = 0;
  std::uint64_t quiet_since_ms_ = 0;  ///< the server owes bytes and has sent none since
  /// No request times out before: those behind a long reply have their time after it.
  std::uint64_t grace_until_ms_ = 0;
  std::uint64_t retry_ms_ = 0;
  std::size_t address_index_ = 0;
  std::string last_reason_;
};

}  // namespace consort::shard_proxy
