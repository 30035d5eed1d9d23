#include "wire/gzip_reader.hpp"

#define ZLIB_CONST  // what is read is const
#include <zlib.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "wire/scratch.hpp"

namespace consort {
namespace {

constexpr char kMagic = '\x1f';
/// zlib counts in 32 bits.
constexpr std::size_t kStepBytesMax = std::size_t{1} << 30;
constexpr std::size_t kSkipBytes = 16UL * 1024;
constexpr std::size_t kPieceBytes = 64UL * 1024;

/// 15: the largest window, 32 KiB. 16: gzip around it, and nothing else.
constexpr int kGzipWindowBits = 15 + 16;

uInt limited(std::size_t bytes) {
  return static_cast<uInt>(std::min(bytes, kStepBytesMax));
}

}  // namespace

/// On the heap, since zlib remembers where the stream lies.
struct GzipReader::State {
  enum class Place : std::uint8_t { before, member, between, zeros, broken };

  State() { CHECK(inflateInit2(&stream, kGzipWindowBits) == Z_OK); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { inflateEnd(&stream); }

  void begin_or_end(std::string_view& input);
  std::size_t inflate_some(std::string_view& input, std::span<char> out);
  void break_with(std::string text) {
    place = Place::broken;
    why = std::move(text);
  }

  z_stream stream{};
  Place place = Place::before;
  std::uint64_t compressed = 0;
  std::uint64_t uncompressed = 0;
  std::uint64_t member_start = 0;  ///< in compressed bytes
  std::string why;                 ///< when broken
};

GzipReader::GzipReader() : state_(std::make_unique<State>()) {}
GzipReader::GzipReader(GzipReader&&) noexcept = default;
GzipReader& GzipReader::operator=(GzipReader&&) noexcept = default;
GzipReader::~GzipReader() = default;

Result<std::size_t> GzipReader::read(std::string_view& input, std::span<char> out) {
  CHECK(!out.empty());
  using Place = State::Place;
  std::size_t size = 0;
  while (size < out.size() && state_->place != Place::broken) {
    if (state_->place == Place::member) {
      size += state_->inflate_some(input, out.subspan(size));
      // In a member still, with room left: there is no more in what was given.
      if (state_->place == Place::member && size < out.size() && input.empty()) break;
    } else if (!input.empty()) {
      state_->begin_or_end(input);
    } else {
      break;
    }
  }
  state_->uncompressed += size;
  // The bytes before the damage are good as far as anybody knows; the error comes next time.
  if (size == 0 && state_->place == Place::broken) return fail(Errc::protocol, state_->why);
  return size;
}

/// Between members (or before the first): what does the next byte begin?
void GzipReader::State::begin_or_end(std::string_view& input) {
  if (place == Place::zeros || (place == Place::between && input.front() == '\0')) {
    place = Place::zeros;
    const std::size_t zeros = std::min(input.find_first_not_of('\0'), input.size());
    input.remove_prefix(zeros);
    compressed += zeros;
    if (input.empty()) return;
  } else if (input.front() == kMagic) {
    CHECK(inflateReset(&stream) == Z_OK);
    member_start = compressed;
    place = Place::member;
    return;
  }
  break_with(place == Place::before
                 ? "gzip: not gzip, from its first byte on"
                 : "gzip: garbage behind the last member, at byte " + std::to_string(compressed));
}

std::size_t GzipReader::State::inflate_some(std::string_view& input, std::span<char> out) {
  const uInt given = limited(input.size());
  const uInt room = limited(out.size());
  stream.next_in = reinterpret_cast<const Bytef*>(input.data());
  stream.avail_in = given;
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = room;
  const int result = inflate(&stream, Z_NO_FLUSH);
  input.remove_prefix(given - stream.avail_in);
  compressed += given - stream.avail_in;
  if (result == Z_STREAM_END) {
    place = Place::between;
  } else if (result != Z_OK && result != Z_BUF_ERROR) {
    CHECK(result == Z_DATA_ERROR);  // else out of memory
    break_with("gzip: the member at byte " + std::to_string(member_start) +
               " is damaged near byte " + std::to_string(compressed) + ": " + stream.msg);
  }
  return room - stream.avail_out;
}

Result<std::uint64_t> GzipReader::skip(std::string_view& input, std::uint64_t bytes) {
  char dropped[kSkipBytes];
  std::uint64_t skipped = 0;
  while (skipped < bytes) {
    const std::size_t want = std::min<std::uint64_t>(bytes - skipped, kSkipBytes);
    const Result<std::size_t> size = read(input, std::span(dropped, want));
    // As in read(), the error comes next time.
    if (!size && skipped == 0) return fail(size.error().clone());
    if (!size || *size == 0) break;
    skipped += *size;
  }
  return skipped;
}

bool GzipReader::at_end() const {
  return state_->place == State::Place::between || state_->place == State::Place::zeros;
}

Result<> GzipReader::finish() const {
  if (at_end()) return {};
  if (state_->place == State::Place::broken) return fail(Errc::protocol, state_->why);
  if (state_->place == State::Place::before) return fail(Errc::protocol, "gzip: it is empty");
  return fail(Errc::protocol, "gzip: cut off at byte " + std::to_string(state_->compressed) +
                                  ", within the member at byte " +
                                  std::to_string(state_->member_start));
}

std::uint64_t GzipReader::compressed_offset() const {
  return state_->compressed;
}
std::uint64_t GzipReader::uncompressed_offset() const {
  return state_->uncompressed;
}

Result<std::string> gunzip(std::string_view members, std::size_t bytes_max) {
  GzipReader reader;
  std::string text;
  Scratch scratch;
  const std::span<char> piece(scratch.fit(kPieceBytes), kPieceBytes);
  while (true) {
    const Result<std::size_t> size = reader.read(members, piece);
    if (!size) return fail(size.error().clone());
    if (*size == 0) break;
    if (*size > bytes_max - text.size()) {
      return fail(Errc::limit, "gzip: unpacks to more than " + std::to_string(bytes_max) +
                                   " bytes, which is the limit");
    }
    text.append(piece.data(), *size);
  }
  if (Result<> whole = reader.finish(); !whole) return fail(std::move(whole).error());
  return text;
}

}  // namespace consort
