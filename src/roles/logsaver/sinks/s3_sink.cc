#include "roles/logsaver/sinks/s3_sink.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "async/try.hpp"
#include "io/digest.hpp"
#include "roles/logsaver/sinks/http_verdict.hpp"
#include "roles/logsaver/sinks/s3_manifest.hpp"
#include "wire/retry_after.hpp"

namespace consort::logsaver {
namespace {

/// Never the beginning of an object's name, so that asking for it costs a server little.
constexpr std::string_view kProbePrefix = "/consort-probe/";

bool is_overload(int status) {
  return status == 408 || status == 429 || status == 503 || status == 504;
}

/// The bytes are what the name says: with Content-Encoding some clients would unpack them.
std::string_view content_type(BodyForm form, Coding coding) {
  if (coding == Coding::zstd) return "application/zstd";  // RFC 8878, 7.1
  if (coding == Coding::gzip) return "application/gzip";  // RFC 6713
  return form == BodyForm::raw ? "text/plain" : "application/x-ndjson";
}

std::string_view remedy(s3::Verdict verdict) {
  switch (verdict) {
    case s3::Verdict::hold_bucket:
      return " (does the bucket exist, in this region, and is there room?)";
    case s3::Verdict::too_large:
      return " (raise the store's limit on objects; a smaller batch_bytes helps those that follow)";
    case s3::Verdict::conflict:
      return " (until somebody moves that object away, this batch waits)";
    default:
      return "";
  }
}

}  // namespace

Result<std::unique_ptr<Sink>> S3Sink::create(const SinkWorld& world, Settings settings) {
  Result<std::unique_ptr<S3Access>> access = S3Access::create(world, settings.place);
  if (!access) return fail(std::move(access.error()).in(settings.name));
  return std::unique_ptr<Sink>(  // tidy:allow private constructor
      new S3Sink(world, std::move(settings), std::move(*access)));
}

S3Sink::S3Sink(const SinkWorld& world, Settings settings, std::unique_ptr<S3Access> access)
    : world_(world),
      settings_(std::move(settings)),
      access_(std::move(access)),
      credentials_(access_->credentials()),
      client_(access_->client()),
      writer_(client_, world_.wall_ms) {}

std::unique_ptr<Encoding> S3Sink::make_encoding() const {
  JsonRecordRules rules;
  rules.invalid_utf8 = world_.invalid_utf8;
  return make_line_encoding(settings_.form, rules);
}

Task<Result<>> S3Sink::open() {
  scope_.spawn(probe());
  co_return Result<>();
}

/// So that a wrong bucket is told at the start and not with the first batch, a minute later.
Task<> S3Sink::probe() {
  const Deadline deadline = Deadline::after(world_.loop.now_ms(), kProbeTimeout);
  std::string prefix = settings_.prefix;
  prefix += kProbePrefix;
  const std::string none;
  const Result<s3::Listed> listed = co_await client_.list(std::move(prefix), none, deadline);
  std::string why;
  if (!listed) {
    why = listed.error().message();
  } else {
    const s3::Answer& answer = listed->answer;
    const s3::Verdict verdict = s3::judge(answer.status, answer.code);
    if (verdict == s3::Verdict::delivered) {
      world_.log.info("s3.ready",
                      {{"sink", name()}, {"region", access_->place().credentials.region}});
      co_return;
    }
    // Who may write need not be allowed to list.
    if (answer.code == "AccessDenied") co_return;
    why = "listing it: " + std::to_string(answer.status) + " " + answer.code;
    if (!answer.message.empty()) why += " (" + answer.message + ")";
    why += remedy(verdict);
  }
  world_.log.warn("s3.unready",
                  {{"sink", name()},
                   {"why", why},
                   {"done", "nothing is lost: batches wait until it can be reached"}});
}

Task<Outcome> S3Sink::deliver(const Batch& batch) {
  const Deadline deadline = Deadline::after(world_.loop.now_ms(), settings_.timeout);
  if (batch.is_replay && !batch.has_same_settings) {
    std::optional<Outcome> found = co_await find_earlier(batch, deadline);
    if (found) co_return std::move(*found);
  }
  co_return co_await put(batch, deadline);
}

Task<Outcome> S3Sink::put(const Batch& batch, Deadline deadline) {
  const std::string sha256 =
      batch.sha256.empty() ? io::to_hex(io::sha256(batch.body)) : batch.sha256;
  for (bool is_again = false;; is_again = true) {
    const Result<std::shared_ptr<const aws::Keys>> keys = co_await credentials_.get(deadline);
    if (!keys) {
      // Not found are credentials, not hosts: somebody must say where they are.
      if (keys.error().code() == Errc::not_found) co_return Outcome::stuck(keys.error().message());
      co_return outcome_of(keys.error());
    }
    s3::Object object = object_of(batch, sha256);
    const Result<s3::PutOutcome> done =
        co_await writer_.put_object_once(std::move(object), deadline);
    if (!done) co_return outcome_of(done.error());
    if (done->verdict == s3::Verdict::hold_credentials && !is_again) {
      const bool is_other = co_await has_other_keys(*keys, deadline);
      if (is_other) continue;
    }
    co_return outcome_of(*done, (*keys)->source);
  }
}

/// The client looks for keys again after it was refused; do they differ?
Task<bool> S3Sink::has_other_keys(std::shared_ptr<const aws::Keys> known, Deadline deadline) {
  const Result<std::shared_ptr<const aws::Keys>> keys = co_await credentials_.get(deadline);
  if (!keys) co_return false;
  const aws::Keys& now = **keys;
  co_return now.access_key_id != known->access_key_id ||
      now.secret_access_key != known->secret_access_key ||
      now.session_token != known->session_token;
}

/// Of a batch whose body and suffix may have been others: that it is there, or why that is not
/// known; nothing when it has to be sent.
Task<std::optional<Outcome>> S3Sink::find_earlier(const Batch& batch, Deadline deadline) {
  const std::string stem = stem_of(batch);
  for (const BodyForm form : {BodyForm::ndjson, BodyForm::raw}) {
    for (const Coding coding : {Coding::zstd, Coding::gzip, Coding::none}) {
      std::string key = with_suffix(stem, s3_suffix(form, coding));
      const Result<s3::Answer> answer = co_await client_.head(std::move(key), deadline);
      if (!answer) co_return outcome_of(answer.error());
      // 403 is also what is said of names that are not there; the put will tell. 200 is delivered.
      if (answer->status == 404 || answer->status == 403) continue;
      s3::PutOutcome asked{.verdict = s3::judge(answer->status, ""), .status = answer->status};
      asked.text = "HEAD s3://" + settings_.place.bucket + "/" + stem +
                   "...: " + std::to_string(answer->status);
      asked.retry_after =
          parse_retry_after(http1::find_header(answer->headers, "retry-after"), world_.wall_ms());
      Outcome outcome = outcome_of(asked, "");
      if (!batch.manifest.empty()) outcome.manifest_there = manifest_in(answer->headers);
      co_return outcome;
    }
  }
  const Result<> aborted = co_await abort_uploads(stem, deadline);
  if (!aborted) co_return outcome_of(aborted.error());
  co_return std::nullopt;
}

/// Under any suffix. What may not be listed or aborted costs money and no data.
Task<Result<>> S3Sink::abort_uploads(std::string stem, Deadline deadline) {
  const std::string none;
  s3::ListedUploads listed = co_await try_(client_.list_uploads(stem, none, none, deadline));
  for (s3::Upload& upload : listed.uploads.uploads) {
    if (!upload.key.starts_with(stem)) continue;
    const s3::Answer aborted =
        co_await try_(client_.abort_upload(std::move(upload.key), std::move(upload.id), deadline));
  }
  co_return Result<>();
}

s3::Object S3Sink::object_of(const Batch& batch, std::string sha256) const {
  s3::Object object;
  object.key = with_suffix(stem_of(batch), s3_suffix(settings_.form, batch.coding));
  object.body = batch.body;
  object.sha256 = std::move(sha256);
  object.content_type = content_type(settings_.form, batch.coding);
  object.metadata = {{"consort-batch", batch.id},
                     {"consort-first-tail", std::to_string(batch.first_tail)},
                     {"consort-first-offset", std::to_string(batch.first_offset)},
                     {"consort-records", std::to_string(batch.records)},
                     {"consort-plain-bytes", std::to_string(batch.body_plain_bytes)}};
  add_manifest(object.metadata, batch.manifest);
  return object;
}

std::string S3Sink::stem_of(const Batch& batch) const {
  return settings_.key.stem({.prefix = settings_.prefix, .host = world_.host}, batch);
}

Outcome S3Sink::outcome_of(const s3::PutOutcome& put, const std::string& source) {
  using enum s3::Verdict;
  if (put.verdict == delivered) {
    if (!put.verified && !std::exchange(has_warned_, true)) {
      world_.log.warn("s3.unverified",
                      {{"sink", name()},
                       {"why", "objects that are there already may not be compared with ours"},
                       {"remedy", "allow s3:GetObject; the same name means the same bytes"}});
    }
    return Outcome::ok();
  }
  if (put.verdict == retry) {
    const Millis wait = put.retry_after.value_or(std::chrono::seconds(0));
    return Outcome::again(put.text, std::min<Millis>(wait, kWaitMax), is_overload(put.status));
  }
  std::string why = put.text;
  if (put.verdict == hold_credentials && !source.empty()) {
    why += " (the keys are from " + source + "; that is read again before the next try)";
  }
  why += remedy(put.verdict);
  return Outcome::stuck(std::move(why));
}

Outcome S3Sink::outcome_of(const Error& error) const {
  const HttpVerdict verdict = judge_failure(error.code());
  const std::string why = name() + ": " + error.message();
  if (verdict == HttpVerdict::hold) return Outcome::stuck(why);
  return Outcome::again(why, Millis{0}, verdict == HttpVerdict::overload);
}

}  // namespace consort::logsaver
