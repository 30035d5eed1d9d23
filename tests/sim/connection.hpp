// The two ends of a simulated connection: SimStream is what the code holds, SimPeer the test's end.
//
//   code: try_write --in flight--> SimPeer::received()      (until window_bytes are not taken yet)
//   test: SimPeer::send --in flight--> inbox --on_data--> code    (the inbox waits while paused)
//
// The bytes that on_data shows are overwritten after the call, so that a view kept by mistake
// shows.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/random.hpp"
#include "io/stream.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

/// What a connection is like.
struct Conditions {
  std::uint64_t latency_ms = 0;          ///< one way; 0 still means "in a later turn"
  std::uint64_t jitter_ms = 0;           ///< up to so much more, at random; order is kept
  std::size_t window_bytes = 64 * 1024;  ///< what the code may have under way to the peer
  bool split = false;  ///< cuts deliveries, and sometimes writes, at random places
};

class SimPeer;

/// The code's end.
class SimStream final : public io::Stream {
 public:
  enum class State : std::uint8_t { connecting, open, read_ended, dead };

  SimStream(std::shared_ptr<SimPeer> peer, State state);
  ~SimStream() override;
  void set_handler(io::StreamHandler& handler) override;
  Result<std::size_t> try_write(std::string_view bytes) override;
  void want_writable() override;
  void pause_reading() override { reading_ = false; }
  void resume_reading() override;
  void shutdown_write() override;
  io::Peer peer() const override;
  std::size_t unconfirmed_bytes() const override;

 private:
  friend class SimPeer;
  bool takes_input() const { return handler_ != nullptr && reading_ && state_ == State::open; }

  std::shared_ptr<SimPeer> peer_;
  io::StreamHandler* handler_ = nullptr;
  State state_;
  bool reading_ = true;
  bool wants_writable_ = false;
  bool write_shut_ = false;
};

/// The test's end. Lives in a SimServer or SimNetwork.
class SimPeer : public std::enable_shared_from_this<SimPeer> {
 public:
  SimPeer(SimLoop& loop, std::uint64_t seed, Conditions conditions)
      : loop_(loop), random_(seed), conditions_(conditions) {}

  /// Run when bytes arrived from the code, and when it ended.
  std::function<void(SimPeer&)> on_data;
  /// Who the code believes it talks to.
  io::Peer identity{.is_unix = false, .is_loopback = true, .text = "127.0.0.1:50000"};

  /// All that arrived and was not taken.
  const std::string& received() const { return received_; }
  std::string take() { return std::exchange(received_, {}); }
  /// The code closed the connection, or its sending half.
  bool ended() const { return ended_; }
  /// The code still holds its Stream.
  bool connected() const { return stream_ != nullptr; }
  /// Bytes the code sent that are under way or held back by stall().
  std::size_t untaken_bytes() const { return untaken_bytes_; }
  /// Bytes that wait at the code's end because it does not read.
  std::size_t unread_bytes() const {
    std::size_t sum = 0;
    for (const Item& item : inbox_) sum += item.bytes.size();
    return sum;
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      std::size_t n = bytes.size();
      if (conditions_.split) n = 1 + random_.below(std::min<std::size_t>(n, kChunkBytesMax));
      arrive(Item{.bytes = std::string(bytes.substr(0, n)), .end = std::nullopt});
      bytes.remove_prefix(n);
    }
  }
  /// An orderly end of both directions, after what was sent.
  void close() { arrive(Item{.bytes = {}, .end = End::closed}); }
  /// Only "no more bytes from here": the code may still answer.
  void shutdown_write() { arrive(Item{.bytes = {}, .end = End::half_closed}); }
  /// ECONNRESET, after what was sent.
  void reset() { arrive(Item{.bytes = {}, .end = End::reset}); }
  /// Stops taking bytes: the code's writes stand once the window is full.
  void stall() { stalled_ = true; }
  void resume() {
    stalled_ = false;
    receive(std::exchange(held_, {}));
  }
  void set_window(std::size_t bytes) {
    conditions_.window_bytes = bytes;
    offer_writable();
  }

 private:
  friend class SimStream;
  friend class SimNetwork;
  static constexpr std::size_t kChunkBytesMax = 4096;

  enum class End : std::uint8_t { half_closed, closed, reset };
  struct Item {
    std::string bytes;
    std::optional<End> end;
  };

  // --- Towards the code ---
  std::uint64_t delay_until(std::uint64_t& last_ms) {
    std::uint64_t jitter = conditions_.jitter_ms > 0 ? random_.below(conditions_.jitter_ms + 1) : 0;
    last_ms = std::max(last_ms, loop_.now_ms() + conditions_.latency_ms + jitter);
    return last_ms;
  }
  void arrive(Item item) {
    if (sending_ended_) return;
    sending_ended_ = item.end.has_value();
    loop_.at(delay_until(last_in_ms_), [self = shared_from_this(), moved = std::move(item)] {
      if (moved.end && *moved.end != End::half_closed) self->gone_ = true;
      self->inbox_.push_back(moved);
      self->pump();
    });
  }
  void pump_soon() {
    loop_.after(0, [self = shared_from_this()] { self->pump(); });
  }
  void pump() {
    while (stream_ != nullptr && stream_->takes_input() && !inbox_.empty()) {
      Item item = std::move(inbox_.front());
      inbox_.pop_front();
      if (item.end) {
        end_stream(*item.end);
      } else {
        stream_->handler_->on_data(item.bytes);
        std::fill(item.bytes.begin(), item.bytes.end(), '\xDD');
      }
    }
  }
  void end_stream(End end) {
    if (end == End::reset) {
      finish(SimStream::State::dead, Error(Errc::closed, "read", ECONNRESET));
    } else {
      finish(SimStream::State::read_ended, Error(Errc::closed, "the peer closed the connection"));
    }
  }
  void finish(SimStream::State state, const Error& why) {
    stream_->state_ = state;
    stream_->handler_->on_end(why);
  }
  void open() {
    if (stream_ == nullptr) return;
    stream_->state_ = SimStream::State::open;
    stream_->handler_->on_open();
    pump();
    offer_writable();
  }
  void refuse(const std::string& address) {
    finish(SimStream::State::dead, Error(Errc::refused, "connect to " + address, ECONNREFUSED));
  }

  // --- From the code ---
  std::size_t window_free() const {
    return conditions_.window_bytes > untaken_bytes_ ? conditions_.window_bytes - untaken_bytes_
                                                     : 0;
  }
  std::size_t write(std::string_view bytes) {
    std::size_t n = std::min(window_free(), bytes.size());
    if (conditions_.split && n > 1 && random_.below(4) == 0) n = 1 + random_.below(n);
    if (n == 0) return 0;
    untaken_bytes_ += n;
    loop_.at(delay_until(last_out_ms_),
             [self = shared_from_this(), sent = std::string(bytes.substr(0, n))] {
               if (self->stalled_) {
                 self->held_ += sent;
               } else {
                 self->receive(sent);
               }
             });
    return n;
  }
  void receive(std::string bytes) {
    if (bytes.empty()) return;
    untaken_bytes_ -= bytes.size();
    received_ += bytes;
    if (on_data) on_data(*this);
    offer_writable();
  }
  void end_now() {
    ended_ = true;
    if (on_data) on_data(*this);
  }
  void end_after_bytes() {
    loop_.at(delay_until(last_out_ms_), [self = shared_from_this()] { self->end_now(); });
  }
  void offer_writable() {
    if (stream_ == nullptr || !stream_->wants_writable_) return;
    loop_.after(0, [self = shared_from_this()] {
      SimStream* stream = self->stream_;
      if (stream == nullptr || !stream->wants_writable_ || self->window_free() == 0) return;
      if (stream->handler_ == nullptr || stream->state_ == SimStream::State::connecting) return;
      if (stream->state_ == SimStream::State::dead) return;
      stream->wants_writable_ = false;
      stream->handler_->on_writable();
    });
  }

  SimLoop& loop_;
  Random random_;
  Conditions conditions_;
  SimStream* stream_ = nullptr;

  std::uint64_t last_in_ms_ = 0;
  std::deque<Item> inbox_;
  bool sending_ended_ = false;  // close, shutdown_write or reset was called
  bool gone_ = false;           // the code's kernel knows that nobody takes its bytes

  std::uint64_t last_out_ms_ = 0;
  std::size_t untaken_bytes_ = 0;
  std::string received_;
  std::string held_;
  bool stalled_ = false;
  bool ended_ = false;
};

inline SimStream::SimStream(std::shared_ptr<SimPeer> peer, State state)
    : peer_(std::move(peer)), state_(state) {
  peer_->stream_ = this;
}

inline SimStream::~SimStream() {
  peer_->stream_ = nullptr;
  if (state_ != State::connecting && !write_shut_) peer_->end_after_bytes();
}

inline void SimStream::set_handler(io::StreamHandler& handler) {
  handler_ = &handler;
  peer_->pump_soon();
}

inline Result<std::size_t> SimStream::try_write(std::string_view bytes) {
  if (state_ == State::connecting) return std::size_t{0};
  if (state_ == State::dead || write_shut_ || peer_->gone_) {
    return fail(Errc::closed, "write", EPIPE);
  }
  return peer_->write(bytes);
}

inline void SimStream::want_writable() {
  wants_writable_ = true;
  peer_->offer_writable();
}

inline void SimStream::resume_reading() {
  reading_ = true;
  peer_->pump_soon();
}

inline void SimStream::shutdown_write() {
  if (std::exchange(write_shut_, true)) return;
  peer_->end_after_bytes();
}

inline io::Peer SimStream::peer() const {
  return peer_->identity;
}

inline std::size_t SimStream::unconfirmed_bytes() const {
  return peer_->untaken_bytes();
}

}  // namespace consort::sim
