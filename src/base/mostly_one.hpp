// A list for what nearly always has one element: that one costs no allocation.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace consort {

/// Elements are only added, and keep their addresses as long as the list keeps its own: it neither
/// moves nor copies.
template <class T>
class MostlyOne {
 public:
  MostlyOne() = default;
  MostlyOne(const MostlyOne&) = delete;
  MostlyOne& operator=(const MostlyOne&) = delete;

  template <class... Args>
  T& add(Args&&... args) {
    if (!first_) return first_.emplace(std::forward<Args>(args)...);
    return *more_.emplace_back(std::make_unique<T>(std::forward<Args>(args)...));
  }

  std::size_t size() const { return first_ ? more_.size() + 1 : 0; }
  bool empty() const { return !first_; }
  T& operator[](std::size_t i) { return i == 0 ? *first_ : *more_[i - 1]; }
  const T& operator[](std::size_t i) const { return i == 0 ? *first_ : *more_[i - 1]; }

  template <class List, class Element>
  class Iterator {
   public:
    using difference_type = std::ptrdiff_t;
    using value_type = T;

    Iterator() = default;
    Iterator(List& list, std::size_t at) : list_(&list), at_(at) {}
    Element& operator*() const { return (*list_)[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return {*list_, at_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    List* list_ = nullptr;
    std::size_t at_ = 0;
  };

  auto begin() { return Iterator<MostlyOne, T>(*this, 0); }
  auto end() { return Iterator<MostlyOne, T>(*this, size()); }
  auto begin() const { return Iterator<const MostlyOne, const T>(*this, 0); }
  auto end() const { return Iterator<const MostlyOne, const T>(*this, size()); }

 private:
  std::optional<T> first_;
  std::vector<std::unique_ptr<T>> more_;
};

}  // namespace consort
