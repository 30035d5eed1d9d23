// Which bytes of a body stand for one record, so that some of them can be sent by themselves: what
// a destination finds too large is sent in halves, what it refuses is told from the rest.
//
//   shape.take_apart(plain)  -->  parts  -->  shape.put_together(some of them)  -->  another body
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace consort::logsaver {

/// Views into the body that was taken apart.
struct BodyPart {
  std::string_view frame;  ///< what stands around it: the labels of its stream; empty for lines
  std::string_view bytes;
};

class BodyShape {
 public:
  virtual ~BodyShape() = default;
  /// In order. Errc::internal for what is no body of this shape.
  virtual Result<std::vector<BodyPart>> take_apart(std::string_view body) const = 0;
  /// Of all parts: the body again.
  virtual void put_together(std::span<const BodyPart> parts, std::string& out) const = 0;
  /// For the dead letters: the record, without what is there for the destination only.
  virtual std::string shown(const BodyPart& part) const = 0;
};

/// Records of so many lines each; the last one of them is what is shown.
class LineShape final : public BodyShape {
 public:
  explicit LineShape(int lines_each = 1) : lines_each_(lines_each) {}
  Result<std::vector<BodyPart>> take_apart(std::string_view body) const override;
  void put_together(std::span<const BodyPart> parts, std::string& out) const override;
  std::string shown(const BodyPart& part) const override;

 private:
  int lines_each_;
};

}  // namespace consort::logsaver
