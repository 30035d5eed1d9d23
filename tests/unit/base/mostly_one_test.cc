// Containers for many small things with one life: MostlyOne and ByteArena.
#include "base/mostly_one.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/byte_arena.hpp"

using namespace consort;

namespace {

/// Can be neither moved nor copied.
struct Fixed {
  explicit Fixed(int value_, int* deaths_ = nullptr) : value(value_), deaths(deaths_) {}
  Fixed(const Fixed&) = delete;
  Fixed& operator=(const Fixed&) = delete;
  ~Fixed() {
    if (deaths != nullptr) ++*deaths;
  }
  int value;
  int* deaths;
};

std::vector<int> values_of(const MostlyOne<Fixed>& list) {
  std::vector<int> values;
  for (const Fixed& each : list) values.push_back(each.value);
  return values;
}

}  // namespace

TEST_CASE("a list of mostly one keeps order and addresses, and ends what it holds") {
  int deaths = 0;
  {
    MostlyOne<Fixed> list;
    CHECK(list.empty());
    CHECK(values_of(list).empty());
    Fixed* const first = &list.add(1, &deaths);
    CHECK(list.size() == 1);
    for (int i = 2; i <= 20; ++i) list.add(i, &deaths);
    CHECK(list.size() == 20);
    CHECK(first == &list[0]);
    CHECK(values_of(list).size() == 20);
    for (int i = 0; i < 20; ++i) CHECK(list[static_cast<std::size_t>(i)].value == i + 1);
    for (Fixed& each : list) each.value = 7;
    CHECK(values_of(list) == std::vector<int>(20, 7));
    CHECK(deaths == 0);
  }
  CHECK(deaths == 20);
}

TEST_CASE("a list of mostly one holds its first element in itself") {
  MostlyOne<Fixed> list;
  const auto* begin = reinterpret_cast<const char*>(&list);
  const auto* first = reinterpret_cast<const char*>(&list.add(1));
  const auto* second = reinterpret_cast<const char*>(&list.add(2));
  CHECK((first >= begin && first < begin + sizeof list));
  CHECK_FALSE((second >= begin && second < begin + sizeof list));
}

TEST_CASE("what an arena keeps stays where and as it is") {
  ByteArena arena;
  std::vector<std::string_view> kept;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 50; ++i) texts.emplace_back(i, static_cast<char>('a' + i % 26));
  for (const std::string& text : texts) kept.push_back(arena.keep(text, 64));
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(kept[i] == texts[i]);
}

TEST_CASE("an arena allocates what is expected, or what one text needs") {
  ByteArena arena;
  CHECK(arena.keep("", 100).empty());
  CHECK(arena.bytes() == 0);
  arena.keep("12345", 10);
  arena.keep("67890", 10);
  CHECK(arena.bytes() == 10);
  arena.keep("x", 0);
  CHECK(arena.bytes() == 11);
  arena.keep("123456", 5);
  CHECK(arena.bytes() == 17);
  arena.clear();
  CHECK(arena.bytes() == 0);
  CHECK(arena.keep("again", 10) == "again");
}
