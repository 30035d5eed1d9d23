#include "roles/gather/command_run.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "base/options.hpp"

namespace consort::gather {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

/// Words that mean something to a shell only, or something else than the program of that name.
constexpr std::array<std::string_view, 40> kShellWords = {
    ".",       ":",        "alias",   "bg",       "break", "builtin", "case",   "cd",
    "command", "continue", "declare", "do",       "done",  "eval",    "exec",   "exit",
    "export",  "fg",       "for",     "function", "hash",  "if",      "jobs",   "let",
    "local",   "read",     "return",  "select",   "set",   "shift",   "source", "time",
    "times",   "trap",     "type",    "ulimit",   "umask", "until",   "wait",   "while"};

bool is_plain(char c) {
  const bool is_alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  constexpr std::string_view kOthers = "_-./,:@%+";
  return is_alphanumeric || kBlanks.find(c) != std::string_view::npos ||
         kOthers.find(c) != std::string_view::npos;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; (at = line.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

CommandOutcome outcome(CommandOutcome::End end, std::string why) {
  CommandOutcome out;
  out.end = end;
  out.why = std::move(why);
  return out;
}

/// What shells mean by their own codes.
std::string in_words(const io::ExitStatus& status) {
  std::string words = status.in_words();
  if (status.signal == 0 && status.code == 127) words += " (command not found)";
  if (status.signal == 0 && status.code == 126) words += " (command not executable)";
  return words;
}

/// A child's standard error, line by line into the log.
class ErrorLog {
 public:
  ErrorLog(Logger& log, const std::string& command, const std::string& id)
      : log_(log), command_(command), id_(id) {}
  ~ErrorLog() { finish(); }
  ErrorLog(const ErrorLog&) = delete;
  ErrorLog& operator=(const ErrorLog&) = delete;

  void add(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t end = std::min(bytes.find('\n'), bytes.size());
      const std::size_t room = CommandRunner::kLogLineBytesMax - line_.size();
      line_.append(bytes.substr(0, std::min(end, room)));
      if (end == bytes.size()) return;
      tell();
      bytes.remove_prefix(end + 1);
    }
  }
  /// What came without a line break at its end, and how much was left out. May be called twice.
  void finish() {
    if (!line_.empty()) tell();
    if (lines_ > CommandRunner::kLogLinesMax) {
      log_.info(
          "command.stderr_cut",
          {{"command", command_}, {"id", id_}, {"lines", lines_ - CommandRunner::kLogLinesMax}});
    }
    lines_ = 0;
  }

 private:
  void tell() {
    if (++lines_ <= CommandRunner::kLogLinesMax) {
      log_.info("command.stderr", {{"command", command_}, {"id", id_}, {"line", line_}});
    }
    line_.clear();
  }

  Logger& log_;
  const std::string& command_;
  const std::string& id_;
  std::string line_;
  int lines_ = 0;
};

}  // namespace

std::vector<std::string> command_argv(std::string_view line) {
  std::vector<std::string> words = words_of(line);
  const bool is_for_shell =
      !std::all_of(line.begin(), line.end(), is_plain) ||
      (!words.empty() && std::count(kShellWords.begin(), kShellWords.end(), words.front()) > 0);
  if (is_for_shell) return {"/bin/sh", "-c", std::string(line)};
  return words;
}

void warn_if_missing(const Services& services, std::string_view line) {
  io::Command command;
  command.argv = command_argv(line);
  const Result<> found = services.processes.look_for(command);
  if (found) return;
  services.log.warn("command.missing",
                    {{"reason", found.error().text()},
                     {"hint", "until it is there, requests that need it are answered with 502"}});
}

/// A place among the running, or in line for one; given back by the destructor.
class CommandRunner::Ticket {
 public:
  explicit Ticket(CommandRunner& runner) : runner_(runner) {
    has_place_ = runner.line_.empty() && runner.running_ < runner.options_.processes_max;
    if (has_place_) {
      ++runner.running_;
    } else {
      runner.line_.push_back(this);
    }
    runner.tell_gauges();
  }
  ~Ticket() {
    if (!has_place_) {
      runner_.line_.remove(this);
      runner_.tell_gauges();
      return;
    }
    --runner_.running_;
    runner_.tell_gauges();
    // Later, since a start that fails gives its place back at once: no recursion along the line.
    if (!runner_.line_.empty()) runner_.grant_.arm_at(runner_.services_.loop.now_ms());
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  bool has_place() const { return has_place_; }
  void take_place() {
    has_place_ = true;
    ++runner_.running_;
    runner_.tell_gauges();
  }
  Event called;  ///< there is a place, or the deadline has passed

 private:
  CommandRunner& runner_;
  bool has_place_ = false;
};

/// From the start to the exit. `over` is set last in each callback: whoever waits may destroy this.
class CommandRunner::Run final : public io::ProcessHandler {
 public:
  Run(CommandRunner& runner, std::unique_ptr<Ticket> ticket, CommandRun wanted)
      : runner_(runner),
        ticket_(std::move(ticket)),
        wanted_(std::move(wanted)),
        log_(runner.services_.log, wanted_.command.argv.front(), wanted_.id),
        deadline_(
            timers(), [](void* self) { static_cast<Run*>(self)->on_deadline(); }, this),
        later_(timers(), [](void* self) { static_cast<Run*>(self)->on_later(); }, this) {}

  Result<> start() {
    io::Command& command = wanted_.command;
    command.input = wanted_.input.empty() ? io::Stdio::null : io::Stdio::pipe;
    command.output = io::Stdio::pipe;
    command.errors = io::Stdio::pipe;
    const auto left = wanted_.deadline.left(runner_.services_.loop.now_ms());
    if (!wanted_.deadline.is_never()) {
      command.environment.push_back("CONSORT_DEADLINE_MS=" + std::to_string(left.count()));
    }
    auto process = runner_.services_.processes.spawn(command, *this);
    if (!process) return fail(std::move(process.error()));
    process_ = std::move(*process);
    process_->output()->set_handler(output_);
    process_->errors()->set_handler(errors_);
    deadline_.arm_at(wanted_.deadline.at_ms);
    if (process_->input() == nullptr) return {};
    input_rest_ = wanted_.input;
    process_->input()->set_handler(input_);
    push_input();
    return {};
  }

  Event over;
  /// Once it is over.
  CommandOutcome take_outcome() { return std::move(outcome_); }
  /// Its time is up, but the child has been asked to end and may take a moment.
  bool is_dying() const { return is_dying_; }

  void on_exit(const io::ExitStatus& status) override {
    if (is_dying_) {
      runner_.bury(*this);
      return;
    }
    has_exited_ = true;
    outcome_.status = status;
    if (!status.is_success()) outcome_.why = in_words(status);
    if (!finish_if_ended()) later_.arm_at(runner_.services_.loop.now_ms() + kLingerMs);
  }

 private:
  struct Input final : io::StreamHandler {
    explicit Input(Run& owner) : run(owner) {}
    void on_data(std::string_view) override {}
    void on_writable() override { run.push_input(); }
    // A command need not read all of its input: its exit code says whether it is content.
    void on_end(const Error&) override { run.process_->close_input(); }
    Run& run;
  };
  struct Output final : io::StreamHandler {
    explicit Output(Run& owner) : run(owner) {}
    void on_data(std::string_view bytes) override { run.on_output(bytes); }
    void on_writable() override {}
    void on_end(const Error&) override {
      has_ended = true;
      run.finish_if_ended();
    }
    Run& run;
    bool has_ended = false;
  };
  struct Errors final : io::StreamHandler {
    explicit Errors(Run& owner) : run(owner) {}
    void on_data(std::string_view bytes) override { run.log_.add(bytes); }
    void on_writable() override {}
    void on_end(const Error&) override {
      has_ended = true;
      run.finish_if_ended();
    }
    Run& run;
    bool has_ended = false;
  };

  TimerQueue& timers() { return runner_.services_.loop.timers(); }

  void push_input() {
    const Result<std::size_t> taken = process_->input()->try_write(input_rest_);
    if (!taken) return;  // on_end follows
    input_rest_.remove_prefix(*taken);
    if (input_rest_.empty()) {
      process_->close_input();
      wanted_.input = std::string();
    } else {
      process_->input()->want_writable();
    }
  }

  void on_output(std::string_view bytes) {
    if (is_dying_) return;
    const std::size_t most = runner_.options_.output_bytes_max;
    if (bytes.size() > most - outcome_.output.size()) {
      outcome_ = outcome(CommandOutcome::End::too_large,
                         "its output is larger than " + Text<ByteSize>::print({most}));
      finish();
      return;
    }
    outcome_.output.append(bytes);
  }

  void on_deadline() {
    if (has_exited_) {
      finish();
      return;
    }
    outcome_ = outcome(CommandOutcome::End::timed_out, "it did not end within its deadline");
    is_dying_ = true;
    process_->signal(SIGTERM);
    later_.arm_at(runner_.services_.loop.now_ms() + kTermMs);
    over.set();
  }

  void on_later() {
    if (is_dying_) {
      process_->signal(SIGKILL);
    } else {
      finish();
    }
  }

  bool finish_if_ended() {
    if (is_dying_ || !has_exited_ || !output_.has_ended || !errors_.has_ended) return false;
    finish();
    return true;
  }

  void finish() {
    deadline_.cancel();
    later_.cancel();
    over.set();
  }

  CommandRunner& runner_;
  std::unique_ptr<Ticket> ticket_;
  CommandRun wanted_;  // with the scratch directory: after the process in destruction
  CommandOutcome outcome_;
  std::string_view input_rest_;
  Input input_{*this};
  Output output_{*this};
  Errors errors_{*this};
  ErrorLog log_;
  bool has_exited_ = false;
  bool is_dying_ = false;
  Timer deadline_;
  Timer later_;  // the linger after an exit, or SIGKILL after SIGTERM
  std::unique_ptr<io::Process> process_;
};

CommandRunner::CommandRunner(const Services& services, RunnerOptions options)
    : services_(services),
      options_(options),
      grant_(
          services.loop.timers(), [](void* self) { static_cast<CommandRunner*>(self)->grant(); },
          this) {}

CommandRunner::~CommandRunner() {
  dying_.clear();
}

Task<CommandOutcome> CommandRunner::run(CommandRun wanted) {
  const Deadline deadline = wanted.deadline;
  if (line_.size() >= options_.waiting_max && running_ >= options_.processes_max) {
    co_return outcome(CommandOutcome::End::busy, "too many requests wait for a process");
  }
  auto ticket = std::make_unique<Ticket>(*this);
  if (!ticket->has_place()) {
    auto on_deadline = [](void* called) { static_cast<Event*>(called)->set(); };
    Timer timer(services_.loop.timers(), on_deadline, &ticket->called);
    timer.arm_at(deadline.at_ms);
    co_await ticket->called.wait();
  }
  if (!ticket->has_place() || deadline.passed(services_.loop.now_ms())) {
    co_return outcome(CommandOutcome::End::timed_out, "no process became free in time");
  }
  Result<> ready = wanted.prepare ? wanted.prepare(wanted) : Result<>();
  if (!ready) {
    co_return outcome(CommandOutcome::End::not_started, ready.error().message());
  }
  if (wanted.command.argv.empty()) {
    co_return outcome(CommandOutcome::End::not_started, "there is no command to run");
  }
  auto started = std::make_unique<Run>(*this, std::move(ticket), std::move(wanted));
  Result<> running = started->start();
  if (!running) {
    co_return outcome(CommandOutcome::End::not_started, running.error().message());
  }
  co_await started->over.wait();
  CommandOutcome result = started->take_outcome();
  if (started->is_dying()) let_die(std::move(started));
  co_return result;
}

/// Whoever is called goes on within the call, and may leave the line or join it.
void CommandRunner::grant() {
  while (!line_.empty() && running_ < options_.processes_max) {
    Ticket* first = line_.front();
    line_.pop_front();
    first->take_place();
    first->called.set();
  }
}

void CommandRunner::tell_gauges() {
  if (options_.running != nullptr) options_.running->set(static_cast<std::int64_t>(running_));
  if (options_.waiting != nullptr) options_.waiting->set(static_cast<std::int64_t>(line_.size()));
}

void CommandRunner::let_die(std::unique_ptr<Run> run) {
  dying_.push_back(std::move(run));
}

void CommandRunner::bury(Run& run) {
  const auto found = std::find_if(dying_.begin(), dying_.end(),
                                  [&run](const auto& each) { return each.get() == &run; });
  if (found != dying_.end()) dying_.erase(found);
}

}  // namespace consort::gather
