// Saving an object once: whoever tries again with the same key and bytes changes nothing.
//
//   up to part_bytes: PUT If-None-Match: * --200--> delivered
//                       |    \--412--> HEAD: same size and x-amz-meta-sha256 --> delivered
//                       |                    another --> conflict
//                       \--501--> PUT (the same key means the same bytes), remembered
//   more:  HEAD (there already?) -> abort the uploads of this key that others left -> create ->
//          parts of part_bytes, in order -> complete If-None-Match: * -> as above
//
// A crash at any point leaves the whole object, nothing, or an upload that the next try aborts
// (advise a lifecycle rule for those whose next try never comes). Only one may write a key at a
// time, for the same reason. The parts' size decides the ETag, so it is fixed.
// Needs the rights PutObject and AbortMultipartUpload; GetObject and ListBucketMultipartUploads are
// made use of where they are there.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "net/s3_client.hpp"
#include "wire/http1.hpp"

namespace consort::s3 {

struct Object {
  std::string key;
  std::string_view body;  ///< stays until the task has ended
  std::string sha256{};   ///< hex, of the body; empty: computed, 5 ms for 8 MiB
  std::string content_type{};
  std::string content_encoding{};
  http1::Headers metadata{};  ///< names without "x-amz-meta-"; sha256 is added
};

struct PutOutcome {
  Verdict verdict = Verdict::retry;  ///< delivered, or why not; never exists, absent
  bool existed = false;              ///< delivered by an earlier try
  bool verified = true;              ///< false: the rights to compare what exists are missing
  int status = 0;                    ///< of the answer that decided
  std::string text;                  ///< for people: "PUT s3://bucket/key: 403 AccessDenied (text)"
  std::optional<std::chrono::seconds> retry_after;
};

class ObjectWriter {
 public:
  static constexpr std::size_t kPartBytes = 8 * 1024 * 1024;
  /// Of the protocol.
  static constexpr std::size_t kPartsMax = 10'000;
  /// Answers of listing uploads that are looked at before a new one begins.
  static constexpr int kUploadPagesMax = 10;

  /// What is known of the server's handling of If-None-Match. One that ignores it stays unknown,
  /// which does no harm.
  enum class Condition : std::uint8_t { unknown, supported, unsupported };

  ObjectWriter(Client& client, aws::WallClock wall_ms);
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;

  /// An Error is for what never became an answer, and means: again, with the same object.
  Task<Result<PutOutcome>> put_object_once(Object object, Deadline deadline);
  Condition condition() const { return condition_; }

 private:
  Task<Result<PutOutcome>> put_whole(const Object& object, Deadline deadline);
  Task<Result<PutOutcome>> put_parts(const Object& object, Deadline deadline);
  Task<Result<PutOutcome>> fill(const Object& object, std::string id, Deadline deadline);
  Task<Result<PutOutcome>> complete(const Object& object, std::string id,
                                    std::vector<std::string> etags, Deadline deadline);
  Task<Result<PutOutcome>> compare(const Object& object, Deadline deadline);
  PutOutcome decide(const Object& object, const Answer& there) const;
  Task<Result<>> abort_orphans(const Object& object, Deadline deadline);
  PutOptions options_of(const Object& object) const;
  PutOutcome outcome(std::string_view method, const Object& object, const Answer& answer) const;
  bool learn(Verdict verdict);

  Client& client_;
  const aws::WallClock wall_ms_;
  Condition condition_ = Condition::unknown;
};

}  // namespace consort::s3
