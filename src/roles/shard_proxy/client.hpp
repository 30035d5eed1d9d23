// One client connection: requests in, replies out in the order of the requests.
//
//   bytes --parse--> request --route--> Link(s) ... replies in any order
//                       |                   |
//                       v                   v
//   slots_:  [front: streams straight to out_] [stored] [waiting] [stored] ...
//
// The slot at the front passes its bytes on as they come, so a reply of any size streams through.
// Replies that overtake it are kept in one arena per client (replies in pieces in a string of their
// own). Limits: kMaxPipelined unanswered requests, then the client is not read; kHighWater bytes
// unsent, stored or being gathered, then neither the client nor the server whose long reply is
// passing is read; kMaxKeptBytes stored or gathered, then the client is closed or gets an error.
//
// A request whose reply has been passed on in part cannot be repaired when its server fails: the
// client connection is closed, which is what a single server's death would look like.
//
// Lifetime: the pool owns clients. A closed client lives on until its last forwarded request has
// been answered or failed, since links hold it as their sink; Turn buries it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/timer.hpp"
#include "base/bytes.hpp"
#include "base/sequence_queue.hpp"
#include "io/stream.hpp"
#include "roles/shard_proxy/reply_sink.hpp"
#include "roles/shard_proxy/turn.hpp"

namespace consort::shard_proxy {

class Gather;
class Link;
class PrivateLink;
class Pool;

class Client : public io::StreamHandler, public ReplySink, public Writer {
 public:
  static constexpr std::size_t kMaxPipelined = 10'000;
  static constexpr std::size_t kHighWater = 1 << 20;
  static constexpr std::size_t kLowWater = 256 << 10;
  /// Of replies that cannot be sent yet. Requests that are under way at kHighWater may bring more.
  static constexpr std::size_t kMaxKeptBytes = 1ULL << 30;
  /// A request may be this large in all: one value at its protocol's limit, and room for keys.
  static constexpr std::size_t kMaxRequestBytes = 576ULL << 20;

  Client(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id);
  virtual ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void start() { stream_->set_handler(*this); }
  Pool& pool() const { return pool_; }
  std::uint64_t id() const { return id_; }
  bool is_closed() const { return closed_; }
  /// "10.1.2.3:4711"; empty once it is closed.
  std::string peer() const { return stream_ ? stream_->peer().text : std::string(); }
  /// When it was last written to, on the loop's clock.
  std::uint64_t last_progress_ms() const { return last_progress_ms_; }
  std::size_t unsent_bytes() const { return out_.size() + stored_bytes_; }
  bool has_work() const { return !slots_.empty() || !out_.empty(); }
  /// The pool has other servers than before.
  virtual void servers_changed() {}
  /// Answer what is under way, then close; nothing more is read. Who is blocked or subscribed may
  /// wait for ever, and is closed at once.
  void close_when_idle();
  /// At once; a reason is worth a line in the log.
  void close(std::string_view reason);
  /// Turn's call.
  void flush() final;

  /// A gathered reply is complete; the gathering of this slot is destroyed.
  void gathered(std::uint32_t slot, std::string_view reply);
  /// For a gathering that wants to keep so much more; true when it is counted and may.
  bool may_gather(std::size_t bytes);
  void release_gathered(std::size_t bytes) { gathered_bytes_ -= bytes; }

  void on_data(std::string_view bytes) final;
  void on_writable() final;
  void on_end(const Error& why) final;
  void on_reply(std::uint32_t tag, std::string_view bytes, bool last) final;
  void on_failure(std::uint32_t tag, const Failure& failure) final;
  bool congested(std::uint32_t tag) const final;
  void wait_for_room(ReplySource& source, std::uint32_t tag) final {
    waiting_.push_back({&source, tag});
  }
  void cannot_wait() final;
  void forget_waiting(ReplySource& source) final;

 protected:
  /// What a protocol does with the bytes at the front of the input.
  enum class Parsed : std::uint8_t {
    more,     ///< the request is not whole yet
    request,  ///< one request of `used` bytes was routed or answered
    closing,  ///< the answer is queued and the connection ends after it
    wait,     ///< take it again when every request before it is answered
  };
  struct Taken {
    Parsed parsed;
    std::size_t used = 0;
  };
  virtual Taken take_request(std::string_view bytes) = 0;
  /// The protocol's words for a request that a server failed.
  virtual std::string failure_reply(const Failure& failure) const = 0;
  /// What is left of a reply that must not pass unseen (noreply and the like); may be empty.
  virtual std::string_view filter(std::uint8_t kind, std::string_view reply) const = 0;
  /// True when nothing is ever left of a reply, so that it need not be kept.
  virtual bool hides_all(std::uint8_t kind) const = 0;
  /// True when a failure of ours must not be told to a request filtered by `kind`.
  virtual bool keeps_failures(std::uint8_t kind) const = 0;

  /// What one server says of a missing key, by a kind of the protocol's own.
  virtual std::string_view miss_reply(std::uint8_t kind) const = 0;

  static constexpr std::uint8_t kUnfiltered = 0;
  static constexpr std::uint8_t kNoMiss = 0;

  bool has_unanswered() const { return !slots_.empty(); }
  /// A new slot at the end: the place where the reply to the current request will stand.
  std::uint32_t open_slot(std::uint8_t filter_kind = kUnfiltered);
  /// The reply to the current request, known at once.
  void answer(std::string_view reply);
  /// Forwards the current request; its reply goes to a new slot. With a kind of miss, a failure
  /// looks like a key that is not there.
  void forward(Link& link, std::string_view request, std::uint8_t filter_kind = kUnfiltered,
               std::uint8_t miss_kind = kNoMiss);
  /// The same over a connection of this client's own.
  void forward(PrivateLink& link, std::string_view request, std::uint64_t limit_ms,
               std::uint8_t filter_kind);
  /// The reply of an open slot that no server connection fills.
  void finish_slot(std::uint32_t slot, std::string_view reply);
  /// Bytes that are no reply: written between replies. With `in_order` after all that are open.
  void push(std::string_view message, bool in_order);
  /// Its reply may never come: when it is gone nobody waits for that.
  virtual bool is_blocked() const { return false; }
  /// What it has sent is still taken, and it is closed then.
  bool is_leaving() const { return is_last_input_ || closing_; }
  /// Bytes on connections of its own that their servers have not taken.
  virtual std::size_t private_unsent_bytes() const { return 0; }
  /// The connection has ended: give up what is held for it.
  virtual void on_closed() {}
  /// Ties a gathering to the slot it will fill. Adopt first, then send its parts: a part may fail
  /// during its send, and the last one to end destroys the gathering.
  Gather& adopt(std::uint32_t slot, std::unique_ptr<Gather> gather);
  /// Throw away this many of the next bytes (the body of a value that is too large).
  void discard(std::size_t bytes) { discard_ = bytes; }

 private:
  struct Slot {
    std::unique_ptr<std::string> pieces;  ///< a stored reply that came in several parts
    std::unique_ptr<Gather> gather;       ///< that will fill this slot
    std::uint32_t offset = 0;             ///< of a stored reply that came in one, in arena_
    std::uint32_t length = 0;
    std::uint8_t filter = kUnfiltered;
    std::uint8_t miss = kNoMiss;
    bool done = false;
    bool started = false;  ///< bytes of it have been passed on
  };

  /// A server connection that stopped reading in the middle of the reply `tag`.
  struct Waiting {
    ReplySource* source;
    std::uint32_t tag;
  };

  std::size_t parse_some(std::string_view bytes);
  void parse_input();
  void hold_input_back();
  bool may_parse() const;
  void resume_parsing();
  void fill_slot(std::uint32_t tag, std::string_view bytes, bool last);
  void store(Slot& slot, std::string_view bytes);
  void compact_arena();
  std::string_view stored(const Slot& slot) const;
  void drop_stored(Slot& slot);
  void pass_on_ready();
  void write_soon();
  void watch_backlog();
  void on_patience_end();
  void wake_sources();
  void pause();
  void bury_if_done();

  Pool& pool_;
  const std::uint64_t id_;
  std::unique_ptr<io::Stream> stream_;
  ByteQueue in_;
  ByteQueue out_;
  std::size_t gathered_bytes_ = 0;  ///< in the parts of gatherings; these use it to their end
  SequenceQueue<Slot> slots_;
  std::string arena_;
  std::size_t arena_live_ = 0;    ///< bytes of arena_ that slots still need
  std::size_t stored_bytes_ = 0;  ///< bytes in arena_ and in pieces
  std::size_t discard_ = 0;
  std::uint32_t outstanding_ = 0;   ///< requests that links will still answer
  std::uint64_t last_progress_ms_;  ///< bytes were taken, or the first came to wait
  Timer patience_;                  ///< armed while more than the output limit waits
  std::vector<Waiting> waiting_;
  bool write_pending_ = false;
  bool paused_ = false;
  bool wants_silence_ = false;  ///< paused until every request is answered
  bool is_last_input_ = false;  ///< what in_ holds is still taken, then closing_
  bool closing_ = false;        ///< no more input; ends when everything is answered and sent
  bool closed_ = false;
  bool buried_ = false;
};

}  // namespace consort::shard_proxy
