// What all HTTP destinations have in common: a batch goes out whole, and in parts when the
// destination finds it too large or refuses something in it.
//
//   whole --delivered--> done           --> rejections, where the answer names records
//     |  \--retry, overload, hold--> Outcome; the same again later
//     +--some records must wait--> parts of what is left: these
//     +--too large, refused--> parts from the first record on, `size` records at a time
//
//   part --delivered--> the next one, twice as large (up to what was not too large)
//     |  \--some records must wait--> Outcome; later it goes on with these
//     |  \--retry, overload, hold--> Outcome; later it goes on with this part
//     +--too large, refused--> half as many; a single record is rejected, mended or dropped
//
// What was settled of a batch that is under way is kept between deliveries, in memory: only after a
// crash do records go out again that had arrived. Where a destination is busy with one record in
// twenty, a batch of thousands would never arrive whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "base/error.hpp"
#include "roles/logsaver/sinks/body_shape.hpp"
#include "roles/logsaver/sinks/http_sender.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"
#include "wire/compressor.hpp"

namespace consort::logsaver {

/// What an answer says of single records; `delivered` is said of all others.
struct HttpReading {
  bool is_unfinished = false;  ///< some must be sent again: `waiting`, or all when it names none
  bool is_overload = false;
  std::string why;                                            ///< of is_unfinished
  std::vector<std::size_t> waiting;                           ///< numbers in the body, rising
  std::vector<std::pair<std::size_t, std::string>> rejected;  ///< number in the body, and reason
};

/// What becomes of records that the destination refuses.
enum class Refusal : std::uint8_t { reject, drop, mend };

class HttpDelivery : public Sink {
 public:
  struct Settings {
    std::string name;
    SinkTraits traits;
    HttpTarget target;
    std::unique_ptr<BodyShape> shape;
  };
  HttpDelivery(const SinkWorld& world, Settings settings, io::TlsClient* tls);

  const std::string& name() const final { return name_; }
  const SinkTraits& traits() const final { return traits_; }
  Task<Result<>> open() final;
  Task<Outcome> deliver(const Batch& batch) final;

 protected:
  const SinkWorld& world() const { return world_; }

  /// Of an answer that says delivered, about that many records.
  virtual HttpReading read(const HttpAnswer& answer, std::size_t records) const;
  /// Whether an answer that refuses a body means each of its records. Else they are told apart.
  virtual bool refuses_all(const HttpAnswer& answer, std::size_t records) const;
  virtual Refusal on_refused(const HttpAnswer& answer, std::size_t records) const;
  /// A body of the same records that may be taken; `first` is the first one's number in the batch.
  virtual void mend(const Batch& batch, std::size_t first, std::span<const BodyPart> parts,
                    std::string& out) const;

 private:
  struct Progress {
    std::vector<std::uint32_t> numbers;  ///< of the records to send, in order
    std::size_t next = 0;                ///< in `numbers`: all before it are settled
    std::size_t size = 1;                ///< of the next part
    std::size_t size_max = 0;            ///< more was too large
    std::vector<Rejection> rejected;
  };
  /// Some of a batch's records that are sent at once.
  struct Part {
    std::vector<BodyPart> records;
    std::size_t first = 0;  ///< number of the first one
  };

  Task<Outcome> deliver_parts(const Batch& batch, std::optional<HttpAnswer> of_whole);
  static Progress begin_parts(std::size_t records);
  static Part next_part(const Progress& progress, std::span<const BodyPart> all);
  Task<HttpAnswer> send_part(const Batch& batch, std::string plain, const Part& part);
  void settle_taken(Progress& progress, const Part& part, const HttpReading& reading) const;
  Task<Result<>> settle_refused(const Batch& batch, Progress& progress, const Part& part,
                                HttpAnswer answer, Outcome& outcome);
  bool halve(Progress& progress, const HttpAnswer& answer, std::size_t count) const;
  void reject(std::span<const BodyPart> parts, const std::string& reason,
              std::vector<Rejection>& rejected) const;
  Result<std::vector<BodyPart>> parts_of(const Batch& batch, std::string& plain) const;

  const SinkWorld world_;
  const std::string name_;
  const SinkTraits traits_;
  const std::unique_ptr<BodyShape> shape_;
  std::unique_ptr<Compressor> compressor_;  ///< for parts; made when needed
  std::map<BatchNumber, Progress> progress_;
  HttpSender sender_;
};

}  // namespace consort::logsaver
