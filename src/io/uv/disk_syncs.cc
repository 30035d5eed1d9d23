#include "io/uv/disk_syncs.hpp"

#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <utility>

#include "async/event.hpp"
#include "base/check.hpp"

namespace consort::io {

struct DiskSyncs::Work {
  uv_work_t request{};
  DiskSyncs* syncs = nullptr;
  std::shared_ptr<const Fd> file;
  SyncKind kind = SyncKind::data;
  int failed = 0;            ///< errno, set by the pool's thread
  Waiter* waiter = nullptr;  ///< null once its task was dropped

  /// On the pool's thread: touches nothing but the descriptor and `failed`.
  static void run(uv_work_t* request) {
    auto* work = static_cast<Work*>(request->data);
    int rc = 0;
    do {
      rc = work->kind == SyncKind::data ? ::fdatasync(work->file->get())
                                        : ::fsync(work->file->get());
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) work->failed = errno;
  }
  static void on_done(uv_work_t* request, int status);
};

/// In the frame of the task that waits.
struct DiskSyncs::Waiter {
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (work != nullptr) work->waiter = nullptr;
  }
  Work* work = nullptr;
  int failed = 0;
  Event done;
};

void DiskSyncs::Work::on_done(uv_work_t* request, int /*status*/) {
  const std::unique_ptr<Work> work(static_cast<Work*>(request->data));
  work->syncs->loop_.enter_turn();
  --work->syncs->under_way_;
  work->file.reset();
  if (work->waiter == nullptr) return;
  Waiter& waiter = *work->waiter;
  waiter.work = nullptr;
  waiter.failed = work->failed;
  waiter.done.set();  // the task may end, and the waiter with it
}

DiskSyncs::~DiskSyncs() {
  // Not abandoned: libuv writes into the requests, and the loop cannot be closed before they end.
  while (under_way_ > 0) uv_run(loop_.raw(), UV_RUN_ONCE);
}

Task<Result<>> DiskSyncs::sync(std::shared_ptr<const Fd> file, SyncKind kind, std::string path) {
  Waiter waiter;
  auto work = std::make_unique<Work>();
  work->request.data = work.get();
  work->syncs = this;
  work->file = std::move(file);
  work->kind = kind;
  work->waiter = &waiter;
  waiter.work = work.get();
  // Fails only without a function to run.
  CHECK(uv_queue_work(loop_.raw(), &work->request, Work::run, Work::on_done) == 0);
  ++under_way_;
  (void)work.release();  // on_done owns it
  co_await waiter.done.wait();
  if (kind == SyncKind::names && (waiter.failed == EINVAL || waiter.failed == ENOTSUP)) {
    co_return {};
  }
  if (waiter.failed != 0) co_return fail(Error::from_errno(waiter.failed, "sync " + path));
  co_return {};
}

}  // namespace consort::io
