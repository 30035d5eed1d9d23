#include "roles/gather/coprocess.hpp"

#include <algorithm>
#include <utility>

namespace consort::gather {

Coprocess::Coprocess(const Services& services, io::Command command, CoprocessHandler& handler)
    : services_(services),
      command_(std::move(command)),
      handler_(handler),
      restart_(
          services.loop.timers(), [](void* self) { static_cast<Coprocess*>(self)->on_restart(); },
          this),
      stop_timer_(
          services.loop.timers(),
          [](void* self) {
            auto& child = *static_cast<Coprocess*>(self);
            child.go_down(child.stopped_.value_or(std::string()));
          },
          this) {}

Coprocess::~Coprocess() = default;

void Coprocess::start() {
  restart_.arm_at(services_.loop.now_ms());
}

void Coprocess::on_restart() {
  auto process = services_.processes.spawn(command_, *this);
  ++starts_;
  up_ms_ = heard_ms_ = services_.loop.now_ms();
  if (!process) {
    go_down(process.error().message());
    return;
  }
  process_ = std::move(*process);
  process_->input()->set_handler(input_);
  process_->output()->set_handler(output_);
  process_->errors()->set_handler(errors_);
  services_.log.info("merge.started",
                     {{"command", command_.argv.front()}, {"child", process_->pid()}});
  handler_.on_up(*this);
}

bool Coprocess::send(std::string_view line) {
  if (!is_up()) return false;
  if (!unread_.empty() && unread_.size() + line.size() > kUnreadBytesMax) return false;
  const bool was_empty = unread_.empty();
  unread_.append(line);
  unread_.append('\n');
  if (was_empty) push();
  return true;
}

void Coprocess::push() {
  const Result<std::size_t> taken = process_->input()->try_write(unread_.view());
  if (!taken) return;
  unread_.consume(*taken);
  if (!unread_.empty()) process_->input()->want_writable();
}

void Coprocess::stop(std::string why) {
  if (!is_up()) return;
  stopped_ = std::move(why);
  stop_timer_.arm_at(services_.loop.now_ms());
}

void Coprocess::on_output(std::string_view bytes) {
  heard_ms_ = services_.loop.now_ms();
  while (!bytes.empty() && !stopped_) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > kLineBytesMax) {
      stop("it wrote a line of more than 64MiB");
      break;
    }
    if (end == std::string_view::npos) {
      line_.append(piece);
      break;
    }
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      take_line(piece);
    } else {
      line_.append(piece);
      const std::string whole = std::exchange(line_, {});
      take_line(whole);
    }
  }
  handler_.on_lines_end();
}

void Coprocess::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!line.empty()) handler_.on_line(*this, line);
}

/// Most often it exits, and the exit code says more.
void Coprocess::on_output_end() {
  if (!is_up()) return;
  output_ended_ = true;
  stopped_ = "it closed its output";
  stop_timer_.arm_at(services_.loop.now_ms() + kExitMs);
}

void Coprocess::on_exit(const io::ExitStatus& status) {
  go_down(stopped_ && !output_ended_ ? *stopped_ : status.in_words());
}

/// The last of what a call does: the handler may destroy this.
void Coprocess::go_down(std::string why) {
  const std::uint64_t now_ms = services_.loop.now_ms();
  const bool was_healthy = process_ != nullptr && now_ms - up_ms_ >= kHealthyMs;
  back_off_ms_ =
      was_healthy || back_off_ms_ == 0 ? kBackOffMinMs : std::min(back_off_ms_ * 2, kBackOffMaxMs);
  restart_.arm_at(now_ms + back_off_ms_);
  stop_timer_.cancel();
  stopped_.reset();
  output_ended_ = false;
  process_.reset();
  unread_.clear();
  line_ = std::string();
  if (!error_line_.empty()) log_error_line();
  services_.log.warn(
      "merge.ended",
      {{"command", command_.argv.front()}, {"error", why}, {"restart_ms", back_off_ms_}});
  handler_.on_down(*this, why);
}

void Coprocess::log_errors(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::size_t room = kLogLineBytesMax - error_line_.size();
    error_line_.append(bytes.substr(0, std::min(end, room)));
    if (end == bytes.size()) return;
    log_error_line();
    bytes.remove_prefix(end + 1);
  }
}

/// What is over the rate is left out; the first line of a later second says nothing of it, as a
/// child that writes without end would fill the log with such counts.
void Coprocess::log_error_line() {
  const std::uint64_t second = services_.loop.now_ms() / 1000;
  if (second != std::exchange(log_second_, second)) log_lines_ = 0;
  if (++log_lines_ <= kLogLinesMax) {
    services_.log.info("command.stderr",
                       {{"command", command_.argv.front()}, {"line", error_line_}});
  }
  error_line_.clear();
}

}  // namespace consort::gather
