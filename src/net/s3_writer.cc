#include "net/s3_writer.hpp"

#include <algorithm>
#include <utility>

#include "async/try.hpp"
#include "io/digest.hpp"
#include "wire/retry_after.hpp"

namespace consort::s3 {
namespace {

constexpr std::string_view kSumHeader = "x-amz-meta-sha256";

enum class Likeness : std::uint8_t { same, unknown, different };

/// What a HEAD tells of the object against ours.
Likeness compare_with(const Answer& there, const Object& ours) {
  if (there.size != ours.body.size()) return Likeness::different;
  const std::string_view sum = http1::find_header(there.headers, kSumHeader);
  if (sum.empty()) return Likeness::unknown;
  return sum == ours.sha256 ? Likeness::same : Likeness::different;
}

PutOutcome delivered(const Answer& answer, Likeness likeness) {
  PutOutcome out;
  out.verdict = Verdict::delivered;
  out.existed = true;
  out.verified = likeness == Likeness::same;
  out.status = answer.status;
  return out;
}

}  // namespace

ObjectWriter::ObjectWriter(Client& client, aws::WallClock wall_ms)
    : client_(client), wall_ms_(std::move(wall_ms)) {}

Task<Result<PutOutcome>> ObjectWriter::put_object_once(Object object, Deadline deadline) {
  if (object.body.size() > kPartsMax * kPartBytes) {
    PutOutcome out;
    out.verdict = Verdict::too_large;
    out.text = object.key + ": an object has at most " + std::to_string(kPartsMax) + " parts";
    co_return out;
  }
  if (object.sha256.empty()) object.sha256 = io::to_hex(io::sha256(object.body));
  if (object.body.size() <= kPartBytes) co_return co_await put_whole(object, deadline);
  co_return co_await put_parts(object, deadline);
}

Task<Result<PutOutcome>> ObjectWriter::put_whole(const Object& object, Deadline deadline) {
  PutOptions options = options_of(object);
  options.sha256 = object.sha256;
  options.if_absent = condition_ != Condition::unsupported;
  Answer answer = co_await try_(client_.put(object.key, object.body, options, deadline));
  Verdict verdict = judge(answer.status, answer.code);
  if (options.if_absent && learn(verdict)) {
    options.if_absent = false;
    answer = co_await try_(client_.put(object.key, object.body, std::move(options), deadline));
    verdict = judge(answer.status, answer.code);
  }
  if (verdict == Verdict::exists) co_return co_await compare(object, deadline);
  co_return outcome("PUT", object, answer);
}

Task<Result<PutOutcome>> ObjectWriter::put_parts(const Object& object, Deadline deadline) {
  const Answer there = co_await try_(client_.head(object.key, deadline));
  if (there.status == 200) co_return decide(object, there);
  // 403 is also what a key that is not there is answered with when listing is not allowed.
  if (there.status != 404 && there.status != 403) co_return outcome("HEAD", object, there);
  co_await try_(abort_orphans(object, deadline));

  Answer created = co_await try_(client_.create_upload(object.key, options_of(object), deadline));
  if (judge(created.status, created.code) != Verdict::delivered) {
    co_return outcome("POST", object, created);
  }
  const std::string id = std::move(created.body);
  Result<PutOutcome> filled = co_await fill(object, id, deadline);
  if (filled && (filled->verdict != Verdict::delivered || filled->existed)) {
    // It failed for good: the next try would find it and do the same.
    const Result<Answer> aborted = co_await client_.abort_upload(object.key, id, deadline);
  }
  co_return filled;
}

Task<Result<PutOutcome>> ObjectWriter::fill(const Object& object, std::string id,
                                            Deadline deadline) {
  std::vector<std::string> etags;
  for (std::size_t at = 0; at < object.body.size(); at += kPartBytes) {
    const std::string_view part = object.body.substr(at, kPartBytes);
    const auto number = static_cast<std::uint32_t>(etags.size() + 1);
    Answer answer = co_await try_(client_.upload_part(object.key, id, number, part, deadline));
    if (judge(answer.status, answer.code) != Verdict::delivered) {
      co_return outcome("PUT", object, answer);
    }
    etags.push_back(std::move(answer.etag));
  }
  co_return co_await complete(object, std::move(id), std::move(etags), deadline);
}

Task<Result<PutOutcome>> ObjectWriter::complete(const Object& object, std::string id,
                                                std::vector<std::string> etags, Deadline deadline) {
  const bool if_absent = condition_ != Condition::unsupported;
  Answer answer =
      co_await try_(client_.complete_upload(object.key, id, etags, if_absent, deadline));
  Verdict verdict = judge(answer.status, answer.code);
  if (if_absent && learn(verdict)) {
    answer = co_await try_(
        client_.complete_upload(object.key, std::move(id), std::move(etags), false, deadline));
    verdict = judge(answer.status, answer.code);
  }
  // NoSuchUpload: it may have been completed by a request whose answer was lost.
  if (verdict == Verdict::exists || answer.code == "NoSuchUpload") {
    co_return co_await compare(object, deadline);
  }
  co_return outcome("POST", object, answer);
}

Task<Result<PutOutcome>> ObjectWriter::compare(const Object& object, Deadline deadline) {
  const Answer there = co_await try_(client_.head(object.key, deadline));
  co_return decide(object, there);
}

/// There is an object of that key: is it ours?
PutOutcome ObjectWriter::decide(const Object& object, const Answer& there) const {
  // We may write and not read. The same key means the same bytes.
  if (there.status == 403) return delivered(there, Likeness::unknown);
  PutOutcome out = outcome("HEAD", object, there);
  if (out.verdict != Verdict::delivered) return out;
  const Likeness likeness = compare_with(there, object);
  if (likeness != Likeness::different) return delivered(there, likeness);
  out.verdict = Verdict::conflict;
  out.text = "s3://" + client_.settings().bucket + "/" + object.key +
             ": another object has this key (other size or sha256); was the state directory lost, "
             "or does another host write the same keys?";
  return out;
}

/// Of uploads of exactly this key. What cannot be listed or aborted costs money and no data.
Task<Result<>> ObjectWriter::abort_orphans(const Object& object, Deadline deadline) {
  std::string next_key;
  std::string next_id;
  for (int page = 0; page < kUploadPagesMax; ++page) {
    ListedUploads listed =
        co_await try_(client_.list_uploads(object.key, next_key, next_id, deadline));
    for (Upload& upload : listed.uploads.uploads) {
      if (upload.key != object.key) continue;
      const Answer aborted =
          co_await try_(client_.abort_upload(object.key, std::move(upload.id), deadline));
    }
    next_key = std::move(listed.uploads.next_key);
    next_id = std::move(listed.uploads.next_id);
    // Keys come in order, and a prefix stands before what it begins.
    if (next_key != object.key) break;
  }
  co_return {};
}

PutOptions ObjectWriter::options_of(const Object& object) const {
  PutOptions options;
  options.content_type = object.content_type;
  options.content_encoding = object.content_encoding;
  options.metadata = object.metadata;
  options.metadata.emplace_back("sha256", object.sha256);
  return options;
}

PutOutcome ObjectWriter::outcome(std::string_view method, const Object& object,
                                 const Answer& answer) const {
  PutOutcome out;
  out.verdict = judge(answer.status, answer.code);
  // What has just been there is gone, or the bucket is: both are looked at again.
  if (out.verdict == Verdict::absent) out.verdict = Verdict::retry;
  out.status = answer.status;
  if (out.verdict == Verdict::delivered) return out;
  out.text.append(method).append(" s3://").append(client_.settings().bucket).append("/");
  out.text.append(object.key).append(": ").append(std::to_string(answer.status));
  if (!answer.code.empty()) out.text.append(" ").append(answer.code);
  if (!answer.message.empty()) out.text.append(" (").append(answer.message).append(")");
  out.retry_after =
      parse_retry_after(http1::find_header(answer.headers, "retry-after"), wall_ms_());
  return out;
}

/// From an answer to a conditional request; true when it has to be repeated without the condition.
bool ObjectWriter::learn(Verdict verdict) {
  if (verdict == Verdict::exists) condition_ = Condition::supported;
  if (verdict != Verdict::unsupported || condition_ == Condition::supported) return false;
  condition_ = Condition::unsupported;
  return true;
}

}  // namespace consort::s3
