// Files that batches were appended to, each with FILE.manifest beside it; one, or all below a
// directory.
//
//   FILE.manifest, line by line --manifest, "at"--> FILE from there on --bytes--> BodyCheck
//
// Where "at" goes back the file began anew: it was rotated, and what stood before is somewhere
// else. A last line without its end is being written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"
#include "base/error.hpp"
#include "io/file_system.hpp"
#include "roles/logsaver/verify/destination.hpp"

namespace consort::logsaver {

class FileDestination final : public Destination {
 public:
  static constexpr std::size_t kDepthMax = 16;  ///< of directories

  FileDestination(const SinkWorld& world, std::string path, VerifySettings settings);

  Task<Result<>> open() override;
  Task<> verify(Checker& checker) override;

 private:
  struct Output {
    std::string path;
    std::unique_ptr<io::File> file;
    std::uint64_t size = 0;
    std::uint64_t begins_anew = 0;  ///< with that line of its manifest
    std::uint64_t reached = 0;      ///< up to here it is batches'
    std::uint64_t foreign = 0;      ///< bytes of nobody in between
    std::uint64_t rotated = 0;      ///< batches that stood in it earlier
    std::vector<char> buffer{};
  };
  class Lines;

  Result<> find_below(const std::string& directory, std::size_t depth);
  Task<> verify_file(const std::string& path, Checker& checker);
  void take_line(Output& output, std::string_view line, std::uint64_t number, Checker& checker);
  std::string judge(Output& output, const Manifest& manifest, std::uint64_t at);
  static Result<std::uint64_t> find_beginning(Lines& lines);
  void tell_rest(const Output& output, Checker& checker);

  const SinkWorld world_;
  const std::string path_;
  const VerifySettings settings_;
  std::vector<std::string> files_;
};

}  // namespace consort::logsaver
