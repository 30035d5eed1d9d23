// Fuzzes the table that is learned from a server's reply to COMMAND: whatever the bytes, there is a
// sentence or a table, and of a table every look-up and every key position is within its bounds.
#include "wire/redis_command_reply.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "wire/redis_commands.hpp"

namespace {

using namespace consort;
using redis::Command;
using redis::CommandTable;

void check(bool fact) {
  if (!fact) std::abort();
}

void find_keys(const CommandTable& table, const Command& command) {
  // A word, numbers of keys, and the keywords of the corpus.
  static constexpr std::string_view kWords[] = {"x", "keys", "2", "1",     "streams", "0",
                                                "3", "to",   "2", "store", "block",   ""};
  std::vector<std::uint32_t> keys;
  for (std::size_t size = 1; size <= std::size(kWords); size += 1 + size / 3) {
    const redis::Arguments arguments(std::span(kWords).first(size));
    const bool found = table.find_keys(command, arguments, keys);
    check(found || keys.empty());
    check(!found || !command.is(redis::kUnknownKeys));
    check(keys.empty() || !command.is(redis::kNoKeys));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      check(keys[i] > 0 && keys[i] < size && (i == 0 || keys[i - 1] < keys[i]));
    }
    table.may_block(command, arguments);
    table.reads_by_pattern(command, arguments);
  }
}

void use(const CommandTable& table) {
  check(!table.all().empty() && table.size() >= table.all().size());
  for (const Command& command : table.all()) {
    check(table.find(command.name) == &command);
    check(!command.name.empty() && command.name.size() <= redis::kMaxCommandName);
    for (const Command& subcommand : table.subcommands(command)) {
      check(table.index_of(subcommand) >= table.all().size());
      check(table.find_subcommand(command, subcommand.name) == &subcommand);
    }
  }
  for (std::size_t i = 0; i < table.size(); ++i) {
    check(table.index_of(table.at(i)) == i);
    find_keys(table, table.at(i));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In an allocation of exactly its size, so that one byte too far is seen; gone before the table
  // is used, which must not look into it.
  auto bytes = std::make_unique<char[]>(size);
  if (size > 0) std::memcpy(bytes.get(), data, size);
  const auto table = CommandTable::learn({bytes.get(), size});
  bytes.reset();
  if (table) {
    use(**table);
  } else {
    check(table.error().text().find_first_of("\r\n") == std::string::npos);
  }
  return 0;
}
