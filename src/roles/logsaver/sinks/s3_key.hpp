// What objects are called: a function of the batch and of settings, so the same after a crash.
//
//   {prefix}/dt=%Y-%m-%d/hr=%H/{host}-{file}-{first_offset:020}-{gen}
//   --> web/dt=2024-05-01/hr=12/web-1-var_log_app.log-00000000000000001048-9c01d3b7.ndjson.zst
//
//   {prefix}              of s3://bucket/prefix
//   {host} {file} %Y..%%  as in path_template.hpp; the time is the batch's
//   {first_offset}        of the batch's first byte in its file
//   {tail}                number of the file: one that takes another's place has a higher one
//   {gen}                 8 hex digits of state directory, sink and file: equal names on equal
//                         hosts stay apart
//   {batch}               the batch's id
//
// {first_offset:020} and {tail:06} have at least so many digits, for an order of names that is the
// order of lines. With the default that holds within an hour of one file; with {tail:010} before
// the offset it holds over rotations too. A template must tell batches apart: it has {batch}, or
// {first_offset} and {gen}. What the body is (".ndjson.zst") is put behind it, unless it is there.
//
// Names are UTF-8 without control characters, whatever files are called, and at most kBytesMax
// long: beyond it they are cut, with a hash of the whole behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/sinks/path_template.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "wire/compressor.hpp"

namespace consort::logsaver {

class S3KeyTemplate {
 public:
  static constexpr std::string_view kDefault =
      "{prefix}/dt=%Y-%m-%d/hr=%H/{host}-{file}-{first_offset:020}-{gen}";
  /// S3 takes 1024 bytes; suffixes need some.
  static constexpr std::size_t kBytesMax = 1000;

  /// Errc::invalid says what is wrong with it and what there is.
  static Result<S3KeyTemplate> parse(std::string_view text);

  struct Names {
    std::string_view prefix;
    std::string_view host;
  };
  /// All but the suffix.
  std::string stem(const Names& names, const Batch& batch) const;

 private:
  enum class Place : std::uint8_t { path, prefix, first_offset, tail, gen, batch };
  struct Piece {
    Place place = Place::path;
    std::size_t digits = 1;  ///< of numbers, at least
    PathTemplate path{};
  };

  static Result<Piece> parse_place(std::string_view text);
  static Result<Piece> parse_path(std::string_view text);
  Result<> add(std::string_view path, Result<Piece> piece);
  bool has(Place place) const;

  std::vector<Piece> pieces_;
};

/// ".ndjson.zst", ".log.gz": of what such bodies are.
std::string s3_suffix(BodyForm form, Coding coding);
std::string with_suffix(std::string stem, std::string_view suffix);

}  // namespace consort::logsaver
