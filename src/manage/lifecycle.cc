#include "manage/lifecycle.hpp"

#include <algorithm>
#include <utility>

namespace consort {

namespace {

struct Edge {
  State from;
  State to;
};

constexpr Edge kEdges[] = {
    {State::created, State::initializing},  {State::created, State::failed},
    {State::initializing, State::starting}, {State::initializing, State::draining},
    {State::initializing, State::failed},   {State::starting, State::ready},
    {State::starting, State::unready},      {State::starting, State::draining},
    {State::starting, State::failed},       {State::ready, State::unready},
    {State::ready, State::draining},        {State::ready, State::stopping},
    {State::ready, State::failed},          {State::unready, State::ready},
    {State::unready, State::draining},      {State::unready, State::stopping},
    {State::unready, State::failed},        {State::draining, State::stopping},
    {State::draining, State::failed},       {State::stopping, State::stopped},
    {State::stopping, State::failed},
};

std::size_t index(State state) {
  return static_cast<std::size_t>(state);
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case State::created:
      return "CREATED";
    case State::initializing:
      return "INITIALIZING";
    case State::starting:
      return "STARTING";
    case State::ready:
      return "READY";
    case State::unready:
      return "UNREADY";
    case State::draining:
      return "DRAINING";
    case State::stopping:
      return "STOPPING";
    case State::stopped:
      return "STOPPED";
    case State::failed:
      return "FAILED";
  }
  return "UNKNOWN";
}

bool is_legal(State from, State to) {
  return std::any_of(std::begin(kEdges), std::end(kEdges),
                     [=](const Edge& edge) { return edge.from == from && edge.to == to; });
}

bool has_started(State state) {
  return state >= State::ready && state != State::failed;
}

bool is_ending(State state) {
  return state >= State::draining;
}

Lifecycle::Lifecycle(Clock clock) : clock_(std::move(clock)), born_(clock_()) {
  current_.at = born_;
  current_.cause = "process start";
}

Result<Transition> Lifecycle::move_to(State to, std::string cause, std::uint64_t deadline_mono_ms) {
  Transition made;
  {
    std::lock_guard lock(mutex_);
    if (!is_legal(current_.to, to)) {
      std::string text = "no transition from ";
      text.append(to_string(current_.to)).append(" to ").append(to_string(to));
      return fail(Errc::invalid, std::move(text));
    }
    made.seq = current_.seq + 1;
    made.from = current_.to;
    made.to = to;
    made.at = clock_();
    made.cause = std::move(cause);
    made.deadline_mono_ms = deadline_mono_ms;
    current_ = made;
    ++counts_[index(made.from)][index(made.to)];
    history_.push_back(made);
    if (history_.size() > kHistory) history_.pop_front();
  }
  if (listener_) listener_(made);
  return made;
}

Transition Lifecycle::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

std::vector<Transition> Lifecycle::history() const {
  std::lock_guard lock(mutex_);
  return {history_.begin(), history_.end()};
}

std::uint64_t Lifecycle::count(State from, State to) const {
  std::lock_guard lock(mutex_);
  return counts_[index(from)][index(to)];
}

}  // namespace consort
