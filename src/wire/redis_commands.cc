#include "wire/redis_commands.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.hpp"
#include "wire/redis_words.hpp"

namespace consort::redis {

namespace {

using Find = KeySpec::Find;
using Special = KeyRule::Special;
using Rq = RequestPolicy;
using Rs = ResponsePolicy;
#include "wire/redis_command_table.inc"

constexpr std::span<const Command> kNames = std::span(kCommands).first(kCommandCount);

constexpr auto kSlots = [] {
  std::array<std::uint16_t, std::bit_ceil(kCommandCount * kSlotsPerName)> slots{};
  slots.fill(kNoEntry);
  fill_slots(kNames, std::span<std::uint16_t>(slots));
  return slots;
}();

constexpr CommandTable kBuiltIn({
    .entries = kCommands,
    .commands = kCommandCount,
    .rules = kKeyRules,
    .slots = kSlots,
});

constexpr std::size_t kMaxShown = 128;  // bytes of a name, or of all arguments, in an error

/// As much of it as "%.128s" prints: a NUL ends it.
std::string_view shown(std::string_view text, std::size_t limit) {
  return text.substr(0, std::min(limit, text.find('\0')));
}

/// Error replies have no line ends within.
std::string on_one_line(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return text;
}

}  // namespace

const CommandTable& CommandTable::built_in() {
  return kBuiltIn;
}

const Command* CommandTable::find(std::string_view name) const {
  if (name.size() > longest_name_) return nullptr;
  const std::size_t mask = parts_.slots.size() - 1;
  std::size_t slot = hash_of(name) & mask;
  for (std::uint16_t entry; (entry = parts_.slots[slot]) != kNoEntry; slot = (slot + 1) & mask) {
    const Command& command = parts_.entries[entry];
    if (same_word(name, command.name)) return &command;
  }
  return nullptr;
}

const Command* CommandTable::find_subcommand(const Command& command, std::string_view name) const {
  for (const Command& subcommand : subcommands(command)) {
    if (same_word(name, subcommand.name)) return &subcommand;
  }
  return nullptr;
}

std::span<const Command> CommandTable::subcommands(const Command& command) const {
  return parts_.entries.subspan(command.first_subcommand, command.subcommand_count);
}

std::size_t CommandTable::index_of(const Command& command) const {
  const std::ptrdiff_t index = &command - parts_.entries.data();
  CHECK(index >= 0 && static_cast<std::size_t>(index) < size());
  return static_cast<std::size_t>(index);
}

std::string CommandTable::full_name(const Command& command) const {
  const std::size_t index = index_of(command);
  for (const Command& container : all()) {
    const std::size_t first = container.first_subcommand;
    if (index >= first && index < first + container.subcommand_count) {
      return std::string(container.name).append("|").append(command.name);
    }
  }
  return std::string(command.name);
}

bool CommandTable::find_keys(const Command& command, const Arguments& arguments,
                             std::vector<std::uint32_t>& positions) const {
  const Arity arity = command.accepts(arguments.size()) ? Arity::accepted : Arity::refused;
  return redis::find_keys(key_rule(command), arguments, arity, positions);
}

bool CommandTable::may_block(const Command& command, const Arguments& arguments) const {
  if (!command.is(kBlocking)) return false;
  const bool blocks_on_demand = key_rule(command).special == Special::xread;
  return !blocks_on_demand || stream_blocks(arguments);
}

bool CommandTable::reads_by_pattern(const Command& command, const Arguments& arguments) const {
  return key_rule(command).special == Special::sort && sort_reads_by_pattern(arguments);
}

const Command* find_command(std::string_view name) {
  return kBuiltIn.find(name);
}

const Command* find_subcommand(const Command& command, std::string_view name) {
  return kBuiltIn.find_subcommand(command, name);
}

std::span<const Command> all_commands() {
  return kBuiltIn.all();
}

bool find_keys(const Command& command, const Arguments& arguments,
               std::vector<std::uint32_t>& positions) {
  return kBuiltIn.find_keys(command, arguments, positions);
}

bool may_block(const Command& command, const Arguments& arguments) {
  return kBuiltIn.may_block(command, arguments);
}

bool reads_by_pattern(const Command& command, const Arguments& arguments) {
  return kBuiltIn.reads_by_pattern(command, arguments);
}

std::string unknown_command_error(const Arguments& arguments) {
  std::string shown_arguments;
  for (std::size_t i = 1; i < arguments.size() && shown_arguments.size() < kMaxShown; ++i) {
    const std::size_t room = kMaxShown - shown_arguments.size();
    shown_arguments += '\'';
    shown_arguments += shown(arguments[i], room);
    shown_arguments += "' ";
  }
  std::string text = "ERR unknown command '";
  text += shown(arguments[0], kMaxShown);
  text += "', with args beginning with: " + shown_arguments;
  return on_one_line(std::move(text));
}

std::string unknown_subcommand_error(const Arguments& arguments) {
  std::string text = "ERR unknown subcommand '";
  text += shown(arguments[1], kMaxShown);
  text += "'. Try ";
  for (const char c : arguments[0]) {
    text += c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
  }
  text += " HELP.";
  return on_one_line(std::move(text));
}

std::string wrong_arity_error(std::string_view name) {
  std::string text = "ERR wrong number of arguments for '";
  text += name;
  return text + "' command";
}

}  // namespace consort::redis
