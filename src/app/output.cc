#include "app/output.hpp"

#include <unistd.h>

#include <string>

#include "io/own_process.hpp"

namespace consort {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// "FILE:LINE:COL: ..."
bool begins_with_place(std::string_view message) {
  for (std::size_t at = message.find(':'); at != message.npos; at = message.find(':', at + 1)) {
    std::size_t next = at + 1;
    while (next < message.size() && is_digit(message[next])) ++next;
    if (next == at + 1 || next >= message.size() || message[next] != ':') continue;
    std::size_t last = next + 1;
    while (last < message.size() && is_digit(message[last])) ++last;
    if (last > next + 1 && message.substr(last).starts_with(": ")) return at > 0;
  }
  return false;
}

}  // namespace

bool write_out(std::string_view text) {
  return io::write_all(STDOUT_FILENO, text);
}

void write_err(std::string_view text) {
  (void)io::write_all(STDERR_FILENO, text);
}

void complain(std::string_view message) {
  std::string line(begins_with_place(message) ? "" : "consort: ");
  line += message;
  line += '\n';
  write_err(line);
}

}  // namespace consort
