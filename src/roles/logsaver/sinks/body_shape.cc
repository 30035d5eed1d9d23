#include "roles/logsaver/sinks/body_shape.hpp"

#include <algorithm>
#include <cstddef>

namespace consort::logsaver {

Result<std::vector<BodyPart>> LineShape::take_apart(std::string_view body) const {
  std::vector<BodyPart> parts;
  while (!body.empty()) {
    std::size_t size = 0;
    for (int i = 0; i < lines_each_ && size < body.size(); ++i) {
      size = std::min(body.find('\n', size), body.size() - 1) + 1;
    }
    parts.push_back({.frame = {}, .bytes = body.substr(0, size)});
    body.remove_prefix(size);
  }
  return parts;
}

void LineShape::put_together(std::span<const BodyPart> parts, std::string& out) const {
  for (const BodyPart& part : parts) out += part.bytes;
}

std::string LineShape::shown(const BodyPart& part) const {
  std::string_view line = part.bytes;
  if (line.ends_with('\n')) line.remove_suffix(1);
  for (int i = 1; i < lines_each_; ++i)
    line.remove_prefix(std::min(line.find('\n'), line.size() - 1) + 1);
  return std::string(line);
}

}  // namespace consort::logsaver
