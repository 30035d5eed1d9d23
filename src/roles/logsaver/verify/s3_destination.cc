#include "roles/logsaver/verify/s3_destination.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "async/deadline.hpp"
#include "async/timer.hpp"
#include "async/try.hpp"
#include "roles/logsaver/sinks/s3_manifest.hpp"
#include "roles/logsaver/verify/body_check.hpp"

namespace consort::logsaver {
namespace {

constexpr std::uint64_t kPauseMs = 100;

std::string words_of(const s3::Answer& answer) {
  std::string text = "the server answers " + std::to_string(answer.status);
  if (!answer.code.empty()) text.append(" ").append(answer.code);
  if (!answer.message.empty()) text.append(" (").append(answer.message).append(")");
  return text;
}

bool is_delivered(const s3::Answer& answer) {
  return s3::judge(answer.status, answer.code) == s3::Verdict::delivered;
}

bool is_of_the_moment(const s3::Answer& answer) {
  return s3::judge(answer.status, answer.code) == s3::Verdict::retry;
}

bool is_of_the_moment(const Error& error) {
  const Errc code = error.code();
  return code == Errc::timed_out || code == Errc::closed || code == Errc::refused ||
         code == Errc::unavailable || code == Errc::io;
}

}  // namespace

Result<std::unique_ptr<Destination>> S3Destination::create(const SinkWorld& world,
                                                           const SinkUrl& url,
                                                           VerifySettings settings) {
  Result<std::unique_ptr<S3Access>> access = S3Access::create(world, s3_place(url));
  if (!access) return fail(std::move(access.error()).in(url.name()));
  std::string prefix = url.path();
  // With a template of one's own the prefix may be the beginning of a name.
  if (!prefix.empty() && url.settings().key.empty()) prefix += '/';
  return std::unique_ptr<Destination>(  // tidy:allow private constructor
      new S3Destination(world, settings, url.name(), std::move(prefix), std::move(*access)));
}

S3Destination::S3Destination(const SinkWorld& world, VerifySettings settings, std::string name,
                             std::string prefix, std::unique_ptr<S3Access> access)
    : world_(world),
      settings_(settings),
      name_(std::move(name)),
      prefix_(std::move(prefix)),
      access_(std::move(access)) {}

std::string S3Destination::shown(const std::string& key) const {
  return "s3://" + access_->place().bucket + "/" + key;
}

Task<Result<>> S3Destination::open() {
  std::string token;
  do {
    Result<s3::Listed> listed = co_await list(token);
    if (!listed) co_return fail(std::move(listed.error()).in(name_));
    if (!is_delivered(listed->answer)) {
      co_return fail(Errc::unavailable, name_ + ": listing it: " + words_of(listed->answer));
    }
    for (s3::Entry& entry : listed->listing.entries) objects_.push_back(std::move(entry));
    if (objects_.size() > kObjectsMax) {
      co_return fail(Errc::limit, name_ + ": more than " + std::to_string(kObjectsMax) +
                                      " objects: name a longer prefix");
    }
    token = std::move(listed->listing.next);
  } while (!token.empty());
  co_return Result<>();
}

Task<> S3Destination::verify(Checker& checker) {
  reading_ = std::min(kReaders, objects_.size());
  if (reading_ == 0) co_return;
  for (std::size_t i = reading_; i > 0; --i) readers_.spawn(read_some(checker));
  co_await done_.wait();
}

Task<> S3Destination::read_some(Checker& checker) {
  while (next_ < objects_.size()) {
    const s3::Entry& entry = objects_[next_++];
    co_await look_at(entry, checker);
  }
  // By the loop: who waits may end this scope.
  if (--reading_ == 0) world_.loop.post([this] { done_.set(); });
}

Task<> S3Destination::look_at(const s3::Entry& entry, Checker& checker) {
  using Kind = Problem::Kind;
  const std::string where = shown(entry.key);
  const bool is_head = !settings_.reads_bodies || entry.size == 0;
  Question first{.key = entry.key, .range = {0, kPartBytes - 1}, .is_head = is_head};
  Result<s3::Answer> answer = co_await ask(std::move(first));
  if (!answer || !is_delivered(*answer)) {
    std::string why = answer ? words_of(*answer) : answer.error().message();
    if (answer && answer->status == 404) why = "is gone since it was listed";
    checker.damaged(Kind::unread, where, std::move(why), "");
    co_return;
  }
  const std::string text = manifest_in(answer->headers);
  if (text.empty()) {
    checker.foreign(where);
    co_return;
  }
  Result<Manifest> manifest = read_manifest(text);
  if (!manifest) {
    checker.damaged(Kind::changed, where, manifest.error().text(), "");
    co_return;
  }
  const std::string stream(parse_batch(manifest->batch)->stream);
  std::optional<std::string> wrong;
  if (settings_.reads_bodies) {
    Result<std::optional<std::string>> found =
        co_await wrong_in_body(entry, std::move(*answer), *manifest);
    if (!found) checker.damaged(Kind::unread, where, found.error().text(), stream);
    if (found) wrong = std::move(*found);
  } else if (entry.size != manifest->stored) {
    wrong = "has " + std::to_string(entry.size) + " bytes instead of " +
            std::to_string(manifest->stored);
  }
  if (wrong) checker.damaged(Kind::changed, where, std::move(*wrong), stream);
  checker.add({.name = where, .manifest = std::move(*manifest), .hash = hash_of_manifest(text)});
}

/// What its bytes are that the manifest does not say, if anything. An error: they could not be
/// read.
Task<Result<std::optional<std::string>>> S3Destination::wrong_in_body(const s3::Entry& entry,
                                                                      s3::Answer first,
                                                                      const Manifest& manifest) {
  BodyCheck body(manifest);
  body.add(first.body);
  std::uint64_t at = first.body.size();
  // 200: a server that knows no ranges has sent all of it.
  while (first.status == 206 && at < entry.size) {
    Question next{.key = entry.key, .range = {at, at + kPartBytes - 1}, .etag = first.etag};
    const Result<s3::Answer> answer = co_await ask(std::move(next));
    if (!answer || answer->status != 206 || answer->body.empty()) {
      const std::string why = answer ? words_of(*answer) : answer.error().message();
      co_return fail(Errc::io, "from byte " + std::to_string(at) + " on: " + why);
    }
    at += answer->body.size();
    body.add(answer->body);
  }
  co_return body.finish();
}

Task<> S3Destination::pause(std::uint32_t tries) {
  const std::uint64_t bound = kPauseMs << tries;
  const std::uint64_t until_ms = world_.loop.now_ms() + bound + world_.random.below(bound);
  co_await sleep_until(world_.loop.timers(), until_ms);
}

Task<Result<s3::Answer>> S3Destination::ask_once(const Question& question, Deadline deadline) {
  s3::Client& client = access_->client();
  if (question.is_head) co_return co_await client.head(question.key, deadline);
  co_return co_await client.get_part(question.key, question.range, question.etag, deadline);
}

/// Again and again, as long as it is of the moment.
Task<Result<s3::Answer>> S3Destination::ask(Question question) {
  for (std::uint32_t tries = 0;; ++tries) {
    const Deadline deadline = Deadline::after(world_.loop.now_ms(), settings_.timeout);
    Result<s3::Answer> answer = co_await ask_once(question, deadline);
    const bool is_moment = answer ? is_of_the_moment(*answer) : is_of_the_moment(answer.error());
    if (!is_moment || tries + 1 >= kTriesMax) co_return answer;
    co_await pause(tries);
  }
}

Task<Result<s3::Listed>> S3Destination::list(std::string token) {
  for (std::uint32_t tries = 0;; ++tries) {
    const Deadline deadline = Deadline::after(world_.loop.now_ms(), settings_.timeout);
    Result<s3::Listed> listed = co_await access_->client().list(prefix_, token, deadline);
    const bool is_moment =
        listed ? is_of_the_moment(listed->answer) : is_of_the_moment(listed.error());
    if (!is_moment || tries + 1 >= kTriesMax) co_return listed;
    co_await pause(tries);
  }
}

}  // namespace consort::logsaver
