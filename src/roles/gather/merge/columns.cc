#include "roles/gather/merge/columns.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "wire/json_scan.hpp"

namespace consort::gather {
namespace {

/// What was found, in the order in which it was found.
class Cells {
 public:
  std::size_t size() const { return columns_.size(); }
  std::string_view raw_key(std::size_t column) const { return columns_[column].raw_key; }

  void add_column(std::string_view raw_key, std::size_t part) {
    columns_.push_back({.raw_key = raw_key, .first_part = part});
  }

  void put(std::size_t column, std::size_t part, std::string_view value) {
    Heading& heading = columns_[column];
    if (heading.count > 0 && cells_[heading.last_cell].part == part) {
      cells_[heading.last_cell].value = value;  // a second member of this name
      return;
    }
    ++heading.count;
    heading.last_cell = cells_.size();
    cells_.push_back({.column = column, .part = part, .value = value});
  }

  /// The cells of each column side by side, those of one column in the order of parts.
  Columns take() && {
    Columns made;
    made.values.resize(cells_.size());
    made.list.reserve(columns_.size());
    std::size_t begin = 0;
    for (Heading& heading : columns_) {
      made.list.push_back({.raw_key = heading.raw_key,
                           .first_part = heading.first_part,
                           .values = std::span(made.values).subspan(begin, heading.count)});
      heading.last_cell = begin;
      begin += heading.count;
    }
    for (const Cell& cell : cells_) made.values[columns_[cell.column].last_cell++] = cell.value;
    return made;
  }

 private:
  struct Heading {
    std::string_view raw_key;
    std::size_t first_part = 0;
    std::size_t last_cell = 0;  ///< in take(): where its next value goes
    std::size_t count = 0;
  };
  struct Cell {
    std::size_t column = 0;
    std::size_t part = 0;
    std::string_view value;
  };

  std::vector<Heading> columns_;
  std::vector<Cell> cells_;
};

/// Finds columns by key: a hash table with linear probing, and a tree for keys that are far from
/// their place. Leaves choose the keys, and must not be able to make the table slow.
class Index {
 public:
  /// The column of this key; `next` when it is new.
  std::size_t find_or_add(std::string_view key, std::size_t next) {
    if (2 * keys_.size() >= slots_.size()) grow();
    const std::size_t hash = std::hash<std::string_view>{}(key);
    for (std::size_t i = 0; i < kProbesMax; ++i) {
      Slot& slot = slots_[(hash + i) & (slots_.size() - 1)];
      if (slot.column == kNone) {
        // Not in the tree either: a slot never becomes free, and keys go there past full ones.
        slot = {.hash = hash, .column = next};
        keys_.push_back(key);
        return next;
      }
      if (slot.hash == hash && keys_[slot.column] == key) return slot.column;
    }
    const auto [at, is_new] = far_.emplace(key, next);
    if (is_new) keys_.push_back(key);
    return at->second;
  }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;
  static constexpr std::size_t kProbesMax = 8;
  struct Slot {
    std::size_t hash = 0;
    std::size_t column = kNone;
  };

  void grow() {
    slots_.assign(slots_.empty() ? 16 : 4 * slots_.size(), {});
    far_.clear();
    for (std::size_t column = 0; column < keys_.size(); ++column) place(column);
  }

  void place(std::size_t column) {
    const std::size_t hash = std::hash<std::string_view>{}(keys_[column]);
    for (std::size_t i = 0; i < kProbesMax; ++i) {
      Slot& slot = slots_[(hash + i) & (slots_.size() - 1)];
      if (slot.column != kNone) continue;
      slot = {.hash = hash, .column = column};
      return;
    }
    far_.emplace(keys_[column], column);
  }

  std::vector<std::string_view> keys_;  ///< by column
  std::vector<Slot> slots_;             ///< a power of two
  std::map<std::string_view, std::size_t> far_;
};

class Table {
 public:
  void add(std::size_t part, std::string_view raw_key, std::string_view value) {
    cells_.put(find(part, raw_key), part, value);
  }

  void begin_object() { next_ = 0; }
  Columns take() && { return std::move(cells_).take(); }

 private:
  std::size_t find(std::size_t part, std::string_view raw_key) {
    // Objects of one kind have their members in one order: mostly it is the column after the last.
    if (next_ < cells_.size() && cells_.raw_key(next_) == raw_key) return next_++;
    std::string_view key = raw_key;
    if (key.find('\\') != std::string_view::npos) {
      unescaped_.push_back(unescape_json_string(key));
      key = unescaped_.back();
    }
    const std::size_t column = index_.find_or_add(key, cells_.size());
    if (column == cells_.size()) cells_.add_column(raw_key, part);
    next_ = column + 1;
    return column;
  }

  Cells cells_;
  std::size_t next_ = 0;
  Index index_;
  std::deque<std::string> unescaped_;  ///< what keys of index_ point to
};

}  // namespace

Columns columns_of(std::span<const std::string_view> objects) {
  Table table;
  for (std::size_t part = 0; part < objects.size(); ++part) {
    table.begin_object();
    JsonObjectReader members(objects[part]);
    std::string_view raw_key;
    std::string_view value;
    while (members.next(raw_key, value)) table.add(part, raw_key, value);
  }
  return std::move(table).take();
}

Columns rows_of(std::span<const std::string_view> arrays) {
  Cells cells;
  for (std::size_t part = 0; part < arrays.size(); ++part) {
    JsonArrayReader elements(arrays[part]);
    std::string_view element;
    for (std::size_t i = 0; elements.next(element); ++i) {
      if (i == cells.size()) cells.add_column({}, part);
      cells.put(i, part, element);
    }
  }
  return std::move(cells).take();
}

}  // namespace consort::gather
