#include "manage/lifecycle.hpp"

#include <doctest/doctest.h>

#include <set>
#include <utility>

using namespace consort;

namespace {

Clock ticking() {
  return [now = std::uint64_t{100}]() mutable {
    now += 10;
    return Moment{.mono_ms = now, .wall_ms = static_cast<std::int64_t>(now) + 1'000'000};
  };
}

State state_at(std::size_t index) {
  return static_cast<State>(index);
}

// A way from CREATED to each state, so that every pair can be tried from a real machine.
std::vector<State> way_to(State state) {
  switch (state) {
    case State::created:
      return {};
    case State::initializing:
      return {State::initializing};
    case State::starting:
      return {State::initializing, State::starting};
    case State::ready:
      return {State::initializing, State::starting, State::ready};
    case State::unready:
      return {State::initializing, State::starting, State::unready};
    case State::draining:
      return {State::initializing, State::draining};
    case State::stopping:
      return {State::initializing, State::draining, State::stopping};
    case State::stopped:
      return {State::initializing, State::draining, State::stopping, State::stopped};
    case State::failed:
      return {State::failed};
  }
  return {};
}

}  // namespace

TEST_CASE("the table holds exactly the transitions of the picture") {
  using S = State;
  const std::set<std::pair<S, S>> legal = {
      {S::created, S::initializing},  {S::created, S::failed},      {S::initializing, S::starting},
      {S::initializing, S::draining}, {S::initializing, S::failed}, {S::starting, S::ready},
      {S::starting, S::unready},      {S::starting, S::draining},   {S::starting, S::failed},
      {S::ready, S::unready},         {S::ready, S::draining},      {S::ready, S::stopping},
      {S::ready, S::failed},          {S::unready, S::ready},       {S::unready, S::draining},
      {S::unready, S::stopping},      {S::unready, S::failed},      {S::draining, S::stopping},
      {S::draining, S::failed},       {S::stopping, S::stopped},    {S::stopping, S::failed}};
  for (std::size_t from = 0; from < kStates; ++from) {
    for (std::size_t to = 0; to < kStates; ++to) {
      CAPTURE(to_string(state_at(from)));
      CAPTURE(to_string(state_at(to)));
      CHECK(is_legal(state_at(from), state_at(to)) ==
            legal.contains({state_at(from), state_at(to)}));
    }
  }
}

TEST_CASE("every pair of states is either moved or refused without any change") {
  for (std::size_t from = 0; from < kStates; ++from) {
    for (std::size_t to = 0; to < kStates; ++to) {
      Lifecycle life(ticking());
      for (State step : way_to(state_at(from))) REQUIRE(life.move_to(step, "way"));
      Transition before = life.current();
      auto moved = life.move_to(state_at(to), "pair", 77);
      CHECK(moved.has_value() == is_legal(state_at(from), state_at(to)));
      if (moved) {
        CHECK(moved->seq == before.seq + 1);
        CHECK(moved->from == state_at(from));
        CHECK(life.state() == state_at(to));
        CHECK(life.current().deadline_mono_ms == 77);
        CHECK(life.count(state_at(from), state_at(to)) > 0);
      } else {
        CHECK(moved.error().code() == Errc::invalid);
        CHECK(life.current().seq == before.seq);
        CHECK(life.state() == before.to);
      }
    }
  }
}

TEST_CASE("a transition has a number, both times and its cause") {
  Lifecycle life(ticking());
  CHECK(life.born().mono_ms == 110);
  REQUIRE(life.move_to(State::initializing, "configuration is valid"));
  Transition now = life.current();
  CHECK(now.seq == 1);
  CHECK(now.at.mono_ms == 120);
  CHECK(now.at.wall_ms == 1'000'120);
  CHECK(now.cause == "configuration is valid");
}

TEST_CASE("the history keeps the newest transitions and the counts keep all") {
  Lifecycle life(ticking());
  for (State step : way_to(State::ready)) REQUIRE(life.move_to(step, "start"));
  for (int i = 0; i < 300; ++i) {
    REQUIRE(life.move_to(State::unready, "check"));
    REQUIRE(life.move_to(State::ready, "check"));
  }
  auto history = life.history();
  CHECK(history.size() == Lifecycle::kHistory);
  CHECK(history.back().seq == 603);
  CHECK(history.front().seq == 603 - Lifecycle::kHistory + 1);
  CHECK(life.count(State::ready, State::unready) == 300);
}

TEST_CASE("the listener hears of moves and not of refusals") {
  Lifecycle life(ticking());
  std::vector<std::uint64_t> heard;
  life.set_listener([&](const Transition& made) { heard.push_back(made.seq); });
  REQUIRE(life.move_to(State::initializing, "a"));
  CHECK_FALSE(life.move_to(State::stopped, "b"));
  REQUIRE(life.move_to(State::starting, "c"));
  CHECK(heard == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("started and ending are facts of the state alone") {
  CHECK_FALSE(has_started(State::starting));
  CHECK(has_started(State::unready));
  CHECK(has_started(State::draining));
  CHECK_FALSE(has_started(State::failed));
  CHECK_FALSE(is_ending(State::unready));
  CHECK(is_ending(State::draining));
  CHECK(is_ending(State::failed));
}

TEST_CASE("times print as RFC 3339") {
  CHECK(to_rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(to_rfc3339(951'782'400'123) == "2000-02-29T00:00:00.123Z");
  CHECK(to_rfc3339(-1) == "1969-12-31T23:59:59.999Z");
}
