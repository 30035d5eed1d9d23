// From a Command to a running child: program lookup, environment, pipes and posix_spawn.
#pragma once

#include <sys/types.h>

#include "base/error.hpp"
#include "io/fd.hpp"
#include "io/process.hpp"

namespace consort::io {

/// A child that has just been started, with our ends of its pipes.
struct Spawned {
  pid_t pid = -1;
  Fd input;
  Fd output;
  Fd errors;
};

/// The child has default signal dispositions, an empty signal mask and no descriptors of ours but
/// those that the command names. Our ends of pipes are closed on exec. Errors name the program and
/// say what is wrong with it.
Result<Spawned> spawn_child(const Command& command);

/// The same errors for a program that is missing or not executable; starts nothing.
Result<> look_for_program(const Command& command);

}  // namespace consort::io
