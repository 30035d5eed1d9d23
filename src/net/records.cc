#include "net/records.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace consort {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Takes the number that the text begins with, without leading zeros.
std::string_view take_number(std::string_view& text) {
  const auto is_zero = [](char c) { return c == '0'; };
  const auto begin = std::find_if_not(text.begin(), text.end(), is_zero);
  const auto end = std::find_if_not(begin, text.end(), is_digit);
  const std::string_view number(begin, end);
  text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  return number;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

bool natural_less(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::string_view left = take_number(a);
      const std::string_view right = take_number(b);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  if (a.size() != b.size()) return a.size() < b.size();
  return whole_a < whole_b;  // "a01" and "a1": equal so far, yet two names
}

Result<std::vector<io::DnsService>> usable_services(const std::vector<io::DnsService>& answer) {
  std::vector<io::DnsService> usable;
  for (io::DnsService record : answer) {
    record.target = lower_case(record.target);
    if (record.target.ends_with('.')) record.target.pop_back();
    if (!record.target.empty() && record.port != 0) usable.push_back(std::move(record));
  }
  if (usable.empty()) return fail(Errc::not_found, "the service is said to be nowhere");
  return usable;
}

std::uint32_t weight_divisor(const std::vector<io::DnsService>& services) {
  std::uint32_t divisor = 0;
  for (const io::DnsService& record : services) {
    if (record.weight == 0) return 0;
    divisor = std::gcd(divisor, std::uint32_t{record.weight});
  }
  return divisor;
}

}  // namespace consort
