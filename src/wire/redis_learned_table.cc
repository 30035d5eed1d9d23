// From what a server says of its commands, and what we know of them by name, to a table.
//
// The built-in table steps in where a server before 7.0 (or one that speaks like it) says nothing:
// so does a key specification that nobody gives, and with it the fixed positions, so that both tell
// the same. What neither knows is kUnknownKeys, and has no fixed positions, so that whoever forgets
// that flag does not take the wrong argument for a key.
#include <algorithm>
#include <bit>
#include <deque>

#include "wire/redis_command_names.hpp"
#include "wire/redis_command_reply.hpp"
#include "wire/redis_words.hpp"

namespace consort::redis {

namespace {

using Special = KeyRule::Special;

/// What a learned table looks into.
struct Storage {
  std::deque<std::string> words;  ///< names and keywords; a deque does not move them
  std::vector<Command> entries;
  std::vector<KeyRule> rules;
  std::vector<std::uint16_t> slots;
  CommandTable table{CommandTable::Parts{}};
};

bool is_stateful(std::string_view full_name) {
  return std::ranges::find(kStatefulCommands, full_name) != std::end(kStatefulCommands);
}

Special special_keys(std::string_view full_name) {
  const auto* known = std::ranges::find(kSpecialKeys, full_name, &SpecialKeys::name);
  return known != std::end(kSpecialKeys) ? known->rule : Special::none;
}

/// The scheme before 7.0: a first key, a last one, and a step.
KeyRule range_rule(const CommandReply& said) {
  KeyRule rule{};
  const bool is_backwards = said.last_key >= 0 && said.last_key < said.first_key;
  if (said.first_key < 1 || said.key_step < 1 || is_backwards) {
    rule.special = Special::unknown;
    return rule;
  }
  KeySpec& spec = rule.specs[rule.count++];
  spec.begin = said.first_key;
  spec.last = said.last_key;
  if (said.last_key >= 0) spec.last = static_cast<std::int16_t>(said.last_key - said.first_key);
  spec.step = said.key_step;
  return rule;
}

/// A module may say that it finds its keys itself and yet have a specification, made by the server
/// from its first, last and step: one plain range is no reason for keys to move.
bool hides_keys(const CommandReply& said) {
  if ((said.flags & kMovableKeys) == 0 || said.key_specs.size() != 1) return false;
  const KeySpec& only = said.key_specs[0];
  return only.find == KeySpec::Find::range && only.keyword.empty() && only.limit == 0;
}

class Learner {
 public:
  std::shared_ptr<const CommandTable> run(const std::vector<CommandReply>& said) {
    rule_number({});
    const std::vector<Named> commands = by_name(said);
    for (const Named& command : commands) {
      add({}, command, built_in_.find(command.name), is_stateful(command.name));
    }
    for (std::size_t i = 0; i < commands.size(); ++i) add_subcommands(i, *commands[i].said);
    storage_->slots.assign(std::bit_ceil(commands.size() * kSlotsPerName), kNoEntry);
    const std::span<const Command> names = std::span(storage_->entries).first(commands.size());
    fill_slots(names, std::span(storage_->slots));
    storage_->table = CommandTable({
        .entries = storage_->entries,
        .commands = commands.size(),
        .rules = storage_->rules,
        .slots = storage_->slots,
    });
    return {storage_, &storage_->table};
  }

 private:
  struct Named {
    std::string_view name;
    const CommandReply* said;
  };

  std::string_view keep(std::string_view word) {
    std::string& kept = storage_->words.emplace_back(word);
    std::ranges::transform(kept, kept.begin(), lower);
    return kept;
  }

  /// In the order of their lower-case names; of those that differ in case only the first, as the
  /// server itself finds but one.
  std::vector<Named> by_name(const std::vector<CommandReply>& said) {
    std::vector<Named> result;
    result.reserve(said.size());
    for (const CommandReply& entry : said) result.push_back({keep(entry.name), &entry});
    std::ranges::sort(result, [](const Named& a, const Named& b) {
      return a.name != b.name ? a.name < b.name : a.said < b.said;
    });
    result.erase(std::ranges::unique(result, {}, &Named::name).begin(), result.end());
    return result;
  }

  void add_subcommands(std::size_t at, const CommandReply& said) {
    const Command container = storage_->entries[at];
    const Command* known = built_in_.find(container.name);
    const std::size_t first = storage_->entries.size();
    for (const Named& entry : by_name(said.subcommands)) {
      const Command* known_entry =
          known != nullptr ? built_in_.find_subcommand(*known, entry.name) : nullptr;
      const std::string full_name = std::string(container.name) + "|" + std::string(entry.name);
      add(container.name, entry, known_entry, container.is(kStateful) || is_stateful(full_name));
    }
    if (said.subcommands.empty() && known != nullptr) {
      for (const Command& entry : built_in_.subcommands(*known)) {
        storage_->entries.push_back(entry);
        storage_->entries.back().key_rule = rule_number(built_in_.key_rule(entry));
      }
    }
    hand_up(at, first);
  }

  /// A container without subcommands stays as it is; else it has keys if any of them has.
  void hand_up(std::size_t at, std::size_t first) {
    Command& container = storage_->entries[at];
    const std::span<const Command> subcommands = std::span(storage_->entries).subspan(first);
    if (subcommands.empty()) return;
    container.first_subcommand = static_cast<std::uint16_t>(first);
    container.subcommand_count = static_cast<std::uint16_t>(subcommands.size());
    const auto has_none = [](const Command& command) { return command.is(kNoKeys); };
    if (!std::ranges::all_of(subcommands, has_none)) {
      container.flags &= ~static_cast<std::uint32_t>(kNoKeys);
    }
  }

  void add(std::string_view container, const Named& named, const Command* known, bool stateful) {
    const CommandReply& said = *named.said;
    Command command{};
    command.name = named.name;
    command.arity = said.arity;
    command.first_key = said.first_key;
    command.last_key = said.last_key;
    command.key_step = said.key_step;
    command.flags = said.flags | (stateful ? kStateful : 0);
    command.request_policy = said.request_policy;
    command.response_policy = said.response_policy;
    if (!said.has_details && known != nullptr) {
      command.flags |= known->flags & kFlagsSinceSeven;
      command.first_key = known->first_key;
      command.last_key = known->last_key;
      command.key_step = known->key_step;
      command.request_policy = known->request_policy;
      command.response_policy = known->response_policy;
    }
    const Special special = container.empty() ? special_keys(named.name) : Special::none;
    set_rule(command, special != Special::none ? special_rule(special) : rule_of(said, known));
    storage_->entries.push_back(command);
  }

  static KeyRule special_rule(Special special) {
    KeyRule rule{};
    rule.special = special;
    return rule;
  }

  KeyRule rule_of(const CommandReply& said, const Command* known) {
    if (said.has_unusable_keys || hides_keys(said)) return special_rule(Special::unknown);
    KeyRule rule{};
    if (!said.key_specs.empty()) {
      for (const KeySpec& spec : said.key_specs) {
        rule.specs[rule.count] = spec;
        rule.specs[rule.count++].keyword = spec.keyword.empty() ? "" : keep(spec.keyword);
      }
      return rule;
    }
    const bool moves = (said.flags & kMovableKeys) != 0;
    const bool says_keys = moves || said.first_key != 0;
    if (known != nullptr && (says_keys || !said.has_details)) return built_in_.key_rule(*known);
    if (moves) return special_rule(Special::unknown);
    return says_keys ? range_rule(said) : rule;
  }

  void set_rule(Command& command, const KeyRule& rule) {
    command.key_rule = rule_number(rule);
    if (!rule.has_keys()) command.flags |= kNoKeys;
    if (rule.special != Special::unknown) return;
    command.flags |= kUnknownKeys;
    command.first_key = command.last_key = command.key_step = 0;
  }

  /// Linear in the different rules: 17 in redis 7.0.
  std::uint16_t rule_number(const KeyRule& rule) {
    std::vector<KeyRule>& rules = storage_->rules;
    const auto at = std::ranges::find(rules, rule);
    const auto number = static_cast<std::uint16_t>(at - rules.begin());
    if (at == rules.end()) rules.push_back(rule);
    return number;
  }

  const CommandTable& built_in_ = CommandTable::built_in();
  std::shared_ptr<Storage> storage_ = std::make_shared<Storage>();
};

}  // namespace

Result<std::shared_ptr<const CommandTable>> CommandTable::learn(std::string_view command_reply) {
  Result<std::vector<CommandReply>> said = read_command_reply(command_reply);
  if (!said) return fail(std::move(said.error()));
  return Learner().run(*said);
}

}  // namespace consort::redis
