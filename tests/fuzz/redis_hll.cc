// Fuzzes the reading of HyperLogLogs: no value is read beyond its end, what counts is the same
// registers that a slow reader finds bit by bit, and neither order nor repetition matters.
//
// The input is a list of values, each after two bytes of its length (little-endian). A value whose
// first byte is 'D' stands for a dense one: the rest of it is repeated to fill the registers.
#include "wire/redis_hll.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

using consort::redis::HyperLogLog;
using Added = HyperLogLog::Added;

/// Adds from an allocation of exactly the value's size, so that one byte too far is seen.
Added add_exactly(HyperLogLog& all, const std::string& value) {
  auto bytes = std::make_unique<char[]>(value.size());
  if (!value.empty()) std::memcpy(bytes.get(), value.data(), value.size());
  return all.add({bytes.get(), value.size()});
}

std::string header(char encoding) {
  std::string text = "HYLL";
  text += encoding;
  return text + std::string(11, '\0');
}

std::string expand_dense(const std::string& pattern) {
  std::string value = header(0);
  while (value.size() < 16 + 12288) value += pattern;
  return value.substr(0, 16 + 12288);
}

std::vector<std::string> read_values(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> values;
  while (size >= 2 && values.size() < 8) {
    const std::size_t wanted = data[0] + std::size_t{data[1]} * 256;
    data += 2;
    size -= 2;
    const std::size_t length = std::min(wanted, size);
    values.emplace_back(reinterpret_cast<const char*>(data), length);
    data += length;
    size -= length;
    const std::string& value = values.back();
    if (value.size() > 1 && value[0] == 'D') values.back() = expand_dense(value.substr(1));
  }
  return values;
}

/// The opcodes of a value that was taken, one at a time, as a dense one of the same registers.
std::string as_dense(const std::string& value) {
  if (value[4] == 0) return value;
  std::vector<unsigned int> registers;
  for (std::size_t i = 16; i < value.size(); ++i) {
    const unsigned int code = static_cast<std::uint8_t>(value[i]);
    if (code < 64) {
      registers.insert(registers.end(), code + 1, 0);
    } else if (code < 128) {
      const unsigned int low = static_cast<std::uint8_t>(value[++i]);
      registers.insert(registers.end(), (code - 64) * 256 + low + 1, 0);
    } else {
      registers.insert(registers.end(), code % 4 + 1, (code - 128) / 4 + 1);
    }
  }
  if (registers.size() != HyperLogLog::kRegisters) std::abort();
  std::string dense = header(0) + std::string(12288, '\0');
  for (std::size_t bit = 0; bit < registers.size() * 6; ++bit) {
    if ((registers[bit / 6] >> (bit % 6) & 1) == 0) continue;
    char& byte = dense[16 + bit / 8];
    byte = static_cast<char>(byte | 1 << (bit % 8));
  }
  return dense;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> taken;
  HyperLogLog forwards;
  for (const std::string& value : read_values(data, size)) {
    HyperLogLog alone;
    if (add_exactly(alone, value) != Added::yes) continue;
    taken.push_back(value);
    if (add_exactly(forwards, value) != Added::yes) std::abort();
  }
  HyperLogLog backwards;
  for (std::size_t i = taken.size(); i-- > 0;) {
    if (backwards.add(as_dense(taken[i])) != Added::yes) std::abort();
    if (backwards.add(taken[i]) != Added::yes) std::abort();
  }
  if (forwards.count() != backwards.count()) std::abort();
  return 0;
}
