// Children that a test scripts: no program runs, the test plays it.
//
//   world.processes.on_spawn = [](sim::SimChild& child) { child.exit(3); };
//   auto& child = world.processes.last();
//   CHECK(child.command().argv[0] == "merge");
//   child.write("hello");  child.exit(0);  world.loop.settle();
//   CHECK(child.input() == "request");  CHECK(child.input_ended());  CHECK(child.was_killed());
//   world.processes.refuse(Error(Errc::not_found, "cannot run \"mrge\""));
#pragma once

#include <csignal>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/process.hpp"
#include "sim/connection.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

/// The test's end of a child. Lives as long as its SimProcesses.
class SimChild {
 public:
  SimChild(SimLoop& loop, io::Command command, pid_t pid)
      : loop_(loop), command_(std::move(command)), pid_(pid) {}
  SimChild(const SimChild&) = delete;
  SimChild& operator=(const SimChild&) = delete;

  const io::Command& command() const { return command_; }
  /// The value of a variable that the command sets; "none" without it.
  std::string variable(std::string_view name) const {
    for (const std::string& each : command_.environment) {
      if (each.starts_with(std::string(name) + "=")) return each.substr(name.size() + 1);
    }
    return "none";
  }
  /// What the child has read so far and was not taken.
  const std::string& input() const { return input_->received(); }
  std::string take_input() { return input_->take(); }
  bool input_ended() const { return input_->ended(); }
  /// Run when input arrived or ended.
  void on_input(std::function<void(SimChild&)> told) {
    input_->on_data = [this, told = std::move(told)](SimPeer&) { told(*this); };
  }
  void write(std::string_view bytes) { output_->send(bytes); }
  void write_errors(std::string_view bytes) { errors_->send(bytes); }
  void close_output() { output_->close(); }
  /// Ends by itself: its pipes close, then it is reaped.
  void exit(int code) { end({.code = code, .signal = 0}); }
  void end(io::ExitStatus status) {
    if (std::exchange(ended_, true)) return;
    if (output_) output_->close();
    if (errors_) errors_->close();
    loop_.after(0, [this, status] {
      if (handler_ != nullptr) std::exchange(handler_, nullptr)->on_exit(status);
    });
  }

  /// Signals that the code sent, by number. Killing is one of them.
  const std::vector<int>& signals() const { return signals_; }
  /// The Process was destroyed, or SIGKILL was sent, before the child ended.
  bool was_killed() const { return killed_; }
  bool has_ended() const { return ended_; }
  /// A child that ignores it (the default is to end at once).
  bool ignores_term = false;

 private:
  friend class SimProcesses;
  friend class SimProcess;

  void signal(int number) {
    if (ended_) return;
    signals_.push_back(number);
    if (number == SIGKILL) killed_ = true;
    const bool ends = number == SIGKILL || (number == SIGTERM && !ignores_term);
    if (ends) end({.code = 0, .signal = number});
  }

  SimLoop& loop_;
  const io::Command command_;
  const pid_t pid_;
  io::ProcessHandler* handler_ = nullptr;
  std::shared_ptr<SimPeer> input_;
  std::shared_ptr<SimPeer> output_;
  std::shared_ptr<SimPeer> errors_;
  std::vector<int> signals_;
  bool ended_ = false;
  bool killed_ = false;
};

/// The code's end.
class SimProcess final : public io::Process {
 public:
  SimProcess(SimLoop& loop, SimChild& child) : child_(child) {
    const io::Command& command = child.command();
    open(loop, command.input, child.input_, input_);
    open(loop, command.output, child.output_, output_);
    open(loop, command.errors, child.errors_, errors_);
  }
  ~SimProcess() override {
    child_.handler_ = nullptr;
    child_.signal(SIGKILL);
  }

  io::Stream* input() override { return input_.get(); }
  io::Stream* output() override { return output_.get(); }
  io::Stream* errors() override { return errors_.get(); }
  void close_input() override { input_.reset(); }
  void signal(int number) override { child_.signal(number); }
  pid_t pid() const override { return child_.pid_; }

 private:
  static void open(SimLoop& loop, io::Stdio kind, std::shared_ptr<SimPeer>& theirs,
                   std::unique_ptr<SimStream>& ours) {
    if (kind != io::Stdio::pipe) return;
    theirs = std::make_shared<SimPeer>(loop, 1, Conditions{});
    ours = std::make_unique<SimStream>(theirs, SimStream::State::open);
  }

  SimChild& child_;
  std::unique_ptr<SimStream> input_;
  std::unique_ptr<SimStream> output_;
  std::unique_ptr<SimStream> errors_;
};

class SimProcesses final : public io::Processes {
 public:
  explicit SimProcesses(SimLoop& loop) : loop_(loop) {}

  /// Run for each child, before spawn() returns.
  std::function<void(SimChild&)> on_spawn;
  /// Every further spawn fails with this.
  void refuse(Error why) { refusal_.emplace(std::move(why)); }
  void allow() { refusal_.reset(); }

  /// All children ever started, in order.
  std::size_t size() const { return children_.size(); }
  SimChild& at(std::size_t index) { return children_.at(index); }
  SimChild& last() { return children_.back(); }
  std::size_t alive() const {
    std::size_t count = 0;
    for (const SimChild& child : children_) count += child.has_ended() ? 0 : 1;
    return count;
  }

  Result<std::unique_ptr<io::Process>> spawn(const io::Command& command,
                                             io::ProcessHandler& handler) override {
    if (refusal_) return fail(refusal_->clone());
    constexpr pid_t kFirstPid = 1000;
    SimChild& child =
        children_.emplace_back(loop_, command, kFirstPid + static_cast<pid_t>(children_.size()));
    child.handler_ = &handler;
    std::unique_ptr<io::Process> process = std::make_unique<SimProcess>(loop_, child);
    if (on_spawn) on_spawn(child);
    return process;
  }
  Result<> look_for(const io::Command&) const override {
    return refusal_ ? Result<>(fail(refusal_->clone())) : Result<>();
  }

 private:
  SimLoop& loop_;
  std::deque<SimChild> children_;
  std::optional<Error> refusal_;
};

}  // namespace consort::sim
