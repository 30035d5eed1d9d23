// Sinks without a destination that answers: standard output, and none at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "async/task.hpp"
#include "base/error.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

struct StreamSettings {
  std::string name;
  SinkTraits traits;
  BodyForm form = BodyForm::raw;
  Millis timeout{30'000};  ///< of one try; the next one goes on behind what was taken
};

/// A batch is delivered once whoever holds standard output's other end has room for all of it: at
/// least once, since after a crash it goes out again. When nobody reads any more the batch is held.
class StdoutSink final : public Sink {
 public:
  StdoutSink(const SinkWorld& world, StreamSettings settings);

  const std::string& name() const override { return settings_.name; }
  const SinkTraits& traits() const override { return settings_.traits; }
  std::unique_ptr<Encoding> make_encoding() const override;
  Task<Outcome> deliver(const Batch& batch) override;

 private:
  const SinkWorld world_;
  const StreamSettings settings_;
  BatchNumber number_ = 0;   ///< of the batch that is under way
  std::size_t written_ = 0;  ///< of it
};

/// Takes everything: for measuring, and for trying patterns.
class NullSink final : public Sink {
 public:
  NullSink(const SinkWorld& world, StreamSettings settings);

  const std::string& name() const override { return settings_.name; }
  const SinkTraits& traits() const override { return settings_.traits; }
  std::unique_ptr<Encoding> make_encoding() const override;
  Task<Outcome> deliver(const Batch& batch) override;

 private:
  const SinkWorld world_;
  const StreamSettings settings_;
};

/// SinkWorld::write_stdout for a descriptor whose flags stay as they are, since other processes
/// have it too: it never waits for longer than a pipe that says it is writable (PIPE_BUF).
std::function<Result<std::size_t>(std::string_view)> descriptor_writer(int fd);

}  // namespace consort::logsaver
