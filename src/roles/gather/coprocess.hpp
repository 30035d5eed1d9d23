// One long-lived child that is written lines and answers in lines; started again when it ends.
//
//   down --start()--> up --exit, garbage, stop()--> down --back-off 100 ms .. 10 s--> up
//                      \-- 10 s of life: the next back-off is 100 ms again
//
// It knows nothing of what the lines mean. Belongs to the role's loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/timer.hpp"
#include "base/bytes.hpp"
#include "io/process.hpp"
#include "manage/role.hpp"

namespace consort::gather {

class Coprocess;

class CoprocessHandler {
 public:
  /// One line without its end; never empty. May stop() the child, but not destroy it.
  virtual void on_line(Coprocess& child, std::string_view line) = 0;
  /// After the lines of one delivery; may destroy the child.
  virtual void on_lines_end() = 0;
  /// The child is up, and takes lines. May destroy it.
  virtual void on_up(Coprocess& child) = 0;
  /// The child is down, in words; also when it could not be started. May destroy it.
  virtual void on_down(Coprocess& child, const std::string& why) = 0;

 protected:
  ~CoprocessHandler() = default;
};

class Coprocess final : public io::ProcessHandler {
 public:
  static constexpr std::uint64_t kBackOffMinMs = 100;
  static constexpr std::uint64_t kBackOffMaxMs = 10'000;
  static constexpr std::uint64_t kHealthyMs = 10'000;
  /// Longer lines are garbage.
  static constexpr std::size_t kLineBytesMax = 64UL << 20;
  /// Lines that the child has not read; the first one may be larger.
  static constexpr std::size_t kUnreadBytesMax = 64UL << 20;
  static constexpr std::size_t kLogLineBytesMax = 1000;
  /// Of its standard error, per second.
  static constexpr int kLogLinesMax = 20;
  /// Between the end of its output and its exit; a child that lives on after that is killed.
  static constexpr std::uint64_t kExitMs = 50;

  Coprocess(const Services& services, io::Command command, CoprocessHandler& handler);
  Coprocess(const Coprocess&) = delete;
  Coprocess& operator=(const Coprocess&) = delete;
  ~Coprocess();

  /// on_up() or on_down() follows, never during the call.
  void start();
  /// It runs, and is not being stopped.
  bool is_up() const { return process_ != nullptr && !stopped_; }
  /// It is down, or about to be, and is started again by then.
  bool is_starting_by(std::uint64_t at_ms) const {
    return restart_.armed() ? restart_.at() <= at_ms : stopped_.has_value();
  }
  std::uint64_t restarts() const { return starts_ > 0 ? starts_ - 1 : 0; }
  /// False when the child does not read what it was sent: nothing of the line was taken.
  bool send(std::string_view line);
  /// When bytes last came from it, or when it came up.
  std::uint64_t heard_ms() const { return heard_ms_; }
  /// Kills it; on_down() follows, never during the call.
  void stop(std::string why);

  void on_exit(const io::ExitStatus& status) override;

 private:
  struct Input final : io::StreamHandler {
    explicit Input(Coprocess& owner) : child(owner) {}
    void on_data(std::string_view) override {}
    void on_writable() override { child.push(); }
    void on_end(const Error&) override {}  // its exit follows, or a deadline finds out
    Coprocess& child;
  };
  struct Output final : io::StreamHandler {
    explicit Output(Coprocess& owner) : child(owner) {}
    void on_data(std::string_view bytes) override { child.on_output(bytes); }
    void on_writable() override {}
    void on_end(const Error&) override { child.on_output_end(); }
    Coprocess& child;
  };
  struct Errors final : io::StreamHandler {
    explicit Errors(Coprocess& owner) : child(owner) {}
    void on_data(std::string_view bytes) override { child.log_errors(bytes); }
    void on_writable() override {}
    void on_end(const Error&) override {}
    Coprocess& child;
  };

  void push();
  void on_output(std::string_view bytes);
  void on_output_end();
  void take_line(std::string_view line);
  void log_errors(std::string_view bytes);
  void log_error_line();
  void on_restart();
  void go_down(std::string why);

  const Services services_;
  const io::Command command_;
  CoprocessHandler& handler_;
  ByteQueue unread_;  ///< for the child
  std::string line_;  ///< of its output, not ended yet
  std::string error_line_;
  std::uint64_t log_second_ = 0;
  int log_lines_ = 0;
  std::uint64_t starts_ = 0;
  std::uint64_t up_ms_ = 0;
  std::uint64_t heard_ms_ = 0;
  std::uint64_t back_off_ms_ = 0;
  std::optional<std::string> stopped_;  ///< why; told by stop_timer_
  bool output_ended_ = false;
  Input input_{*this};
  Output output_{*this};
  Errors errors_{*this};
  Timer restart_;
  Timer stop_timer_;
  std::unique_ptr<io::Process> process_;
};

}  // namespace consort::gather
