#include "wire/redis_hll.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace consort::redis {
namespace {

constexpr std::size_t kHeaderBytes = 16;
constexpr int kRegisterBits = 6;
constexpr std::size_t kDenseBytes = HyperLogLog::kRegisters * kRegisterBits / 8;
constexpr char kDense = 0;
constexpr char kSparse = 1;
/// The longest run of zeros that a hash of 64 bits leaves beside the 14 that choose a register.
constexpr std::size_t kMaxZeros = 64 - 14;
constexpr double kAlphaInfinity = 0.721347520444481703680;  ///< 1 / (2 ln 2)

/// sigma(x) = x + sum over k >= 1 of x^(2^k) * 2^(k-1), for the registers that are zero.
double sigma(double x) {
  if (x == 1.0) return std::numeric_limits<double>::infinity();
  double power = 1;
  double sum = x;
  double before = 0;
  do {
    x *= x;
    before = sum;
    sum += x * power;
    power += power;
  } while (before != sum);
  return sum;
}

/// tau(x) = (1 - x - sum over k >= 1 of (1 - x^(2^-k))^2 * 2^-k) / 3, for the saturated registers.
double tau(double x) {
  if (x == 0.0 || x == 1.0) return 0.0;
  double power = 1;
  double sum = 1 - x;
  double before = 0;
  do {
    x = std::sqrt(x);
    before = sum;
    power *= 0.5;
    sum -= std::pow(1 - x, 2) * power;
  } while (before != sum);
  return sum / 3;
}

}  // namespace

HyperLogLog::Added HyperLogLog::add(std::string_view value) {
  if (value.size() < kHeaderBytes || !value.starts_with("HYLL")) return Added::not_one;
  const char encoding = value[4];
  const std::string_view body = value.substr(kHeaderBytes);
  if (encoding == kSparse) return add_sparse(body);
  if (encoding != kDense || body.size() != kDenseBytes) return Added::not_one;
  add_dense(body);
  return Added::yes;
}

// Four registers lie in three bytes.
void HyperLogLog::add_dense(std::string_view body) {
  for (std::size_t i = 0; i < kRegisters; i += 4) {
    std::uint32_t bits = 0;
    for (std::size_t byte = 0; byte < 3; ++byte) {
      auto value = static_cast<std::uint8_t>(body[i / 4 * 3 + byte]);
      bits |= std::uint32_t{value} << (8 * byte);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      raise(i + k, 1, static_cast<std::uint8_t>(bits >> (kRegisterBits * k) & 63));
    }
  }
}

HyperLogLog::Added HyperLogLog::add_sparse(std::string_view body) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const auto opcode = static_cast<std::uint8_t>(body[i]);
    std::size_t run = 0;
    std::uint8_t value = 0;
    if (opcode >= 0x80) {
      run = (opcode & 3U) + 1;
      value = static_cast<std::uint8_t>((opcode >> 2 & 31) + 1);
    } else if (opcode >= 0x40) {
      if (++i == body.size()) return Added::corrupt;
      run = ((opcode & 63U) << 8 | static_cast<std::uint8_t>(body[i])) + 1;
    } else {
      run = opcode + std::size_t{1};
    }
    if (run > kRegisters - at) return Added::corrupt;
    raise(at, run, value);
    at += run;
  }
  return at == kRegisters ? Added::yes : Added::corrupt;
}

void HyperLogLog::raise(std::size_t first, std::size_t count, std::uint8_t value) {
  if (value == 0) return;
  for (std::size_t i = first; i < first + count; ++i) {
    registers_[i] = std::max(registers_[i], value);
  }
}

std::int64_t HyperLogLog::count() const {
  std::array<int, 1 << kRegisterBits> histogram{};
  for (std::uint8_t value : registers_) ++histogram[value];
  constexpr auto kAll = static_cast<double>(kRegisters);
  double z = kAll * tau((kAll - histogram[kMaxZeros + 1]) / kAll);
  for (std::size_t value = kMaxZeros; value >= 1; --value) {
    z += histogram[value];
    z *= 0.5;
  }
  z += kAll * sigma(histogram[0] / kAll);
  const double estimate = kAlphaInfinity * kAll * kAll / z;
  // Only a forged value gets there: with every register saturated the estimate is infinite.
  constexpr double kBeyond = 9223372036854775808.0;
  if (!(estimate < kBeyond)) return std::numeric_limits<std::int64_t>::min();
  return std::llround(estimate);
}

}  // namespace consort::redis
