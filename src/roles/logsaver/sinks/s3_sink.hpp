// Saves batches as objects of a bucket: each once, whatever happens in between.
//
//   deliver(batch): key and bytes are functions of the batch (s3_key.hpp, compressor.hpp), so
//     put_object_once() (s3_writer.hpp) may be repeated, after a lost answer as after a crash.
//   A replay that was built with other settings may have other bytes and another suffix:
//     HEAD of the key with each suffix that there is --one exists--> delivered, it stays as it is
//                                                   \--none, and uploads of it are aborted--> put
//
//   answer                                      outcome
//   408 429 503 504, SlowDown, none in time     retry, fewer at a time, Retry-After
//   other 5xx, 409, connection failures         retry
//   401 403 (keys, rights, clock)               with new keys at once, if there are; else hold
//   no such bucket, other region, 400, 413      hold
//   another object has the key                  hold: two that save under one name
//   no credentials                              hold
//
// Where they are looked for: aws_credentials.hpp; files are read again after each 403. An answer of
// 412 that nothing may be compared with (no right to read) counts as delivered, with one warning.
// open() does not wait: it asks for a listing of nothing, and logs what is wrong with bucket or
// keys before the first batch is full.
//
// Limits: what a key has besides the batch must stay between a crash and the replay, else the batch
// is saved under two names. That is the template (key=), the prefix and the host's name: where pods
// change theirs, set --host. A try sends all parts of a large object again; `timeout` is for one
// try. Hashing is done on the loop: 5 ms for 8 MiB, twice for what is sent in parts.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "async/deadline.hpp"
#include "async/scope.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "base/options.hpp"
#include "net/aws_credentials.hpp"
#include "net/s3_client.hpp"
#include "net/s3_writer.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/sinks/s3_access.hpp"
#include "roles/logsaver/sinks/s3_key.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

class S3Sink final : public Sink {
 public:
  struct Settings {
    std::string name;
    SinkTraits traits;
    BodyForm form = BodyForm::ndjson;
    Millis timeout{60'000};  ///< of one try
    S3Place place;
    std::string prefix;
    S3KeyTemplate key;
  };
  static constexpr Millis kProbeTimeout{15'000};
  static constexpr Millis kWaitMax{10 * 60'000};

  /// Errc::invalid for a bucket, region or endpoint that cannot be; and what TLS says.
  static Result<std::unique_ptr<Sink>> create(const SinkWorld& world, Settings settings);

  const std::string& name() const override { return settings_.name; }
  const SinkTraits& traits() const override { return settings_.traits; }
  std::unique_ptr<Encoding> make_encoding() const override;
  Task<Result<>> open() override;
  Task<Outcome> deliver(const Batch& batch) override;

 private:
  S3Sink(const SinkWorld& world, Settings settings, std::unique_ptr<S3Access> access);

  Task<> probe();
  Task<Outcome> put(const Batch& batch, Deadline deadline);
  Task<bool> has_other_keys(std::shared_ptr<const aws::Keys> known, Deadline deadline);
  Task<std::optional<Outcome>> find_earlier(const Batch& batch, Deadline deadline);
  Task<Result<>> abort_uploads(std::string stem, Deadline deadline);
  s3::Object object_of(const Batch& batch, std::string sha256) const;
  std::string stem_of(const Batch& batch) const;
  Outcome outcome_of(const s3::PutOutcome& put, const std::string& source);
  Outcome outcome_of(const Error& error) const;

  const SinkWorld world_;
  const Settings settings_;
  const std::unique_ptr<S3Access> access_;
  aws::Credentials& credentials_;
  s3::Client& client_;
  s3::ObjectWriter writer_;
  bool has_warned_ = false;  ///< of objects that could not be compared
  TaskScope scope_;
};

}  // namespace consort::logsaver
