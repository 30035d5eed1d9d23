#include "net/record_watch.hpp"

#include <algorithm>
#include <utility>

namespace consort {
namespace {

constexpr double kJitter = 0.2;

/// The shortest TTL of an answer.
template <class Record>
std::uint64_t ttl_ms(const std::vector<Record>& answer) {
  std::uint64_t shortest = RecordWatch::kTtlMaxMs;
  for (const Record& record : answer) {
    shortest = std::min(shortest, std::uint64_t{record.ttl_s} * 1000);
  }
  return std::max(shortest, RecordWatch::kTtlMinMs);
}

}  // namespace

RecordWatch::RecordWatch(const RecordEffects& effects, Settings settings, Handler& handler)
    : effects_(effects),
      settings_(std::move(settings)),
      handler_(handler),
      failures_(effects.metrics.counter("consort_discovery_failures_total",
                                        "Questions for servers without a good answer.",
                                        {{"source", settings_.name}})),
      again_(
          effects.loop.timers(), [](void* self) { static_cast<RecordWatch*>(self)->ask(); }, this) {
}

void RecordWatch::start() {
  if (source().kind == RecordSource::Kind::file) {
    watch_ = effects_.files.watch(source().target, *this);
  }
  ask_again_after(0);
}

void RecordWatch::ask_again_after(std::uint64_t wait_ms) {
  again_.arm_at(effects_.loop.now_ms() + wait_ms);
}

void RecordWatch::ask() {
  switch (source().kind) {
    case RecordSource::Kind::dns:
      query_ = effects_.dns.resolve(source().target, kQuestionTime, *this);
      break;
    case RecordSource::Kind::srv:
      query_ = effects_.dns.resolve_service(source().target, kQuestionTime, *this);
      break;
    case RecordSource::Kind::file:
      read_file();
      break;
  }
}

void RecordWatch::on_resolved(Result<std::vector<io::DnsAddress>> answer) {
  query_.reset();
  if (!answer) {
    fail_with(name() + ": " + answer.error().message());
    return;
  }
  ask_again_after(ttl_ms(*answer));
  Records records;
  records.addresses = std::move(*answer);
  take(records);
}

void RecordWatch::on_resolved(Result<std::vector<io::DnsService>> answer) {
  query_.reset();
  if (!answer) {
    fail_with(name() + ": " + answer.error().message());
    return;
  }
  ask_again_after(ttl_ms(*answer));
  Records records;
  records.services = std::move(*answer);
  take(records);
}

void RecordWatch::on_file_changed() {
  read_file();
}

void RecordWatch::read_file() {
  again_.cancel();
  Result<std::string> text = effects_.files.read(source().target, settings_.file_bytes_max);
  if (!text) {
    fail_with(text.error().message());
    return;
  }
  Records records;
  records.text = std::move(*text);
  take(records);
}

void RecordWatch::take(const Records& records) {
  const Result<News> news = handler_.on_records(records);
  if (!news) {
    const bool is_file = source().kind == RecordSource::Kind::file;
    fail_with((is_file ? "" : name() + ": ") + news.error().message());
    return;
  }
  retry_ms_ = kRetryMinMs;
  const bool was_failing = !std::exchange(told_why_, {}).empty();
  if (*news == News::changed) {
    handler_.on_records_changed();
  } else if (was_failing) {
    handler_.on_records_recovered();
  }
}

void RecordWatch::fail_with(const std::string& why) {
  failures_.add();
  const double spread = 1 + kJitter * (2 * effects_.random.unit() - 1);
  ask_again_after(static_cast<std::uint64_t>(static_cast<double>(retry_ms_) * spread));
  retry_ms_ = std::min(retry_ms_ * 3 / 2, kRetryMaxMs);
  if (std::exchange(told_why_, why) != why) handler_.on_records_failed(why);
}

}  // namespace consort
