#include "io/uv/signals.hpp"

#include <uv.h>

#include <csignal>
#include <string>

#include "base/check.hpp"

namespace consort::io {

struct UvSignals::Watch {
  uv_signal_t signal{};
  UvLoop* loop = nullptr;
  SignalHandler* handler = nullptr;
};

void UvSignals::Closer::operator()(Watch* watch) const {
  watch->handler = nullptr;
  auto on_closed = [](uv_handle_t* closed) {
    std::default_delete<Watch>()(static_cast<Watch*>(closed->data));
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->signal), on_closed);
}

UvSignals::UvSignals(UvLoop& loop) : loop_(loop) {
  std::signal(SIGPIPE, SIG_IGN);
}

UvSignals::~UvSignals() = default;

Result<> UvSignals::watch(int number, SignalHandler& handler) {
  auto& slot = watches_[number];
  if (slot) {
    slot->handler = &handler;
    return {};
  }
  auto watch = std::make_unique<Watch>();
  CHECK(uv_signal_init(loop_.raw(), &watch->signal) == 0);
  watch->signal.data = watch.get();
  watch->loop = &loop_;
  watch->handler = &handler;
  slot.reset(watch.release());
  auto on_signal = [](uv_signal_t* signal, int caught) {
    auto* self = static_cast<Watch*>(signal->data);
    self->loop->enter_turn();
    if (self->handler != nullptr) self->handler->on_signal(caught);
  };
  int rc = uv_signal_start(&slot->signal, on_signal, number);
  if (rc == 0) return {};
  watches_.erase(number);
  return fail(Error::from_errno(-rc, "watch signal " + std::to_string(number)));
}

void UvSignals::unwatch(int number) {
  watches_.erase(number);
}

}  // namespace consort::io
