// Saves batches to files: on a mounted disk, with nothing lost and nothing twice.
//
//   position_for(batch)   the target's size, which the intent keeps
//   deliver(batch)        write there, fdatasync (unless sync=off); a new name: its directory too;
//                         with manifest=on then the same for its line in FILE.manifest
//
// After a crash the batch comes again, with the size that the target had before it. What lies
// behind that is looked at:
//
//   the batch's bytes, all of them                 they stay
//   some of them, or the NULs of a power cut       written again, over them
//   other bytes, the batch was built otherwise     cut off; the batch follows what was before
//   other bytes                                    another file, or another writer: appended behind
//   the target is shorter than that                somebody rotated it: appended at its end
//
// The last two, and a target that has changed between promise and delivery, are told in the log.
// Limit: when a file is rotated away with the batch in it, and we crash before its acknowledgement
// is on disk, the batch goes into the new file too.
//
// A write that fails is taken back by truncating, so that no half line stays. There is one batch at
// a time; what is not ours in a target is never written over.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "async/task.hpp"
#include "base/error.hpp"
#include "io/file_system.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/sinks/manifest_file.hpp"
#include "roles/logsaver/sinks/path_template.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

class FileSink final : public Sink {
 public:
  struct Settings {
    std::string name;
    SinkTraits traits;
    PathTemplate path;
    BodyForm form = BodyForm::raw;
    bool sync = true;
    Millis timeout{60'000};  ///< of an fdatasync
  };
  /// The target's size could not be found out: the batch is appended at its end.
  static constexpr std::uint64_t kUnknownPosition = ~std::uint64_t{0};

  FileSink(const SinkWorld& world, Settings settings);

  const std::string& name() const override { return settings_.name; }
  const SinkTraits& traits() const override { return settings_.traits; }
  std::unique_ptr<Encoding> make_encoding() const override;
  Task<Result<>> open() override;
  std::uint64_t position_for(const Batch& batch) const override;
  /// Of a path without places; else unknown.
  std::uint64_t position() const override;
  Task<Outcome> deliver(const Batch& batch) override;

 private:
  /// A delivery that has begun in this process.
  struct Attempt {
    BatchNumber number = 0;
    io::FileIdentity target;
    std::uint64_t start = 0;
  };
  /// Where a batch goes.
  struct Place {
    std::uint64_t start = 0;
    bool is_there = false;  ///< nothing to write
  };
  enum class Found : std::uint8_t { whole, part, other };

  std::string path_of(const Batch& batch) const;
  std::uint64_t size_of(const std::string& path) const;
  Result<std::unique_ptr<io::File>> open_target(const std::string& path);
  Result<> make_directory(const std::string& path);
  Result<Place> place_for(const Batch& batch, const std::string& path, io::File& file);
  Result<Place> place_of_new(const Batch& batch, const std::string& path, std::uint64_t size);
  Result<Place> place_again(const Batch& batch, const std::string& path, io::File& file,
                            std::uint64_t size);
  Place at_end(const Batch& batch, const std::string& path, std::uint64_t size,
               std::string_view why) const;
  Task<Result<>> write(const Batch& batch, const std::string& path, io::File& file);
  Task<Result<>> sync(const std::string& path, io::File& file, bool is_new);
  Task<Result<>> sync_names(const std::string& path, Deadline deadline);
  Outcome outcome_of(const Error& error) const;

  const SinkWorld world_;
  const Settings settings_;
  ManifestFiles manifests_;
  std::optional<Attempt> attempt_;
  bool has_new_directories_ = false;  ///< whose names a power cut would take away
};

}  // namespace consort::logsaver
