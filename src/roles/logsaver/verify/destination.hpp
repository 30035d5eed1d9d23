// Where `consort sidecar verify` looks: a bucket, or files. Each tells the checker what it finds.
#pragma once

#include <memory>
#include <string>

#include "async/task.hpp"
#include "base/error.hpp"
#include "base/options.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"
#include "roles/logsaver/verify/checker.hpp"

namespace consort::logsaver {

struct VerifySettings {
  bool reads_bodies = true;  ///< else only what is said of them is looked at
  Millis timeout{60'000};    ///< of one request
};

/// Belongs to the loop's thread.
class Destination {
 public:
  /// Of one target: more are refused.
  static constexpr std::size_t kObjectsMax = 2'000'000;

  virtual ~Destination() = default;
  /// Finds what there is. An error: it cannot be reached, or is not there at all.
  virtual Task<Result<>> open() = 0;
  /// Looks at all of it; what cannot be looked at is a problem for the checker.
  virtual Task<> verify(Checker& checker) = 0;
};

/// "s3://bucket/prefix?endpoint=...", "file:///logs/out.log", "file:///logs/{file}", or a path of a
/// file or of a directory. Errc::invalid says what it could be.
Result<std::unique_ptr<Destination>> make_destination(const std::string& target,
                                                      const SinkWorld& world,
                                                      VerifySettings settings);
/// The same, of which nothing is opened.
Result<> check_target(const std::string& target);

}  // namespace consort::logsaver
