#include "wire/redis_hll.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

namespace {

using consort::redis::HyperLogLog;
using Added = HyperLogLog::Added;

// What redis 7.0.15 stores after PFADD of nothing, of "a", of "a".."e", of "m0".."m39".
constexpr std::string_view kHeader = "48594c4c010000000000000000000080";
constexpr std::string_view kNone = "7fff";
constexpr std::string_view kOne = "71a6844e57";
constexpr std::string_view kFew = "5c7b8044768050b184498c80426d80425a";
constexpr std::string_view kMore =
    "41199042db84438580058c41528040898022801e80406c8040ec9040a480208441c480028441808c41d480409488"
    "42c580409a8040bc84358842768040f78041548c41668440d18041878441568046a2883a80421e8042c78040c380"
    "42f98041568c423d801680405c8844f9804243804569";

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::string sparse(std::string_view body_hex) {
  return from_hex(kHeader) + from_hex(body_hex);
}

using RegisterAt = std::size_t (*)(std::size_t i);

/// A dense one with registers of our choice, written bit by bit as the format has them.
std::string dense(RegisterAt value_at) {
  std::vector<unsigned char> body(12288);
  for (std::size_t bit = 0; bit < body.size() * 8; ++bit) {
    const std::size_t set = value_at(bit / 6) >> (bit % 6) & 1;
    body[bit / 8] = static_cast<unsigned char>(body[bit / 8] | set << (bit % 8));
  }
  std::string value = from_hex(kHeader) + std::string(body.begin(), body.end());
  value[4] = 0;
  return value;
}

std::string dense_waves() {
  return dense([](std::size_t i) { return i % 8; });
}

std::string dense_odd_saturated() {
  return dense([](std::size_t i) { return i % 2 * 51; });
}

std::int64_t count(const std::vector<std::string>& values) {
  HyperLogLog all;
  for (const std::string& value : values) CHECK(all.add(value) == Added::yes);
  return all.count();
}

Added add(const std::string& value) {
  HyperLogLog all;
  return all.add(value);
}

}  // namespace

TEST_CASE("counts of sparse HyperLogLogs are those of a real server") {
  CHECK(count({}) == 0);
  CHECK(count({sparse(kNone)}) == 0);
  CHECK(count({sparse(kOne)}) == 1);
  CHECK(count({sparse(kFew)}) == 5);
  CHECK(count({sparse(kMore)}) == 40);
}

TEST_CASE("counts of dense HyperLogLogs are those of a real server") {
  CHECK(count({dense([](std::size_t) { return std::size_t{0}; })}) == 0);
  CHECK(count({dense([](std::size_t) { return std::size_t{1}; })}) == 23637);
  CHECK(count({dense_waves()}) == 44575);
  CHECK(count({dense([](std::size_t i) { return (i * 7 + 3) % 52; })}) == 304369);
  CHECK(count({dense_odd_saturated()}) == 13268);
}

TEST_CASE("several HyperLogLogs count their union, as a real server does") {
  CHECK(count({sparse(kOne), sparse(kFew), sparse(kNone)}) == 5);
  CHECK(count({sparse(kFew), sparse(kMore)}) == 45);
  CHECK(count({dense_waves(), sparse(kFew)}) == 44575);
  CHECK(count({sparse(kFew), sparse(kMore), dense_waves(), dense_odd_saturated()}) == 65032);
  CHECK(count({dense_waves(), dense([](std::size_t i) { return (i * 7 + 3) % 52; })}) == 1175990);
}

TEST_CASE("forged registers count as a real server has it, beyond what can be") {
  constexpr std::int64_t kInfinite = std::numeric_limits<std::int64_t>::min();
  CHECK(count({dense([](std::size_t i) { return (i * i + i / 97) % 64; })}) == 382283);
  CHECK(count({dense([](std::size_t) { return std::size_t{51}; })}) == kInfinite);
  CHECK(count({dense([](std::size_t i) { return std::size_t{i > 0 ? 51U : 50U}; })}) == kInfinite);
}

TEST_CASE("a string that is no HyperLogLog is told from a corrupt one") {
  const std::string good = sparse(kFew);
  CHECK(add("") == Added::not_one);
  CHECK(add("hello") == Added::not_one);
  CHECK(add(good.substr(0, 15)) == Added::not_one);
  std::string wrong_encoding = good;
  wrong_encoding[4] = 2;
  CHECK(add(wrong_encoding) == Added::not_one);
  const std::string large = dense_waves();
  CHECK(add(large.substr(0, large.size() - 1)) == Added::not_one);
  CHECK(add(large + '\0') == Added::not_one);
  CHECK(add(good.substr(0, 16)) == Added::corrupt);
  for (std::size_t size = 17; size < good.size(); ++size) {
    CHECK(add(good.substr(0, size)) == Added::corrupt);
  }
  CHECK(add(good + '\x80') == Added::corrupt);
  CHECK(add(good + '\x00') == Added::corrupt);
  CHECK(add(sparse("7fff7fff")) == Added::corrupt);
  CHECK(add(sparse("7ffe87")) == Added::corrupt);  // the last run goes over the end
}
