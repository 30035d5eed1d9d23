#include "roles/gather/coverage.hpp"

#include <algorithm>
#include <array>

#include "base/json_writer.hpp"
#include "wire/structured_field.hpp"

namespace consort::gather {
namespace {

constexpr auto kMaxCount = static_cast<std::uint64_t>(sf::kMaxInteger);

struct Field {
  std::string_view key;
  std::uint64_t Coverage::* count;
};
constexpr std::array<Field, 6> kFields = {{{"total", &Coverage::total},
                                           {"ok", &Coverage::ok},
                                           {"failed", &Coverage::failed},
                                           {"timeout", &Coverage::timeout},
                                           {"skipped", &Coverage::skipped},
                                           {"hedged", &Coverage::hedged}}};

std::uint64_t accounted(const Coverage& coverage) {
  return coverage.ok + coverage.failed + coverage.timeout + coverage.skipped;
}

/// An absent key is 0; false when it is there and no count.
bool read_count(const sf::Dictionary& dictionary, std::string_view key, std::uint64_t& out) {
  const sf::Member* member = dictionary.find(key);
  if (member == nullptr) return true;
  const auto number = member->value.as_integer();
  if (!number || *number < 0) return false;
  out = static_cast<std::uint64_t>(*number);
  return true;
}

std::string percent_text(const Coverage& coverage) {
  std::string text;
  if (coverage.complete()) return "100.0";  // of nearly every answer
  sf::append_decimal(text, coverage.percent());
  // 99.9999 rounds to 100.0, but that is said of complete answers only.
  if (text == "100.0") text = "99.999";
  return text;
}

}  // namespace

double Coverage::percent() const {
  if (complete()) return 100;
  return 100 * static_cast<double>(ok) / static_cast<double>(wanted());
}

std::string Coverage::to_header() const {
  std::string text;
  text.reserve(128);
  for (const Field& field : kFields) {
    text += field.key;
    text += '=';
    sf::append_integer(text, static_cast<std::int64_t>(std::min(this->*field.count, kMaxCount)));
    text += ", ";
  }
  text.append("percent=").append(percent_text(*this));
  return text;
}

std::string Coverage::to_json() const {
  JsonWriter json;
  json.begin_object();
  for (const Field& field : kFields) json.key(field.key).value(this->*field.count);
  json.key("percent").raw(percent_text(*this)).end_object();
  return json.take();
}

std::optional<Coverage> Coverage::parse(std::string_view header) {
  const auto dictionary = sf::parse_dictionary(header);
  if (!dictionary || dictionary->find("total") == nullptr) return std::nullopt;
  Coverage coverage;
  for (const Field& field : kFields) {
    if (!read_count(*dictionary, field.key, coverage.*field.count)) return std::nullopt;
  }
  // Four numbers of 15 digits cannot overflow.
  if (accounted(coverage) > coverage.total) return std::nullopt;
  coverage.failed += coverage.total - accounted(coverage);
  return coverage;
}

Coverage& Coverage::operator+=(const Coverage& other) {
  // Whoever adds this much was lied to by a child; the sum then only has to stay in the grammar.
  for (const Field& field : kFields) {
    std::uint64_t& sum = this->*field.count;
    sum = std::min(std::min(sum, kMaxCount) + std::min(other.*field.count, kMaxCount), kMaxCount);
  }
  return *this;
}

}  // namespace consort::gather
