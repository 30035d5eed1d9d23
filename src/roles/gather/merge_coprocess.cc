#include "roles/gather/merge_coprocess.hpp"

#include <algorithm>
#include <utility>

#include "async/event.hpp"
#include "base/check.hpp"
#include "base/options.hpp"
#include "roles/gather/command_run.hpp"
#include "roles/gather/merge_answer_line.hpp"
#include "roles/gather/merge_payload.hpp"

namespace consort::gather {

namespace {

MergeResult failure(bool timed_out, std::string why) {
  return tl::unexpected(MergeFailure{.timed_out = timed_out, .why = std::move(why)});
}

io::Command command_of(const std::string& line) {
  io::Command command;
  command.argv = command_argv(line);
  command.input = io::Stdio::pipe;
  command.output = io::Stdio::pipe;
  command.errors = io::Stdio::pipe;
  return command;
}

}  // namespace

/// A child and the requests that it has not answered.
struct CoprocessMerge::Slot {
  explicit Slot(CoprocessMerge& merge)
      : owner(merge),
        child(merge.services_, command_of(merge.options_.command), merge),
        silence(
            merge.services_.loop.timers(),
            [](void* self) {
              auto& slot = *static_cast<Slot*>(self);
              slot.owner.look_for_silence(slot);
            },
            this) {}

  CoprocessMerge& owner;
  Coprocess child;
  std::map<std::string, Pending*> pending;
  Timer silence;
  std::uint64_t silent_since_ms = 0;
  bool is_stuck = false;  ///< it is being killed for its silence
};

/// A merge under way; lives in its task's frame and leaves every list when that is dropped.
struct CoprocessMerge::Pending {
  Pending(CoprocessMerge& merge, const MergeRequest& of, Deadline deadline)
      : owner(merge),
        request(of),
        timer(
            merge.services_.loop.timers(),
            [](void* self) {
              auto& pending = *static_cast<Pending*>(self);
              pending.owner.on_deadline(pending);
            },
            this) {
    timer.arm_at(deadline.at_ms);
  }
  ~Pending() { leave(); }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  void leave() {
    // Once it is done the merge itself may be gone.
    if (is_done) return;
    if (slot != nullptr) std::exchange(slot, nullptr)->pending.erase(id);
    std::erase(owner.waiting_, this);
    std::erase(owner.finished_, this);
  }

  CoprocessMerge& owner;
  const MergeRequest& request;
  std::string id;        ///< on the wire
  Slot* slot = nullptr;  ///< while a child has it
  std::uint64_t sent_ms = 0;
  Timer timer;
  Event resumed;
  bool is_done = false;
  MergeResult result;
};

CoprocessMerge::CoprocessMerge(const Services& services, CoprocessMergeOptions options)
    : services_(services), options_(std::move(options)) {
  for (std::uint32_t i = 0; i < std::max(options_.processes, 1U); ++i) {
    slots_.push_back(std::make_unique<Slot>(*this));
    slots_.back()->child.start();
  }
}

CoprocessMerge::~CoprocessMerge() {
  if (gone_ != nullptr) *gone_ = true;
}

const MergeStats& CoprocessMerge::stats() const {
  stats_.active = 0;
  stats_.restarts = 0;
  for (const auto& slot : slots_) {
    stats_.active += slot->pending.size();
    stats_.restarts += slot->child.restarts();
  }
  stats_.waiting = waiting_.size();
  return stats_;
}

Task<MergeResult> CoprocessMerge::merge(MergeRequest request, Deadline deadline) {
  ++stats_.runs;
  Pending pending(*this, request, deadline);
  place(pending);
  // A request that could not be placed is already among the finished: they are resumed by events,
  // so this one takes itself out.
  if (std::erase(finished_, &pending) == 0) co_await pending.resumed.wait();
  pending.is_done = true;
  co_return std::move(pending.result);
}

void CoprocessMerge::place(Pending& pending) {
  if (Slot* slot = least_loaded(); slot != nullptr) {
    send(*slot, pending);
  } else if (restarts_soon() && waiting_.size() < options_.waiting_max) {
    waiting_.push_back(&pending);
  } else {
    finish(pending, failure(false, "no merge process runs: " + last_why_));
  }
}

void CoprocessMerge::send(Slot& slot, Pending& pending) {
  pending.id = std::string(pending.request.id) + "-" + std::to_string(next_number_++);
  const std::string line =
      render_document(pending.request, pending.id, PartBodies::include, JsonForm::one_line);
  if (!slot.child.send(line)) {
    finish(pending, failure(false, "the merge does not read what it is sent"));
    return;
  }
  pending.slot = &slot;
  pending.sent_ms = services_.loop.now_ms();
  slot.pending[pending.id] = &pending;
}

/// Its task goes on in wake(), when the event under way has done all of its work.
void CoprocessMerge::finish(Pending& pending, MergeResult result) {
  if (!result) ++(result.error().timed_out ? stats_.timed_out : stats_.failed);
  pending.timer.cancel();
  if (pending.slot != nullptr) std::exchange(pending.slot, nullptr)->pending.erase(pending.id);
  pending.result = std::move(result);
  finished_.push_back(&pending);
}

/// The last of what an event does: any of the tasks may destroy this.
void CoprocessMerge::wake() {
  if (gone_ != nullptr) return;  // a task that is being resumed came back here
  bool gone = false;
  gone_ = &gone;
  while (!finished_.empty()) {
    Pending& first = *finished_.front();
    finished_.pop_front();
    first.is_done = true;
    first.resumed.set();
    if (gone) return;
  }
  gone_ = nullptr;
}

void CoprocessMerge::on_line(Coprocess& child, std::string_view line) {
  Result<AnswerLine> parsed = parse_answer_line(line);
  if (!parsed) {
    child.stop("it wrote a line that is no answer (" + parsed.error().text() +
               "): " + in_quotes(line));
    return;
  }
  Slot& slot = slot_of(child);
  const auto found = slot.pending.find(parsed->id);
  if (found == slot.pending.end()) {
    services_.log.debug("merge.late_answer", {{"id", parsed->id}});
    return;
  }
  Pending& pending = *found->second;
  if (parsed->error.empty()) {
    finish(pending, std::move(parsed->answer));
  } else {
    finish(pending, failure(false, std::move(parsed->error)));
  }
}

void CoprocessMerge::on_up(Coprocess& child) {
  Slot& slot = slot_of(child);
  std::deque<Pending*> waiting = std::exchange(waiting_, {});
  for (Pending* each : waiting) send(slot, *each);
  wake();
}

void CoprocessMerge::on_down(Coprocess& child, const std::string& why) {
  Slot& slot = slot_of(child);
  const bool timed_out = std::exchange(slot.is_stuck, false);
  slot.silence.cancel();
  last_why_ = why;
  while (!slot.pending.empty()) {
    finish(*slot.pending.begin()->second, failure(timed_out, "the merge ended: " + why));
  }
  if (!restarts_soon()) fail_waiting();
  wake();
}

void CoprocessMerge::fail_waiting() {
  for (Pending* each : std::exchange(waiting_, {})) {
    finish(*each, failure(false, "no merge process runs: " + last_why_));
  }
}

void CoprocessMerge::on_deadline(Pending& pending) {
  Slot* slot = pending.slot;
  if (slot == nullptr) {
    std::erase(waiting_, &pending);
    finish(pending, failure(true, "no merge process started in time: " + last_why_));
  } else {
    const std::uint64_t sent_ms = pending.sent_ms;
    finish(pending, failure(true, "it did not answer within its deadline"));
    if (!slot->silence.armed() && slot->child.heard_ms() <= sent_ms) {
      slot->silent_since_ms = sent_ms;
      look_for_silence(*slot);
    }
  }
  wake();
}

/// Kills a child that has said nothing since then, but not before kPatienceMs.
void CoprocessMerge::look_for_silence(Slot& slot) {
  if (!slot.child.is_up() || slot.child.heard_ms() > slot.silent_since_ms) return;
  const std::uint64_t kill_ms =
      slot.silent_since_ms +
      std::max(kPatienceMs, static_cast<std::uint64_t>(options_.patience.count()));
  if (services_.loop.now_ms() < kill_ms) {
    slot.silence.arm_at(kill_ms);
    return;
  }
  slot.is_stuck = true;
  slot.child.stop("it did not answer within the deadline");
}

CoprocessMerge::Slot& CoprocessMerge::slot_of(const Coprocess& child) {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&child](const auto& slot) { return &slot->child == &child; });
  CHECK(found != slots_.end());
  return **found;
}

/// In turn among equals; null when none is up.
CoprocessMerge::Slot* CoprocessMerge::least_loaded() {
  Slot* least = nullptr;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = *slots_[(next_slot_ + i) % slots_.size()];
    if (!slot.child.is_up()) continue;
    if (least == nullptr || slot.pending.size() < least->pending.size()) least = &slot;
  }
  ++next_slot_;
  return least;
}

/// Also true while a child is being stopped for the first time in a while: it comes back.
bool CoprocessMerge::restarts_soon() const {
  const std::uint64_t soon_ms = services_.loop.now_ms() + Coprocess::kBackOffMinMs;
  return std::any_of(slots_.begin(), slots_.end(), [soon_ms](const auto& slot) {
    return slot->child.is_up() || slot->child.is_starting_by(soon_ms);
  });
}

}  // namespace consort::gather
