// Fuzzes the gzip reader: however input and output are cut, the bytes and the verdict are the same;
// what it accepts, libdeflate reads alike; and what our compressor makes, it reads back.
//
// The first byte chooses, the second seeds the sizes of the pieces. Even: the rest is the input.
// Odd: the rest is text, which is compressed in blocks and cut off at a place of the seed's choice.
#include "wire/gzip_reader.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "base/random.hpp"
#include "wire/gzip.hpp"

namespace {

using namespace consort;

/// Inputs that unpack to more are not followed to their end.
constexpr std::size_t kTextMax = 32UL * 1024;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Bytes in an allocation of exactly their size, so that one byte too far is seen.
class Exact {
 public:
  explicit Exact(std::size_t size) : bytes_(std::make_unique<char[]>(size)), size_(size) {}
  explicit Exact(std::string_view bytes) : Exact(bytes.size()) {
    if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }
  std::span<char> span() { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

struct Outcome {
  std::string text;
  bool is_whole = false;
  bool is_broken = false;
  bool is_long = false;  ///< more than kTextMax, and no verdict
};

/// Everything that the piece gives; false when that was the end of it.
bool read_piece(GzipReader& reader, std::string_view piece, Random& sizes, Outcome& outcome) {
  while (true) {
    Exact buffer(1 + sizes.below(300));
    const bool skips = sizes.below(8) == 0;
    std::size_t size = 0;
    if (skips) {
      // What is skipped must be marked: its bytes are unknown here.
      const Result<std::uint64_t> skipped = reader.skip(piece, buffer.view().size());
      outcome.is_broken = !skipped;
      size = skipped.value_or(0);
    } else {
      const Result<std::size_t> got = reader.read(piece, buffer.span());
      outcome.is_broken = !got;
      size = got.value_or(0);
    }
    if (outcome.is_broken) return false;
    require(size <= buffer.view().size());
    if (size == 0) break;
    if (skips) {
      outcome.text.append(size, '?');
    } else {
      outcome.text += buffer.view().substr(0, size);
    }
    outcome.is_long = outcome.text.size() > kTextMax;
    if (outcome.is_long) return false;
  }
  require(piece.empty());
  return true;
}

Outcome read_in_pieces(std::string_view input, Random sizes) {
  GzipReader reader;
  Outcome outcome;
  const std::uint64_t most = 1 + sizes.below(64);
  while (!input.empty()) {
    const std::size_t size = std::min<std::size_t>(input.size(), 1 + sizes.below(most));
    const Exact piece(input.substr(0, size));
    input.remove_prefix(size);
    if (!read_piece(reader, piece.view(), sizes, outcome)) break;
  }
  outcome.is_whole = !outcome.is_long && reader.finish().has_value();
  require(outcome.is_long || outcome.is_whole == reader.at_end());
  require(reader.uncompressed_offset() == outcome.text.size());
  return outcome;
}

Outcome read_at_once(std::string_view input) {
  GzipReader reader;
  Outcome outcome;
  Exact buffer(kTextMax + 1);
  const Exact exact(input);
  std::string_view rest = exact.view();
  const Result<std::size_t> size = reader.read(rest, buffer.span());
  if (size) outcome.text = buffer.view().substr(0, *size);
  outcome.is_long = outcome.text.size() > kTextMax;
  if (outcome.is_long) return outcome;
  outcome.is_broken = !reader.read(rest, buffer.span());
  outcome.is_whole = reader.finish().has_value();
  return outcome;
}

/// Equal but for the bytes that one of them skipped.
void require_same(const Outcome& whole, const Outcome& pieces) {
  require(whole.is_long == pieces.is_long);
  const std::size_t size = std::min(whole.text.size(), pieces.text.size());
  for (std::size_t i = 0; i < size; ++i) {
    require(whole.text[i] == pieces.text[i] || pieces.text[i] == '?');
  }
  if (whole.is_long) return;
  require(whole.text.size() == pieces.text.size());
  require(whole.is_whole == pieces.is_whole && whole.is_broken == pieces.is_broken);
}

/// The text by another library; only for inputs that are whole.
std::string unpack_by_libdeflate(std::string_view input, std::size_t room) {
  libdeflate_decompressor* const library = libdeflate_alloc_decompressor();
  std::string text(room, '\0');
  std::size_t end = 0;
  while (!input.empty() && input.front() != '\0') {
    std::size_t taken = 0;
    std::size_t given = 0;
    require(libdeflate_gzip_decompress_ex(library, input.data(), input.size(), text.data() + end,
                                          room - end, &taken, &given) == LIBDEFLATE_SUCCESS);
    input.remove_prefix(taken);
    end += given;
  }
  libdeflate_free_decompressor(library);
  text.resize(end);
  return text;
}

void check(std::string_view input, std::uint64_t seed) {
  const Outcome whole = read_at_once(input);
  require_same(whole, read_in_pieces(input, Random(seed)));
  if (whole.is_long) return;
  if (whole.is_whole) require(unpack_by_libdeflate(input, whole.text.size()) == whole.text);
  const Result<std::string> unpacked = gunzip(input, whole.text.size());
  require(unpacked.has_value() == whole.is_whole);
  if (unpacked) require(*unpacked == whole.text);
  if (!whole.text.empty()) {
    const Result<std::string> limited = gunzip(input, whole.text.size() - 1);
    require(!limited);
  }
}

std::string compress(std::string_view text, Random& sizes) {
  const std::unique_ptr<Compressor> compressor = make_gzip_compressor(1);
  std::string out;
  do {
    const std::string_view block = text.substr(0, sizes.below(1000));
    text.remove_prefix(block.size());
    compressor->add(block, out);
  } while (!text.empty());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::uint64_t seed = data[1];
  if (data[0] % 2 == 0) {
    check(input, seed);
    return 0;
  }
  Random sizes(seed);
  const std::string members = compress(input, sizes);
  require(gunzip(members, input.size()) == std::string(input));
  check(members, seed);
  check(std::string_view(members).substr(0, sizes.below(members.size())), seed);
  return 0;
}
