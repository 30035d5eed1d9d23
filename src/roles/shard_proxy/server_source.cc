#include "roles/shard_proxy/server_source.hpp"

#include <algorithm>
#include <charconv>

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kForms =
    "write dns://NAME:PORT[?weight=N], srv://_SERVICE._tcp.NAME or file:PATH";
constexpr std::string_view kLater[] = {"cluster", "sentinel", "elasticache", "http", "https"};
constexpr std::string_view kWeight = "weight=";
constexpr std::uint32_t kMaxWeight = 10'000;

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  std::string message = in_quotes(text) + " is not a source of servers: ";
  message.append(why).append(" (").append(kForms);
  return fail(Errc::invalid, message + ")");
}

bool parse_weight(std::string_view number, std::uint32_t& weight) {
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, weight);
  return error == std::errc{} && stop == end && weight != 0 && weight <= kMaxWeight;
}

}  // namespace

Result<ServerSource> ServerSource::parse(std::string_view text) {
  const std::string_view scheme = text.substr(0, std::min(text.find("://"), text.size()));
  if (std::find(std::begin(kLater), std::end(kLater), scheme) != std::end(kLater)) {
    return refuse(text, std::string(scheme) + ":// is not supported yet");
  }
  const Result<RecordSource> records = RecordSource::parse(text);
  if (!records) return refuse(text, records.error().text());
  ServerSource source;
  source.kind = records->kind;
  source.target = records->target;
  source.port = records->port;
  if (source.kind == Kind::file || text.find('?') == text.npos) return source;
  if (source.kind == Kind::srv) {
    return refuse(text, "the name of an SRV record is _SERVICE._tcp.NAME, no port");
  }
  const std::string_view parameters = records->parameters;
  if (!parameters.starts_with(kWeight)) {
    return refuse(text, "after \"?\" only weight=N may stand");
  }
  if (!parse_weight(parameters.substr(kWeight.size()), source.weight)) {
    return refuse(text, "the weight must be a number from 1 to 10000");
  }
  return source;
}

std::string ServerSource::to_string() const {
  const std::string text = records().to_string();
  return weight == 1 ? text : text + "?weight=" + std::to_string(weight);
}

}  // namespace consort::shard_proxy
