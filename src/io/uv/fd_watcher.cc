#include "io/uv/fd_watcher.hpp"

#include <uv.h>

#include "base/check.hpp"

namespace consort::io {

struct FdWatcher::Handle {
  uv_poll_t poll{};
  UvLoop* loop = nullptr;
  FdWatcher* watcher = nullptr;
};

void FdWatcher::Closer::operator()(Handle* handle) const {
  handle->watcher = nullptr;
  auto on_closed = [](uv_handle_t* closed) {
    std::default_delete<Handle>()(static_cast<Handle*>(closed->data));
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll), on_closed);
}

Result<> FdWatcher::open(UvLoop& loop, int fd) {
  CHECK(handle_ == nullptr);
  auto handle = std::make_unique<Handle>();
  int rc = uv_poll_init(loop.raw(), &handle->poll, fd);
  if (rc != 0) return fail(Error::from_errno(-rc, "watch a descriptor"));
  handle->poll.data = handle.get();
  handle->loop = &loop;
  handle->watcher = this;
  handle_.reset(handle.release());
  wanted_ = {};
  return {};
}

void FdWatcher::want(Readiness wanted) {
  if (wanted == wanted_ || handle_ == nullptr) return;
  wanted_ = wanted;
  auto on_poll = [](uv_poll_t* poll, int status, int events) {
    auto* handle = static_cast<Handle*>(poll->data);
    if (handle->watcher == nullptr) return;
    handle->loop->enter_turn();
    handle->watcher->on_ready(status, events);
  };
  int events = (wanted.readable ? UV_READABLE : 0) | (wanted.writable ? UV_WRITABLE : 0);
  // With no events this stops the handle. It fails only for a descriptor that is watched twice.
  CHECK(uv_poll_start(&handle_->poll, events, on_poll) == 0);
}

void FdWatcher::close() {
  handle_.reset();
  wanted_ = {};
}

void FdWatcher::on_ready(int status, int events) {
  if (status != 0) {
    // libuv has stopped the handle; a repeated want() starts it again.
    Readiness all = wanted_;
    wanted_ = {};
    callback_(owner_, all);
    return;
  }
  callback_(owner_, Readiness{(events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0});
}

}  // namespace consort::io
