#include "wire/cri.hpp"

#include <algorithm>
#include <cstddef>

namespace consort {
namespace {

constexpr std::string_view kStdout = " stdout ";
constexpr std::string_view kStderr = " stderr ";
constexpr std::size_t kTagsBytesMax = 64;

}  // namespace

std::optional<CriLine> parse_cri(std::string_view line) {
  Rfc3339Reader times;
  return parse_cri(line, times);
}

std::optional<CriLine> parse_cri(std::string_view line, Rfc3339Reader& times) {
  std::int64_t time_ns = 0;
  const std::size_t time_bytes = times.read_ns(line, time_ns);
  // Runtimes write a T; a blank in its place is how applications write times.
  if (time_bytes == 0 || line[10] == ' ') return std::nullopt;
  line.remove_prefix(time_bytes);
  const bool is_stdout = line.starts_with(kStdout);
  if (!is_stdout && !line.starts_with(kStderr)) return std::nullopt;
  line.remove_prefix(kStdout.size());

  const std::string_view beginning = line.substr(0, kTagsBytesMax + 1);
  const std::size_t tags_bytes = std::min(beginning.find(' '), beginning.size());
  if (tags_bytes == 0 || tags_bytes == beginning.size()) return std::nullopt;
  return CriLine{.text = line.substr(tags_bytes + 1),
                 .time_ns = time_ns,
                 .stream = is_stdout ? LogStream::out : LogStream::err,
                 .is_partial = line[0] == 'P' && (tags_bytes == 1 || line[1] == ':')};
}

}  // namespace consort
