#include "roles/gather/merge/ballot.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "roles/gather/merge/columns.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

class Ballot {
 public:
  explicit Ballot(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::string run() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  struct Member {
    std::size_t begin = 0;  ///< in out_
    std::size_t key_end = 0;
    std::size_t end = 0;
  };
  struct Level {
    std::size_t begin = 0;  ///< in out_, of the bracket
    bool is_object = false;
    bool is_key_next = false;
    std::vector<Member> members;
  };

  void step() {
    const char c = text_[at_];
    if (c == '"') return string();
    ++at_;
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') return;
    if (c == '{' || c == '[') {
      levels_.push_back({.begin = out_.size(), .is_object = c == '{', .is_key_next = c == '{'});
    } else if (c == '}' || c == ']') {
      end_level();
    } else if (c == ',' && !levels_.empty() && levels_.back().is_object) {
      end_member();
      levels_.back().is_key_next = true;
    }
    out_ += c;
  }

  void string() {
    const bool is_key = !levels_.empty() && levels_.back().is_key_next;
    const std::size_t begin = out_.size();
    const std::size_t open = at_;
    at_ = std::min(text_.find('"', open + 1), text_.size());
    // With a backslash within, that quote may be an escaped one.
    const bool has_escapes = text_.substr(open, at_ - open).find('\\') != std::string_view::npos;
    if (has_escapes) at_ = end_of_string(open + 1);
    const std::size_t close = at_++;
    const std::string_view raw = text_.substr(open + 1, close - open - 1);
    out_ += '"';
    if (has_escapes) {
      append_escaped(unescape_json_string(raw));
    } else {
      out_ += raw;
    }
    out_ += '"';
    if (!is_key) return;
    levels_.back().is_key_next = false;
    levels_.back().members.push_back({.begin = begin, .key_end = out_.size(), .end = 0});
  }

  std::size_t end_of_string(std::size_t at) const {
    while (at < text_.size() && text_[at] != '"') at += text_[at] == '\\' ? 2 : 1;
    return std::min(at, text_.size());
  }

  /// Exactly what JSON demands, so that it equals the string that was written without need.
  void append_escaped(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    for (char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20) {
        out_ += "\\u00";
        out_ += kHex[byte >> 4];
        out_ += kHex[byte & 15];
        continue;
      }
      if (c == '"' || c == '\\') out_ += '\\';
      out_ += c;
    }
  }

  void end_member() {
    std::vector<Member>& members = levels_.back().members;
    if (!members.empty()) members.back().end = out_.size();
  }

  void end_level() {
    if (levels_.empty()) return;
    if (levels_.back().is_object) {
      end_member();
      if (levels_.size() <= kMergeDepthMax) sort_members(levels_.back());
    }
    levels_.pop_back();
  }

  std::string_view key(const Member& member) const {
    return std::string_view(out_).substr(member.begin, member.key_end - member.begin);
  }

  void sort_members(Level& level) {
    std::vector<Member>& members = level.members;
    const auto is_before = [this](const Member& a, const Member& b) { return key(a) < key(b); };
    // In order and without twins, as most are?
    const auto out_of_order =
        std::adjacent_find(members.begin(), members.end(),
                           [&](const Member& a, const Member& b) { return !is_before(a, b); });
    if (out_of_order == members.end()) return;
    // By place too, so that of twins the last is the last.
    std::sort(members.begin(), members.end(), [&](const Member& a, const Member& b) {
      const int order = key(a).compare(key(b));
      return order != 0 ? order < 0 : a.begin < b.begin;
    });
    std::string sorted(1, '{');
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i + 1 < members.size() && key(members[i]) == key(members[i + 1])) continue;
      if (sorted.size() > 1) sorted += ',';
      sorted.append(out_, members[i].begin, members[i].end - members[i].begin);
    }
    out_.resize(level.begin);
    out_ += sorted;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
  std::vector<Level> levels_;
};

}  // namespace

std::string ballot_text(std::string_view value) {
  return Ballot(value).run();
}

}  // namespace consort::gather
