#include "io/read_file.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "io/fd.hpp"

using namespace consort;

TEST_CASE("a file is read whole, up to the limit and not beyond") {
  std::array<char, 32> path{"/tmp/consort-read-XXXXXX"};
  const io::Fd file(::mkstemp(path.data()));
  REQUIRE(file);
  const std::string text(40'000, 'x');
  REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  CHECK(io::read_file(path.data(), text.size()) == text);
  const auto refused = io::read_file(path.data(), text.size() - 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::limit);
  CHECK(refused.error().message() == std::string(path.data()) + ": larger than 39999");
  ::unlink(path.data());
}

TEST_CASE("files without a size are read too") {
  const auto stat = io::read_file("/proc/self/stat", 4096);
  REQUIRE(stat);
  CHECK(stat->ends_with('\n'));
}

TEST_CASE("a file that cannot be read is named") {
  const auto missing = io::read_file("/no/such/file", 10);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::not_found);
  CHECK(missing.error().message() == "/no/such/file: No such file or directory");
  CHECK_FALSE(io::read_file("/tmp", 10));
}
