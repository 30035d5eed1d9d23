#include "roles/shard_proxy/server_spec.hpp"

#include <algorithm>
#include <charconv>

#include "net/placement.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kForm = "write HOST:PORT[:WEIGHT][ NAME] or /SOCKET[:WEIGHT][ NAME]";
constexpr std::uint32_t kMaxWeight = 10'000;

bool parse_number(std::string_view text, std::uint32_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  std::string message = "\"";
  message.append(text).append("\" is not a server: ").append(why).append(" (").append(kForm);
  return fail(Errc::invalid, message + ")");
}

// Splits a trailing ":WEIGHT" off; `colons` is how many colons the address itself has.
bool split_weight(std::string_view& where, bool has_weight, std::uint32_t& weight) {
  if (!has_weight) return true;
  std::size_t colon = where.rfind(':');
  if (!parse_number(where.substr(colon + 1), weight)) return false;
  if (weight == 0 || weight > kMaxWeight) return false;
  where = where.substr(0, colon);
  return true;
}

}  // namespace

Result<ServerSpec> ServerSpec::parse(std::string_view text) {
  ServerSpec spec;
  std::string_view where = text;
  if (std::size_t blank = text.find(' '); blank != std::string_view::npos) {
    where = text.substr(0, blank);
    std::size_t start = text.find_first_not_of(' ', blank);
    if (start == std::string_view::npos) return refuse(text, "it ends in a blank");
    spec.name = std::string(text.substr(start));
  }
  if (where.empty()) return refuse(text, "the address is empty");
  bool is_unix = where.starts_with('/') || where.starts_with("unix:");
  std::string_view after_host = where;
  if (where.starts_with("unix:")) after_host.remove_prefix(5);
  if (where.starts_with('[')) {
    std::size_t bracket = where.find(']');
    if (bracket == std::string_view::npos) return refuse(text, "\"]\" is missing");
    after_host = where.substr(bracket + 1);
  }
  auto colons = std::count(after_host.begin(), after_host.end(), ':');
  auto address_colons = is_unix ? 0 : 1;
  if (colons < address_colons) return refuse(text, "the port is missing");
  if (colons > address_colons + 1) return refuse(text, "an IPv6 address needs brackets");
  if (!split_weight(where, colons > address_colons, spec.weight)) {
    return refuse(text, "the weight must be a number from 1 to 10000");
  }
  auto address = Address::parse(where);
  if (!address) return fail(std::move(address.error()));
  spec.address = std::move(*address);
  if (!is_unix && spec.address.host.empty()) return refuse(text, "the host is missing");
  if (!is_unix && spec.address.port == 0) return refuse(text, "the port must be 1 to 65535");
  spec.name = placement_name(spec.address, spec.name);
  return spec;
}

}  // namespace consort::shard_proxy
