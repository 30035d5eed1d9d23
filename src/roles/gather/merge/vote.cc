#include "roles/gather/merge/vote.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roles/gather/merge/ballot.hpp"
#include "roles/gather/merge/parts.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

class First final : public Merge {
 public:
  explicit First(bool validate) : validate_(validate) {}

  Result<> feed(PartBody part) override {
    if (taken_) return {};
    if (validate_ && is_json_type(part.content_type)) {
      if (auto value = check_json(part.body); !value) return fail(std::move(value.error()));
    }
    taken_ = MergedBody{std::string(part.content_type), std::move(part.body)};
    return {};
  }
  MergedBody finish() override { return taken_ ? std::move(*taken_) : MergedBody{}; }
  State state() const override { return taken_ ? State::satisfied : State::wants_more; }
  std::string why() const override { return taken_ ? "" : "no leaf has answered"; }
  std::size_t held_bytes() const override { return taken_ ? taken_->body.capacity() : 0; }

 private:
  const bool validate_;
  std::optional<MergedBody> taken_;
};

/// Those who gave one and the same answer.
struct Group {
  std::uint32_t first_index = 0;  ///< whose body this is
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::uint32_t, std::string>> voters;  ///< index and shard id
};

class Quorum final : public Merge {
 public:
  Quorum(QuorumOptions options, std::uint32_t width)
      : options_(std::move(options)), needed_(width / 2 + 1), seats_(width), open_(width) {}

  Result<> feed(PartBody part) override {
    if (part.index >= seats_.size() || seats_[part.index] == Seat::voted) {
      return fail(Errc::internal, "part " + std::to_string(part.index) + " has no vote");
    }
    auto ballot = ballot_of(part);
    if (!ballot) return fail(std::move(ballot.error()));
    lost(part.index);
    seats_[part.index] = Seat::voted;
    ++voted_;
    auto [at, is_new] = groups_.try_emplace(std::move(*ballot));
    if (is_new) held_bytes_ += at->first.capacity();
    count(at->second, std::move(part), is_new);
    return {};
  }

  void lost(std::uint32_t index) override {
    if (index >= seats_.size() || seats_[index] != Seat::open) return;
    seats_[index] = Seat::empty;
    --open_;
  }

  State state() const override {
    if (seats_.empty() || leading_ >= needed_) return State::satisfied;
    return leading_ + open_ >= needed_ ? State::wants_more : State::impossible;
  }

  MergedBody finish() override {
    for (auto& [ballot, group] : groups_) {
      if (group.voters.size() >= needed_) {
        return {std::move(group.content_type), std::move(group.body)};
      }
    }
    return {};
  }

  std::string why() const override;
  std::size_t held_bytes() const override { return held_bytes_; }

 private:
  enum class Seat : std::uint8_t { open, empty, voted };

  /// Equal texts for equal answers. The letter in front keeps apart what was compared as JSON and
  /// what was compared as bytes.
  Result<std::string> ballot_of(const PartBody& part) const {
    auto value = json_value(part.body, options_.validate);
    if (options_.pointer.is_root()) {
      if (value) return "j" + ballot_text(*value);
      if (options_.validate && is_json_type(part.content_type)) {
        return fail(std::move(value.error()));
      }
      return "b" + part.body;
    }
    if (!value) return fail(std::move(value.error()));
    auto found = options_.pointer.find(*value);
    if (!found) return fail(Errc::invalid, "the body has nothing at " + options_.pointer.text());
    return "j" + ballot_text(*found);
  }

  void count(Group& group, PartBody part, bool is_new) {
    group.voters.emplace_back(part.index, part.shard);
    leading_ = std::max(leading_, group.voters.size());
    if (!is_new && group.first_index < part.index) return;
    held_bytes_ -= group.body.capacity();
    group.first_index = part.index;
    group.content_type = part.content_type;
    group.body = std::move(part.body);
    held_bytes_ += group.body.capacity();
  }

  const QuorumOptions options_;
  const std::size_t needed_;
  std::vector<Seat> seats_;  ///< by index
  std::size_t open_;         ///< leaves that may still vote
  std::size_t voted_ = 0;
  std::map<std::string, Group> groups_;  ///< by ballot
  std::size_t leading_ = 0;              ///< votes of the largest group
  std::size_t held_bytes_ = 0;
};

/// "no 3 of 5 leaves agree: 2 (s0, s3), 1 (s1), 1 has not voted": the largest first, cut when long.
std::string Quorum::why() const {
  constexpr std::size_t kMaxShown = 8;
  if (state() == State::satisfied) return {};
  std::vector<const Group*> groups;
  for (const auto& [ballot, group] : groups_) groups.push_back(&group);
  std::sort(groups.begin(), groups.end(), [](const Group* a, const Group* b) {
    if (a->voters.size() != b->voters.size()) return a->voters.size() > b->voters.size();
    return a->first_index < b->first_index;
  });
  std::string text =
      "no " + std::to_string(needed_) + " of " + std::to_string(seats_.size()) + " leaves agree:";
  for (std::size_t i = 0; i < std::min(groups.size(), kMaxShown); ++i) {
    auto voters = groups[i]->voters;
    std::sort(voters.begin(), voters.end());
    text.append(i == 0 ? " " : ", ").append(std::to_string(voters.size())).append(" (");
    for (std::size_t k = 0; k < std::min(voters.size(), kMaxShown); ++k) {
      text.append(k == 0 ? "" : ", ").append(voters[k].second);
    }
    text += voters.size() > kMaxShown ? ", ...)" : ")";
  }
  if (groups.size() > kMaxShown) {
    text += ", and " + std::to_string(groups.size() - kMaxShown) + " more answers";
  }
  const std::size_t silent = seats_.size() - voted_;
  if (silent == 0) return text;
  text.append(groups.empty() ? " " : ", ").append(std::to_string(silent));
  return text + (silent == 1 ? " has not voted" : " have not voted");
}

}  // namespace

std::unique_ptr<Merge> make_first(bool validate) {
  return std::make_unique<First>(validate);
}

std::unique_ptr<Merge> make_quorum(QuorumOptions options, std::uint32_t width) {
  return std::make_unique<Quorum>(std::move(options), width);
}

}  // namespace consort::gather
