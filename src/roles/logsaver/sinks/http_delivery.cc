#include "roles/logsaver/sinks/http_delivery.hpp"

#include <algorithm>
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
  if (reading.is_unfinished) {
    co_return Outcome::again(std::move(reading.why), answer.wait, reading.is_overload);
  }
  co_return settle_named(batch, std::move(reading));
}

Task<Outcome> HttpDelivery::deliver_parts(const Batch& batch, std::optional<HttpAnswer> of_whole) {
  std::string plain;
  const Result<std::vector<BodyPart>> all = parts_of(batch, plain);
  if (!all) co_return Outcome::stuck(all.error().message());
  Progress& progress = progress_[batch.number];
  if (of_whole) progress.size = progress.size_max = std::max<std::size_t>(all->size(), 1);
  while (progress.next < all->size()) {
    Part part{.records = *all, .first = progress.next};
    part.records =
        part.records.subspan(part.first, std::min(progress.size, part.records.size() - part.first));
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
      Outcome outcome;
      const Result<> settled =
          co_await settle_refused(batch, progress, part, std::move(answer), outcome);
      if (!settled) co_return outcome;
      continue;
    }
    if (answer.verdict != HttpVerdict::delivered) co_return std::move(answer).outcome();
    HttpReading reading = read(answer, count);
    if (reading.is_unfinished) {
      co_return Outcome::again(std::move(reading.why), answer.wait, reading.is_overload);
    }
    for (const auto& [index, reason] : reading.rejected) {
      reject(part.records.subspan(index, 1), reason, progress.rejected);
    }
    progress.next += count;
    progress.size = std::min(count * 2, progress.size_max);
  }
  Outcome done = Outcome::ok();
  done.rejected = std::move(progress.rejected);
  progress_.erase(batch.number);
  co_return done;
}

/// True when fewer records must be tried: the answer does not tell which of them are meant.
bool HttpDelivery::halve(Progress& progress, const HttpAnswer& answer, std::size_t count) const {
  if (count <= 1) return false;
  if (answer.verdict == HttpVerdict::refused && refuses_all(answer, count)) return false;
  progress.size = count / 2;
  if (answer.verdict == HttpVerdict::too_large) progress.size_max = progress.size;
  return true;
}

Task<HttpAnswer> HttpDelivery::send_part(const Batch& batch, std::string plain, Part part) {
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
Task<Result<>> HttpDelivery::settle_refused(const Batch& batch, Progress& progress, Part part,
                                            HttpAnswer answer, Outcome& outcome) {
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

Outcome HttpDelivery::settle_named(const Batch& batch, HttpReading reading) const {
  Outcome done = Outcome::ok();
  if (reading.rejected.empty()) return done;
  std::string plain;
  const Result<std::vector<BodyPart>> all = parts_of(batch, plain);
  if (!all) return Outcome::stuck(all.error().message());
  for (const auto& [index, reason] : reading.rejected) {
    if (index < all->size()) reject({&(*all)[index], 1}, reason, done.rejected);
  }
  return done;
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
