#include "io/dns/srv_reply.hpp"

#include <ares.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace consort::io {

namespace {

constexpr std::uint16_t kTypeSrv = 33;
constexpr std::uint16_t kClassInternet = 1;

/// Walks a message; any step beyond its end turns it bad for good.
class Reader {
 public:
  explicit Reader(std::span<const unsigned char> message) : message_(message) {}

  bool bad() const { return bad_; }
  void give_up() { bad_ = true; }
  std::size_t position() const { return at_; }

  std::uint16_t u16() {
    if (!has(2)) return 0;
    auto value = static_cast<std::uint16_t>(message_[at_] << 8 | message_[at_ + 1]);
    at_ += 2;
    return value;
  }
  std::uint32_t u32() {
    std::uint32_t high = u16();
    return high << 16 | u16();
  }
  void skip(std::size_t bytes) {
    if (has(bytes)) at_ += bytes;
  }
  /// A possibly compressed name; c-ares checks its pointers for loops and bounds.
  std::string name() {
    char* text = nullptr;
    long used = 0;
    if (!has(1) || ares_expand_name(message_.data() + at_, message_.data(),
                                    static_cast<int>(message_.size()), &text, &used) != 0) {
      bad_ = true;
      return {};
    }
    std::string name(text);
    ares_free_string(text);
    skip(static_cast<std::size_t>(used));
    return name;
  }

 private:
  bool has(std::size_t bytes) {
    if (bad_ || message_.size() - at_ < bytes) bad_ = true;
    return !bad_;
  }

  std::span<const unsigned char> message_;
  std::size_t at_ = 0;
  bool bad_ = false;
};

/// Reads one resource record, and keeps it when it is a service.
void read_record(Reader& reader, std::vector<DnsService>& services) {
  reader.name();
  std::uint16_t type = reader.u16();
  std::uint16_t of_class = reader.u16();
  std::uint32_t ttl_s = reader.u32();
  std::uint16_t length = reader.u16();
  std::size_t data_begin = reader.position();
  if (type == kTypeSrv && of_class == kClassInternet) {
    DnsService service;
    service.priority = reader.u16();
    service.weight = reader.u16();
    service.port = reader.u16();
    service.target = reader.name();
    service.ttl_s = ttl_s;
    if (reader.bad() || reader.position() != data_begin + length) {
      reader.give_up();
      return;
    }
    if (!service.target.empty() && services.size() < kDnsRecordsMax) {
      services.push_back(std::move(service));
    }
    return;
  }
  reader.skip(length);
}

}  // namespace

Result<std::vector<DnsService>> parse_srv_reply(std::span<const unsigned char> reply) {
  constexpr std::size_t kFixedBytes = 4;     // id and flags: c-ares has looked at them
  constexpr std::size_t kCountsUnused = 4;   // authority and additional sections
  constexpr std::size_t kQuestionBytes = 4;  // type and class
  Reader reader(reply);
  reader.skip(kFixedBytes);
  std::uint16_t questions = reader.u16();
  std::uint16_t answers = reader.u16();
  reader.skip(kCountsUnused);
  for (int i = 0; i < questions && !reader.bad(); ++i) {
    reader.name();
    reader.skip(kQuestionBytes);
  }
  std::vector<DnsService> services;
  for (int i = 0; i < answers && !reader.bad(); ++i) read_record(reader, services);
  if (reader.bad()) return fail(Errc::protocol, "the DNS server's answer is malformed");
  if (services.empty()) return fail(Errc::not_found, "no such service");
  // Servers rotate their answers; within a priority the order should not depend on that.
  std::sort(services.begin(), services.end(), [](const auto& a, const auto& b) {
    return std::tie(a.priority, a.target, a.port) < std::tie(b.priority, b.target, b.port);
  });
  return services;
}

}  // namespace consort::io
