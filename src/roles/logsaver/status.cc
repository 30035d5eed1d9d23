#include "roles/logsaver/status.hpp"

#include <utility>

namespace consort::logsaver {
namespace {

constexpr std::uint64_t kLookMs = 10'000;

}  // namespace

void Status::update(std::uint64_t now_ms, const Others& others) {
  look_at_files(now_ms);
  check_files();
  check_sinks();
  const StandardInput* input = others.input;
  if (input != nullptr) {
    set("stdin", input->trouble(),
        std::to_string(input->unsettled_bytes()) + " bytes have not arrived yet");
  }
  if (others.scavenger != nullptr) set("scavenger", "", others.scavenger->describe());
  metrics_.update({.files = sums_,
                   .now_ms = now_ms,
                   .throttled_ms = others.throttled_ms,
                   .unsaved_of_stdin = input == nullptr ? 0 : input->unsettled_bytes()});
}

/// No trouble of ours takes the application's pod out of service, so no check gates readiness.
void Status::set(std::string_view name, const std::string& trouble, std::string fine) {
  const bool is_fine = trouble.empty();
  checks_.set(name, is_fine ? Health::pass : Health::warn, is_fine ? std::move(fine) : trouble,
              false);
}

/// Ten thousand files that nobody writes to are not looked at each second.
void Status::look_at_files(std::uint64_t now_ms) {
  std::uint64_t moved = saver_.follower().tails().size();
  for (const auto& delivery : saver_.deliveries()) {
    moved += delivery->counters().read_bytes + delivery->counters().settled_bytes;
  }
  const bool is_quiet = saver_.is_idle();
  const bool is_same = is_quiet && is_quiet_ && moved == moved_;
  if (is_same && now_ms < look_at_ms_) return;
  is_quiet_ = is_quiet;
  moved_ = moved;
  look_at_ms_ = now_ms + kLookMs;
  sums_ = saver_.file_sums();
}

void Status::check_files() {
  const Follower& follower = saver_.follower();
  const auto& unreadable = follower.unreadable();
  std::string trouble;
  if (!unreadable.empty()) {
    trouble = unreadable.begin()->second;
    if (unreadable.size() > 1) {
      trouble += " (and " + std::to_string(unreadable.size() - 1) + " more, see /files)";
    }
  }
  set("files", trouble, std::to_string(follower.tails().size()) + " files");
  const std::string& polling = follower.tree().degraded();
  set("watches", polling.empty() ? "" : "polling: " + polling, "the kernel tells of changes");
  if (sums_.unsafe_bytes > 0) {
    set("spool",
        std::to_string(sums_.unsafe_bytes) + " bytes of deleted files would not survive a restart",
        "");
  } else {
    checks_.remove("spool");
  }
}

void Status::check_sinks() {
  std::string journal_error;
  std::string wrong;
  for (const auto& delivery : saver_.deliveries()) {
    const std::string& name = delivery->sink().name();
    const std::string& error = delivery->last_error();
    if (!delivery->journal_error().empty()) journal_error = delivery->journal_error();
    if (!delivery->adds_up()) wrong += (wrong.empty() ? "" : ", ") + name;
    set("sink " + name, delivery->is_held() ? "held, tried each 30 s: " + error : error, "ok");
  }
  set("state", journal_error, "ok");
  if (!wrong.empty()) {
    set("sums",
        "read is not acknowledged + lost + waiting: a bug, please report it (" + wrong + ")", "");
  } else {
    checks_.remove("sums");
  }
}

}  // namespace consort::logsaver
