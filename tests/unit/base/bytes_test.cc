#include "base/bytes.hpp"

#include <doctest/doctest.h>

#include "base/random.hpp"

namespace consort {
namespace {

TEST_CASE("a byte queue gives back in order what was appended") {
  ByteQueue queue;
  CHECK(queue.empty());
  CHECK_EQ(queue.view(), "");
  queue.append("hello ");
  queue.append("world");
  queue.append('!');
  CHECK_EQ(queue.view(), "hello world!");
  queue.consume(6);
  CHECK_EQ(queue.view(), "world!");
  queue.unappend(1);
  CHECK_EQ(queue.view(), "world");
  CHECK_EQ(queue.size(), 5);
  queue.clear();
  CHECK(queue.empty());
}

TEST_CASE("appending nothing to a byte queue allocates nothing") {
  ByteQueue queue;
  queue.append("");
  queue.consume(0);
  CHECK_EQ(queue.capacity(), 0);
}

TEST_CASE("a byte queue that runs empty keeps a small block and returns a large one") {
  ByteQueue queue;
  queue.append(std::string(1'000, 'a'));
  queue.consume(1'000);
  CHECK_GT(queue.capacity(), 0);
  queue.append(std::string(ByteQueue::kKeepBytes + 1, 'a'));
  queue.consume(ByteQueue::kKeepBytes);
  CHECK_GT(queue.capacity(), ByteQueue::kKeepBytes);
  queue.consume(1);
  CHECK_EQ(queue.capacity(), 0);
}

TEST_CASE("a byte queue reuses the space in front instead of growing") {
  ByteQueue queue;
  queue.append(std::string(1'024, 'a'));
  std::size_t before = queue.capacity();
  for (int i = 0; i < 1'000; ++i) {
    queue.consume(600);
    queue.append(std::string(600, 'b'));
  }
  CHECK_EQ(queue.capacity(), before);
  CHECK_EQ(queue.size(), 1'024);
}

TEST_CASE("moving a byte queue moves its bytes") {
  ByteQueue queue;
  queue.append("bytes");
  ByteQueue moved = std::move(queue);
  CHECK_EQ(moved.view(), "bytes");
  ByteQueue assigned;
  assigned = std::move(moved);
  CHECK_EQ(assigned.view(), "bytes");
}

TEST_CASE("a byte queue does what a string does, over a long random life") {
  Random random(6);
  ByteQueue queue;
  std::string model;
  for (int i = 0; i < 20'000; ++i) {
    switch (random.below(8)) {
      case 0:
        queue.clear();
        model.clear();
        break;
      case 1: {
        std::size_t n = random.below(model.size() + 1);
        queue.unappend(n);
        model.resize(model.size() - n);
        break;
      }
      case 2:
      case 3:
      case 4: {
        std::size_t n = random.below(model.size() + 1);
        queue.consume(n);
        model.erase(0, n);
        break;
      }
      default: {
        std::string more(random.below(2'000), static_cast<char>('a' + random.below(26)));
        queue.append(more);
        model += more;
      }
    }
    REQUIRE_EQ(queue.view(), model);
  }
}

}  // namespace
}  // namespace consort
