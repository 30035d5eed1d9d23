#include "net/http_server.hpp"

#include <utility>
#include <vector>

#include "net/http_connection.hpp"

namespace consort::http {

namespace {
/// Connections over the limit that are told so at the same time; more are closed without a word.
constexpr std::size_t kSendingAwayMax = 16;
}  // namespace

Server::Server(io::Loop& loop, io::Network& network, Handler& handler, Limits limits)
    : state_(std::make_unique<State>(loop, network, handler, limits)) {}

Server::~Server() = default;

Result<Address> Server::listen(const Address& address) {
  const io::ListenOptions options;
  Result<std::unique_ptr<io::Listener>> listener = state_->network.listen(address, options, *this);
  if (!listener) return fail(std::move(listener.error()));
  state_->listeners.push_back(std::move(*listener));
  return state_->listeners.back()->address();
}

void Server::stop_accepting() {
  if (state_->is_stopping) return;
  for (auto& listener : state_->listeners) listener->accept_last();
  state_->is_stopping = true;
  state_->door.arm_at(state_->after(kHandshake).at_ms);
  state_->last_call.arm_at(state_->after(kFirstRequest).at_ms);
  state_->close_idle(Fresh::stay);
}

void Server::State::close_door() {
  for (auto& listener : listeners) listener->accept_last();
  listeners.clear();
}

void Server::State::on_last_call() {
  close_idle(Fresh::too);
}

void Server::State::close_idle(Fresh fresh) {
  // Closing one runs its task, which may end others' as well: look each up again.
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, connection] : connections) numbers.push_back(number);
  for (std::uint64_t number : numbers) {
    const auto found = connections.find(number);
    if (found == connections.end()) continue;
    if (fresh == Fresh::too || !found->second->is_fresh()) found->second->close_if_idle();
  }
}

std::size_t Server::connections() const {
  return state_->connections.size();
}

bool Server::is_drained() const {
  return state_->listeners.empty() && state_->connections.empty();
}

const Counters& Server::counters() const {
  return state_->counters;
}

void Server::on_accept(std::unique_ptr<io::Stream> stream) {
  State& state = *state_;
  ++state.counters.accepted;
  if (state.connections.size() >= state.limits.connections) displace_idlest();
  if (state.connections.size() < state.limits.connections) {
    state.tasks.spawn(Connection::serve(state, std::move(stream)));
    return;
  }
  ++state.counters.over_limit;
  if (state.sending_away < kSendingAwayMax) {
    state.tasks.spawn(Connection::send_away(state, std::move(stream)));
  }
}

/// Linear in connections; only at the limit, which is some dozens.
void Server::displace_idlest() {
  Connection* idlest = nullptr;
  for (const auto& [number, connection] : state_->connections) {
    if (!connection->idle_since_ms()) continue;
    const bool is_idler =
        idlest == nullptr || connection->idle_since_ms() < idlest->idle_since_ms();
    if (is_idler) idlest = connection;
  }
  if (idlest == nullptr) return;
  ++state_->counters.displaced;
  idlest->close_if_idle();
}

void Server::on_accept_paused(const Error& why) {
  ++state_->counters.accept_pauses;
  state_->handler.on_accept_paused(why);
}

}  // namespace consort::http
