// The objects under a prefix: listed, then looked at, several at a time, each in parts of 4 MiB.
//
//   ListObjectsV2, page by page --> each object: GET bytes=0-4194303 --metadata--> manifest
//                                                 and the next parts --bytes--> BodyCheck
//                                    (HEAD only, with --no-read)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "net/s3_client.hpp"
#include "roles/logsaver/sinks/s3_access.hpp"
#include "roles/logsaver/sinks/sink_url.hpp"
#include "roles/logsaver/verify/destination.hpp"

namespace consort::logsaver {

class S3Destination final : public Destination {
 public:
  static constexpr std::size_t kReaders = 8;
  static constexpr std::uint64_t kPartBytes = std::uint64_t{4} << 20;
  /// What a server says is of the moment is asked again so often, with growing pauses.
  static constexpr std::uint32_t kTriesMax = 6;

  static Result<std::unique_ptr<Destination>> create(const SinkWorld& world, const SinkUrl& url,
                                                     VerifySettings settings);

  Task<Result<>> open() override;
  Task<> verify(Checker& checker) override;

 private:
  struct Question {
    std::string key;
    s3::Range range;
    bool is_head = false;
    std::string etag{};
  };

  S3Destination(const SinkWorld& world, VerifySettings settings, std::string name,
                std::string prefix, std::unique_ptr<S3Access> access);

  Task<> read_some(Checker& checker);
  Task<> look_at(const s3::Entry& entry, Checker& checker);
  Task<Result<std::optional<std::string>>> wrong_in_body(const s3::Entry& entry, s3::Answer first,
                                                         const Manifest& manifest);
  Task<Result<s3::Answer>> ask(Question question);
  Task<Result<s3::Answer>> ask_once(const Question& question, Deadline deadline);
  Task<Result<s3::Listed>> list(std::string token);
  Task<> pause(std::uint32_t tries);
  std::string shown(const std::string& key) const;

  const SinkWorld world_;
  const VerifySettings settings_;
  const std::string name_;
  const std::string prefix_;
  const std::unique_ptr<S3Access> access_;
  std::vector<s3::Entry> objects_;
  std::size_t next_ = 0;
  std::size_t reading_ = 0;
  Event done_;
  TaskScope readers_;
};

}  // namespace consort::logsaver
