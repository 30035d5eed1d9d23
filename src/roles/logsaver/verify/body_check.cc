#include "roles/logsaver/verify/body_check.hpp"

#include <algorithm>
#include <span>

namespace consort::logsaver {
namespace {

constexpr std::size_t kBufferBytes = 64UL * 1024;

}  // namespace

BodyCheck::BodyCheck(const Manifest& manifest) : manifest_(manifest) {
  if (manifest.coding == Coding::gzip) gzip_.emplace();
  if (manifest.coding == Coding::zstd) zstd_.emplace();
  if (manifest.coding != Coding::none) buffer_.resize(kBufferBytes);
}

void BodyCheck::add(std::string_view piece) {
  stored_ += piece.size();
  sum_.add(piece);
  if (gzip_) {
    unpack(*gzip_, piece);
  } else if (zstd_) {
    unpack(*zstd_, piece);
  } else {
    take_plain(piece);
  }
}

void BodyCheck::take_plain(std::string_view plain) {
  plain_ += plain.size();
  lines_ += static_cast<std::uint64_t>(std::ranges::count(plain, '\n'));
}

/// No further than to what the manifest says: what unpacks to more is damaged, or means harm.
template <class Reader>
void BodyCheck::unpack(Reader& reader, std::string_view piece) {
  while (damage_.empty() && plain_ <= manifest_.bytes) {
    const Result<std::size_t> size = reader.read(piece, std::span<char>(buffer_));
    if (!size) {
      damage_ = size.error().message();
      return;
    }
    if (*size == 0) return;
    take_plain({buffer_.data(), *size});
  }
}

std::optional<std::string> BodyCheck::finish() {
  if (stored_ != manifest_.stored) {
    return "has " + std::to_string(stored_) + " bytes instead of " +
           std::to_string(manifest_.stored);
  }
  if (sum_.finish() != manifest_.sha256) return "its bytes were changed (another SHA-256)";
  // Below here it is as it was saved, so that what is wrong was wrong then.
  if (!damage_.empty()) return damage_;
  constexpr const char* kOther = "unpacks to other than what its manifest says";
  if (plain_ > manifest_.bytes) return kOther;
  if ((gzip_ && !gzip_->at_end()) || (zstd_ && !zstd_->at_end())) return "it cannot be unpacked";
  if (plain_ != manifest_.bytes) return kOther;
  if (manifest_.has_line_each && lines_ != manifest_.records) {
    return "has " + std::to_string(lines_) + " records instead of " +
           std::to_string(manifest_.records);
  }
  return std::nullopt;
}

}  // namespace consort::logsaver
