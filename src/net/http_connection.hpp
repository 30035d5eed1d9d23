// One connection of an http::Server, as one coroutine; only http_server.cc and its own .cc use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/scope.hpp"
#include "async/task.hpp"
#include "net/async_stream.hpp"
#include "net/http_server.hpp"
#include "wire/http1.hpp"

namespace consort::http {

struct Server::State {
  State(io::Loop& loop, io::Network& network, Handler& handler, Limits limits)
      : loop(loop),
        network(network),
        handler(handler),
        limits(limits),
        door(
            loop.timers(), [](void* self) { static_cast<State*>(self)->close_door(); }, this),
        last_call(
            loop.timers(), [](void* self) { static_cast<State*>(self)->on_last_call(); }, this) {}

  void close_door();
  void on_last_call();
  /// Those that have not had a request yet may stay.
  void close_idle(Fresh fresh);

  Deadline after(std::chrono::milliseconds wait) const {
    return Deadline::after(loop.now_ms(), wait);
  }

  io::Loop& loop;
  io::Network& network;
  Handler& handler;
  Limits limits;
  Counters counters;
  bool is_stopping = false;
  std::vector<std::unique_ptr<io::Listener>> listeners;
  /// By number, so that stopping goes through them in order while they end.
  std::map<std::uint64_t, Connection*> connections;
  std::uint64_t next_number = 0;
  Timer door;                    ///< stopping: handshakes under way have had their time
  Timer last_call;               ///< stopping: fresh connections have had their time
  std::size_t sending_away = 0;  ///< connections over the limit that still read their 503
  // Last: its tasks use all of the above.
  TaskScope tasks;
};

/// Lives in the frame of its task; in State::connections from birth to death.
class Server::Connection {
 public:
  Connection(State& server, std::unique_ptr<io::Stream> stream);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  static Task<> serve(State& server, std::unique_ptr<io::Stream> stream);
  /// Answers 503 and closes.
  static Task<> send_away(State& server, std::unique_ptr<io::Stream> accepted);
  /// Ends the connection if it is between requests; it may be gone afterwards.
  void close_if_idle();
  bool is_fresh() const { return !had_request_; }
  /// Since when it waits for the first byte of a request; nothing while it has one.
  std::optional<std::uint64_t> idle_since_ms() const { return idle_since_ms_; }

 private:
  /// Why a request did not come to be. Status 0: close without a word.
  struct Refusal {
    int status = 0;
    std::string text;
  };
  using Received = tl::expected<http1::Message, Refusal>;

  Task<> run();
  Task<Received> receive();
  Task<bool> answer(http1::Message message);
  Task<Result<>> write(std::string bytes);
  Task<> refuse(Refusal refusal);
  static Task<> linger(State& server, AsyncStream& stream);
  Refusal refusal_for(const Error& why) const;

  State& server_;
  AsyncStream stream_;
  http1::RequestParser parser_;
  std::string_view unread_;  ///< of the last read: what the parser has not seen yet
  std::uint64_t number_;
  std::optional<std::uint64_t> idle_since_ms_;
  bool had_request_ = false;
  const io::Peer peer_;
};

}  // namespace consort::http
