#include "roles/logsaver/records/multiline.hpp"

#include <utility>

#include "roles/logsaver/records/multiline_automata.hpp"

namespace consort::logsaver {
namespace {

using multiline::Line;

struct Named {
  std::string_view name;
  MultilineKind kind;
};
constexpr Named kNames[] = {
    {"java", MultilineKind::java},     {"python", MultilineKind::python},
    {"go", MultilineKind::go},         {"ruby", MultilineKind::ruby},
    {"nodejs", MultilineKind::nodejs}, {"dotnet", MultilineKind::dotnet},
    {"indent", MultilineKind::indent},
};
static_assert(std::size(kNames) == kMultilineKinds);

std::uint8_t next_state(MultilineKind kind, std::uint8_t state, Line& line) {
  switch (kind) {
    case MultilineKind::java:
      return multiline::java(state, line);
    case MultilineKind::python:
      return multiline::python(state, line);
    case MultilineKind::go:
      return multiline::go(state, line);
    case MultilineKind::ruby:
      return multiline::ruby(state, line);
    case MultilineKind::nodejs:
      return multiline::nodejs(state, line);
    case MultilineKind::dotnet:
      return multiline::dotnet(state, line);
    case MultilineKind::indent:
      return multiline::indent(state, line);
  }
  return multiline::kIdle;
}

}  // namespace

std::optional<MultilineKind> multiline_kind(std::string_view name) {
  for (const Named& known : kNames) {
    if (known.name == name) return known.kind;
  }
  return std::nullopt;
}

MultilineStep Multiline::step(std::string_view text) {
  Line line(text);
  if (is_open_) {
    bool goes_on = rules_->is_start && !rules_->is_start(line.text());
    bool is_last = false;
    for (const MultilineKind kind : rules_->kinds) {
      std::uint8_t& state = states_[static_cast<std::size_t>(kind)];
      if (state == multiline::kIdle) continue;
      state = next_state(kind, state, line);
      is_last |= state == multiline::kLast;
      if (state == multiline::kLast) state = multiline::kIdle;
      goes_on |= state != multiline::kIdle;
    }
    if (goes_on) return MultilineStep::continues;
    is_open_ = false;
    if (is_last) return MultilineStep::ends;
  }
  is_open_ = static_cast<bool>(rules_->is_start);
  for (const MultilineKind kind : rules_->kinds) {
    std::uint8_t& state = states_[static_cast<std::size_t>(kind)];
    state = next_state(kind, multiline::kIdle, line);
    is_open_ |= state != multiline::kIdle;
  }
  return is_open_ ? MultilineStep::begins : MultilineStep::alone;
}

void Multiline::reset() {
  states_ = {};
  is_open_ = false;
}

}  // namespace consort::logsaver
