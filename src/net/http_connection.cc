#include "net/http_connection.hpp"

#include <utility>

namespace consort::http {

namespace {

constexpr std::chrono::milliseconds kLingerMax{1000};
constexpr std::size_t kLingerBytesMax = 256 * 1024;

http1::Limits parser_limits(const Limits& limits) {
  http1::Limits out;
  out.header_bytes = limits.header_bytes;
  out.body_bytes = limits.body_bytes;
  return out;
}

/// One buffer, so that an answer is one write. A response that cannot be written becomes a 500.
std::string render(const Response& response, bool to_head, http1::Persistence persistence) {
  std::string out;
  http1::ResponseView view{.status = response.status,
                           .content_type = response.content_type,
                           .headers = &response.headers,
                           .body = response.body,
                           .to_head = to_head,
                           .persistence = persistence};
  const Result<> written = http1::append_response(out, view);
  if (written) return out;
  return render(make_error(500, written.error().text()), to_head, persistence);
}

http1::Persistence persistence(bool keep_alive, int minor_version) {
  if (!keep_alive) return http1::Persistence::close;
  return minor_version == 0 ? http1::Persistence::keep_alive_stated
                            : http1::Persistence::keep_alive;
}

}  // namespace

Server::Connection::Connection(State& server, std::unique_ptr<io::Stream> stream)
    : server_(server),
      stream_(server.loop, std::move(stream), kReadAheadBytes),
      parser_(parser_limits(server.limits)),
      number_(server.next_number++),
      peer_(stream_.peer()) {
  server_.connections.emplace(number_, this);
}

Server::Connection::~Connection() {
  server_.connections.erase(number_);
}

Task<> Server::Connection::serve(State& server, std::unique_ptr<io::Stream> stream) {
  Connection connection(server, std::move(stream));
  co_await connection.run();
}

Task<> Server::Connection::run() {
  for (bool keep_alive = true; keep_alive;) {
    Received message = co_await receive();
    if (!message) {
      Refusal refusal = std::move(message.error());
      if (refusal.status != 0) co_await refuse(std::move(refusal));
      co_return;
    }
    had_request_ = true;
    http1::Message request = std::move(*message);
    keep_alive = co_await answer(std::move(request));
  }
}

/// The next whole request. The deadline is idle_timeout until its first byte, then header_timeout.
Task<Server::Connection::Received> Server::Connection::receive() {
  Deadline deadline = server_.after(server_.limits.idle_timeout);
  const std::uint64_t asked_ms = server_.loop.now_ms();
  bool has_begun = false;
  bool said_continue = false;
  for (;;) {
    const http1::Step step = parser_.parse(unread_);
    unread_.remove_prefix(step.used);
    if (step.progress == http1::Progress::done) co_return parser_.take();
    if (step.progress == http1::Progress::error) {
      co_return tl::unexpected(Refusal{parser_.status(), parser_.error().text()});
    }
    if (!has_begun && !parser_.idle()) {
      has_begun = true;
      deadline = server_.after(server_.limits.header_timeout);
    }
    if (parser_.wants_continue() && !std::exchange(said_continue, true)) {
      Result<> sent = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
      if (!sent) co_return tl::unexpected(Refusal{});
    }
    if (parser_.idle()) {
      const bool is_last_call = server_.last_call.armed() && !had_request_;
      if (server_.is_stopping && !is_last_call) co_return tl::unexpected(Refusal{});
      idle_since_ms_ = asked_ms;
    }
    Result<std::string_view> bytes = co_await stream_.read_some(deadline);
    idle_since_ms_.reset();
    if (!bytes) co_return tl::unexpected(refusal_for(bytes.error()));
    unread_ = *bytes;
  }
}

Server::Connection::Refusal Server::Connection::refusal_for(const Error& why) const {
  if (why.code() != Errc::timed_out || parser_.idle()) return {};
  return {408, "the request did not arrive in time"};
}

/// True when the connection goes on.
Task<bool> Server::Connection::answer(http1::Message message) {
  const bool to_head = message.method == "HEAD";
  const int minor_version = message.minor_version;
  const bool wants_keep_alive = message.keep_alive;
  Result<Request> request = make_request(std::move(message), peer_);
  if (!request) {
    Refusal refusal{400, request.error().text()};
    co_await refuse(std::move(refusal));
    co_return false;
  }
  ++server_.counters.requests;
  Task<Response> work = server_.handler.handle(std::move(*request));
  Result<Response> response = co_await stream_.while_open(std::move(work));
  if (!response) {
    ++server_.counters.abandoned;
    co_return false;
  }
  // Asked only now: the server may have been told to stop while the handler worked.
  const bool keep_alive = wants_keep_alive && !server_.is_stopping;
  std::string bytes = render(*response, to_head, persistence(keep_alive, minor_version));
  Result<> sent = co_await write(std::move(bytes));
  if (!sent) {
    ++server_.counters.abandoned;
    co_return false;
  }
  const bool has_input = !unread_.empty() || stream_.has_unread();
  if (!keep_alive && has_input) co_await linger(server_, stream_);
  co_return keep_alive;
}

Task<Result<>> Server::Connection::write(std::string bytes) {
  const Deadline deadline = server_.after(server_.limits.write_timeout);
  co_return co_await stream_.write_all(std::move(bytes), deadline);
}

Task<> Server::Connection::refuse(Refusal refusal) {
  ++server_.counters.refused;
  Response response = server_.handler.refuse(refusal.status, refusal.text);
  std::string bytes = render(response, false, http1::Persistence::close);
  Result<> sent = co_await write(std::move(bytes));
  if (sent) co_await linger(server_, stream_);
}

/// Reads and forgets until the client has closed, so that it gets to read our last answer.
Task<> Server::Connection::linger(State& server, AsyncStream& stream) {
  stream.shutdown_write();
  const Deadline deadline = server.after(kLingerMax);
  std::size_t forgotten = 0;
  while (forgotten < kLingerBytesMax) {
    Result<std::string_view> bytes = co_await stream.read_some(deadline);
    if (!bytes) co_return;
    forgotten += bytes->size();
  }
}

Task<> Server::Connection::send_away(State& server, std::unique_ptr<io::Stream> accepted) {
  AsyncStream stream(server.loop, std::move(accepted), kReadAheadBytes);
  Response response = server.handler.refuse(503, "too many connections");
  std::string bytes = render(response, false, http1::Persistence::close);
  const Deadline deadline = server.after(server.limits.write_timeout);
  ++server.sending_away;
  Result<> sent = co_await stream.write_all(std::move(bytes), deadline);
  if (sent) co_await linger(server, stream);
  --server.sending_away;
}

void Server::Connection::close_if_idle() {
  if (idle_since_ms_) stream_.cancel_read();
}

}  // namespace consort::http
