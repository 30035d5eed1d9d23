#include "roles/logsaver/sinks/http_delivery.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "wire/gzip_reader.hpp"
#include "wire/zstd.hpp"

namespace consort::logsaver {
namespace {

/// Far above what --batch-bytes may be: a body of ours that unpacks to more is none.
constexpr std::size_t kPlainBytesMax = 1024UL * 1024 * 1024;

Result<std::string> plain_of(const Batch& batch) {
  if (batch.coding == Coding::gzip) return gunzip(batch.body, kPlainBytesMax);
  if (batch.coding == Coding::zstd) return unzstd(batch.body, kPlainBytesMax);
  return batch.body;
}

bool is_about_content(HttpVerdict verdict) {
  return verdict == HttpVerdict::refused || verdict == HttpVerdict::too_large;
}

}  // namespace

HttpDelivery::HttpDelivery(const SinkWorld& world, Settings settings, io::TlsClient* tls)
    : world_(world),
      name_(std::move(settings.name)),
      traits_(settings.traits),
      shape_(std::move(settings.shape)),
      sender_(world_, std::move(settings.target), tls) {}

Task<Result<>> HttpDelivery::open() {
  co_return sender_.check();
}

Task<Outcome> HttpDelivery::deliver(const Batch& batch) {
  if (progress_.contains(batch.number)) co_return co_await deliver_parts(batch, std::nullopt);
  HttpBody body{.bytes = batch.body, .coding = batch.coding, .key = batch.id};
  HttpAnswer answer = co_await sender_.send(body);
  if (is_about_content(answer.verdict)) co_return co_await deliver_parts(batch, std::move(answer));
  if (answer.verdict != HttpVerdict::delivered) co_return std::move(answer).outcome();
  HttpReading reading = read(answer, batch.records);
  if (reading.is_unfinished && reading.waiting.empty()) {
    co_return Outcome::again(std::move(reading.why), answer.wait, reading.is_overload);
  }
  if (!reading.is_unfinished && reading.rejected.empty()) co_return Outcome::ok();
  co_return co_await deliver_parts(batch, std::move(answer));
}

/// `of_whole`: what came of all of it, when that is the first part.
Task<Outcome> HttpDelivery::deliver_parts(const Batch& batch, std::optional<HttpAnswer> of_whole) {
  std::string plain;
  const Result<std::vector<BodyPart>> all = parts_of(batch, plain);
  if (!all) co_return Outcome::stuck(all.error().message());
  if (of_whole) progress_[batch.number] = begin_parts(all->size());
  Progress& progress = progress_[batch.number];
  const std::size_t began_at = progress.next;
  Outcome outcome;
  while (progress.next < progress.numbers.size()) {
    const Part part = next_part(progress, *all);
    HttpAnswer answer;
    if (of_whole) {
      answer = *std::exchange(of_whole, std::nullopt);
    } else {
      std::string body;
      shape_->put_together(part.records, body);
      answer = co_await send_part(batch, std::move(body), part);
    }
    const std::size_t count = part.records.size();
    if (is_about_content(answer.verdict)) {
      if (halve(progress, answer, count)) continue;
      const Result<> settled =
          co_await settle_refused(batch, progress, part, std::move(answer), outcome);
      if (!settled) break;
      continue;
    }
    if (answer.verdict != HttpVerdict::delivered) {
      outcome = std::move(answer).outcome();
      break;
    }
    HttpReading reading = read(answer, count);
    settle_taken(progress, part, reading);
    if (reading.is_unfinished) {
      outcome = Outcome::again(std::move(reading.why), answer.wait, reading.is_overload);
      break;
    }
    progress.size = std::min(count * 2, progress.size_max);
  }
  outcome.is_progress = progress.next > began_at;
  if (outcome.verdict != Outcome::Verdict::delivered) co_return outcome;
  outcome.rejected = std::move(progress.rejected);
  progress_.erase(batch.number);
  co_return outcome;
}

HttpDelivery::Progress HttpDelivery::begin_parts(std::size_t records) {
  Progress progress;
  progress.numbers.resize(records);
  std::iota(progress.numbers.begin(), progress.numbers.end(), 0);
  progress.size = progress.size_max = std::max<std::size_t>(records, 1);
  return progress;
}

HttpDelivery::Part HttpDelivery::next_part(const Progress& progress,
                                           std::span<const BodyPart> all) {
  std::span<const std::uint32_t> numbers = progress.numbers;
  numbers = numbers.subspan(progress.next);
  numbers = numbers.first(std::min(progress.size, numbers.size()));
  Part part;
  part.first = numbers.front();
  part.records.reserve(numbers.size());
  for (const std::uint32_t number : numbers) part.records.push_back(all[number]);
  return part;
}

/// All but those that must wait, which are what is sent next.
void HttpDelivery::settle_taken(Progress& progress, const Part& part,
                                const HttpReading& reading) const {
  if (reading.is_unfinished && reading.waiting.empty()) return;
  for (const auto& [index, reason] : reading.rejected) {
    reject({&part.records[index], 1}, reason, progress.rejected);
  }
  const std::size_t first = progress.next;
  progress.next += part.records.size() - reading.waiting.size();
  // From behind: none is overwritten before it was moved.
  std::size_t to = first + part.records.size();
  for (std::size_t i = reading.waiting.size(); i-- > 0;) {
    progress.numbers[--to] = progress.numbers[first + reading.waiting[i]];
  }
}

/// True when fewer records must be tried: the answer does not tell which of them are meant.
bool HttpDelivery::halve(Progress& progress, const HttpAnswer& answer, std::size_t count) const {
  if (count <= 1) return false;
  if (answer.verdict == HttpVerdict::refused && refuses_all(answer, count)) return false;
  progress.size = count / 2;
  if (answer.verdict == HttpVerdict::too_large) progress.size_max = progress.size;
  return true;
}

Task<HttpAnswer> HttpDelivery::send_part(const Batch& batch, std::string plain, const Part& part) {
  std::string coded;
  if (batch.coding == Coding::none) {
    coded = std::move(plain);
  } else {
    if (!compressor_) compressor_ = make_compressor(batch.coding);
    compressor_->add(plain, coded);
    plain = std::string();
  }
  const std::string key =
      batch.id + "-" + std::to_string(part.first) + "-" + std::to_string(part.records.size());
  HttpBody body{.bytes = coded, .coding = batch.coding, .key = key};
  co_return co_await sender_.send(body);
}

/// The part's end; an error when it is not settled yet, with `outcome` to tell.
Task<Result<>> HttpDelivery::settle_refused(const Batch& batch, Progress& progress,
                                            const Part& part, HttpAnswer answer, Outcome& outcome) {
  const Refusal refusal = on_refused(answer, part.records.size());
  if (refusal == Refusal::mend) {
    std::string body;
    mend(batch, part.first, part.records, body);
    answer = co_await send_part(batch, std::move(body), part);
    if (answer.verdict != HttpVerdict::delivered && !is_about_content(answer.verdict)) {
      outcome = std::move(answer).outcome();
      co_return fail(Errc::unavailable, outcome.why);
    }
  }
  const std::size_t count = part.records.size();
  if (refusal == Refusal::drop) {
    world_.log.warn("sink.dropped", {{"sink", name_}, {"records", count}, {"why", answer.why}});
  } else if (answer.verdict != HttpVerdict::delivered) {
    reject(part.records, answer.why, progress.rejected);
  }
  progress.next += count;
  co_return Result<>();
}

void HttpDelivery::reject(std::span<const BodyPart> parts, const std::string& reason,
                          std::vector<Rejection>& rejected) const {
  for (const BodyPart& part : parts) {
    rejected.push_back({.record = shape_->shown(part), .reason = reason});
  }
}

/// Views into `plain`, which is filled.
Result<std::vector<BodyPart>> HttpDelivery::parts_of(const Batch& batch, std::string& plain) const {
  Result<std::string> unpacked = plain_of(batch);
  if (!unpacked) return fail(std::move(unpacked.error()).in("batch " + batch.id));
  plain = std::move(*unpacked);
  return shape_->take_apart(plain);
}

HttpReading HttpDelivery::read(const HttpAnswer&, std::size_t) const {
  return {};
}

bool HttpDelivery::refuses_all(const HttpAnswer&, std::size_t) const {
  return true;
}

Refusal HttpDelivery::on_refused(const HttpAnswer&, std::size_t) const {
  return Refusal::reject;
}

void HttpDelivery::mend(const Batch&, std::size_t, std::span<const BodyPart> parts,
                        std::string& out) const {
  shape_->put_together(parts, out);
}

}  // namespace consort::logsaver
