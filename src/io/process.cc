#include "io/process.hpp"

#include <cstring>

namespace consort::io {

std::string ExitStatus::in_words() const {
  if (signal == 0) return "exit code " + std::to_string(code);
  std::string words = "killed by signal " + std::to_string(signal);
  const char* name = ::sigabbrev_np(signal);
  if (name != nullptr) words.append(" (").append(name).append(")");
  return words;
}

}  // namespace consort::io
