#include <string>
#include <vector>

#include "app/commands.hpp"

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv, argv + argc);
  return consort::run_program(args);
}
