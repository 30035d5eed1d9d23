#include "base/checks.hpp"

#include <doctest/doctest.h>

namespace consort {
namespace {

TEST_CASE("an empty board passes") {
  CheckBoard board;
  CHECK(board.worst(true) == Health::pass);
  CHECK(board.all().empty());
}

TEST_CASE("a check keeps its place when it is set again") {
  CheckBoard board;
  board.set("a", Health::pass, "fine");
  board.set("b", Health::pass, "fine");
  board.set("a", Health::fail, "gone", false);
  auto all = board.all();
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "a");
  CHECK(all[0].health == Health::fail);
  CHECK(all[0].text == "gone");
  CHECK_FALSE(all[0].gates_readiness);
  CHECK(all[1].name == "b");
}

TEST_CASE("the worst check counts, and only gating ones when asked") {
  CheckBoard board;
  board.set("disk", Health::warn, "80 % full");
  CHECK(board.worst(true) == Health::warn);
  board.set("peers", Health::fail, "none", false);
  CHECK(board.worst(false) == Health::fail);
  CHECK(board.worst(true) == Health::warn);
  board.set("peers", Health::fail, "none", true);
  CHECK(board.worst(true) == Health::fail);
}

TEST_CASE("a removed check is forgotten, a missing one does no harm") {
  CheckBoard board;
  board.set("a", Health::fail, "");
  board.remove("b");
  CHECK(board.all().size() == 1);
  board.remove("a");
  CHECK(board.worst(false) == Health::pass);
}

TEST_CASE("healths have names") {
  CHECK(to_string(Health::pass) == "pass");
  CHECK(to_string(Health::warn) == "warn");
  CHECK(to_string(Health::fail) == "fail");
}

}  // namespace
}  // namespace consort
