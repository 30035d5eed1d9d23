#include "io/uv/process.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "io/fd.hpp"
#include "io/uv/fd_watcher.hpp"
#include "io/uv/pipe_stream.hpp"
#include "io/uv/spawn.hpp"

namespace consort::io {

namespace {

/// Children that are being killed when everything ends; a process in the kernel's uninterruptible
/// sleep may take longer, and init inherits it.
constexpr int kLastLooksMax = 500;
constexpr long kLastLookNs = 2'000'000;

/// The descriptor is closed on exec, as pidfd_open always makes it.
Fd open_pidfd(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// Whether that child has ended; it stays a zombie.
bool has_ended(pid_t pid) {
  siginfo_t info{};
  const int rc = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  return rc == 0 && info.si_pid == pid;
}

ExitStatus reap(pid_t pid) {
  siginfo_t info{};
  ExitStatus status;
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) != 0) return status;
  (info.si_code == CLD_EXITED ? status.code : status.signal) = info.si_status;
  return status;
}

}  // namespace

/// From spawn to reaping, whoever still holds the Process.
struct UvProcesses::Child {
  Child(UvProcesses& owner, pid_t of, bool leads_group)
      : processes(owner),
        pid(of),
        own_group(leads_group),
        watcher(
            [](void* self, Readiness) {
              auto& child = *static_cast<Child*>(self);
              child.processes.look_at(child);
            },
            this) {}

  void send(int number) const { ::kill(own_group ? -pid : pid, number); }

  UvProcesses& processes;
  const pid_t pid;
  const bool own_group;
  Handle* handle = nullptr;  ///< null once the Process has been destroyed
  Fd pidfd;                  ///< none where SIGCHLD has to do
  FdWatcher watcher;
};

/// The Process that the caller owns.
class UvProcesses::Handle final : public Process {
 public:
  explicit Handle(ProcessHandler& handler) : handler_(handler) {}
  ~Handle() override {
    if (child_ != nullptr) child_->processes.release(*child_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  Result<> take(UvLoop& loop, Spawned& spawned) {
    pid_ = spawned.pid;
    Result<> opened = open(loop, std::move(spawned.input), PipeEnd::write, input_);
    if (opened) opened = open(loop, std::move(spawned.output), PipeEnd::read, output_);
    if (opened) opened = open(loop, std::move(spawned.errors), PipeEnd::read, errors_);
    return opened;
  }
  void attach(Child& child) { child_ = &child; }
  /// May destroy this.
  void end(const ExitStatus& status) {
    child_ = nullptr;
    handler_.on_exit(status);
  }

  Stream* input() override { return input_.get(); }
  Stream* output() override { return output_.get(); }
  Stream* errors() override { return errors_.get(); }
  void close_input() override { input_.reset(); }
  void signal(int number) override {
    if (child_ != nullptr) child_->send(number);
  }
  pid_t pid() const override { return pid_; }

 private:
  static Result<> open(UvLoop& loop, Fd fd, PipeEnd end, std::unique_ptr<UvPipeStream>& stream) {
    if (!fd) return {};
    stream = std::make_unique<UvPipeStream>(loop, end);
    return stream->adopt(std::move(fd));
  }

  ProcessHandler& handler_;
  pid_t pid_ = -1;
  Child* child_ = nullptr;
  std::unique_ptr<UvPipeStream> input_;
  std::unique_ptr<UvPipeStream> output_;
  std::unique_ptr<UvPipeStream> errors_;
};

UvProcesses::UvProcesses(UvLoop& loop, UvProcessesOptions options)
    : loop_(loop),
      use_pidfd_(options.use_pidfd),
      reap_orphans_(options.reap_orphans.value_or(::getpid() == 1)),
      look_(loop.timers(), [](void* self) { static_cast<UvProcesses*>(self)->look(); }, this) {
  std::signal(SIGPIPE, SIG_IGN);
}

UvProcesses::~UvProcesses() {
  for (const auto& [pid, child] : children_) CHECK(child->handle == nullptr);
  wait_for_the_rest();
}

Result<std::unique_ptr<Process>> UvProcesses::spawn(const Command& command,
                                                    ProcessHandler& handler) {
  if (reap_orphans_) watch_signal();
  Result<Spawned> spawned = spawn_child(command);
  if (!spawned) return fail(std::move(spawned.error()));
  auto handle = std::make_unique<Handle>(handler);
  Result<> taken = handle->take(loop_, *spawned);
  // From here on the child is ours to end and to reap, whatever else fails.
  adopt(spawned->pid, command.own_group, *handle);
  if (!taken) return fail(std::move(taken.error()).in("talk to a child"));
  return handle;
}

Result<> UvProcesses::look_for(const Command& command) const {
  return look_for_program(command);
}

void UvProcesses::adopt(pid_t pid, bool own_group, Handle& handle) {
  auto made = std::make_unique<Child>(*this, pid, own_group);
  Child& child = *made;
  children_[pid] = std::move(made);
  child.handle = &handle;
  handle.attach(child);
  if (use_pidfd_) child.pidfd = open_pidfd(pid);
  if (child.pidfd && !child.watcher.open(loop_, child.pidfd.get())) child.pidfd.reset();
  if (child.pidfd) {
    child.watcher.want({.readable = true, .writable = false});
    return;
  }
  watch_signal();
  look_.arm_at(loop_.now_ms());
}

/// The Process is gone: nobody waits for this child any more.
void UvProcesses::release(Child& child) {
  child.handle = nullptr;
  child.send(SIGKILL);
}

void UvProcesses::watch_signal() {
  if (signals_) return;
  signals_.emplace(loop_);
  CHECK(signals_->watch(SIGCHLD, *this).has_value());
}

void UvProcesses::on_signal(int) {
  look();
}

/// SIGCHLDs that come close together arrive as one: look at every child that has no pidfd.
void UvProcesses::look() {
  std::vector<pid_t> pids;
  for (const auto& [pid, child] : children_) {
    if (!child->pidfd) pids.push_back(pid);
  }
  for (const pid_t pid : pids) {
    const auto found = children_.find(pid);
    if (found != children_.end()) look_at(*found->second);
  }
  if (reap_orphans_) reap_orphans();
}

void UvProcesses::look_at(Child& child) {
  const pid_t pid = child.pid;
  if (!has_ended(pid)) return;
  if (child.own_group) child.send(SIGKILL);
  const ExitStatus status = reap(pid);
  Handle* handle = child.handle;
  children_.erase(pid);
  if (handle != nullptr) handle->end(status);
}

void UvProcesses::reap_orphans() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    const auto ours = children_.find(info.si_pid);
    if (ours != children_.end()) {
      look_at(*ours->second);
    } else {
      reap(info.si_pid);
    }
  }
}

void UvProcesses::wait_for_the_rest() {
  for (int looks = 0; !children_.empty() && looks < kLastLooksMax; ++looks) {
    std::erase_if(children_, [](const auto& each) {
      if (!has_ended(each.first)) return false;
      if (each.second->own_group) each.second->send(SIGKILL);
      reap(each.first);
      return true;
    });
    if (children_.empty()) return;
    const timespec pause{.tv_sec = 0, .tv_nsec = kLastLookNs};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace consort::io
