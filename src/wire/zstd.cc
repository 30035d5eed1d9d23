#include "wire/zstd.hpp"

#include <zstd.h>
#include <zstd_errors.h>

#include "base/check.hpp"
#include "wire/scratch.hpp"

namespace consort {
namespace {

constexpr int kWindowLog = 18;
constexpr int kReadWindowLogMax = 23;
constexpr std::size_t kPieceBytes = 64UL * 1024;

class ZstdCompressor final : public Compressor {
 public:
  explicit ZstdCompressor(int level) : library_(ZSTD_createCCtx()) {
    CHECK(library_ != nullptr);  // out of memory
    set(ZSTD_c_compressionLevel, level);
    set(ZSTD_c_windowLog, kWindowLog);
    set(ZSTD_c_checksumFlag, 1);
  }
  ZstdCompressor(const ZstdCompressor&) = delete;
  ZstdCompressor& operator=(const ZstdCompressor&) = delete;
  ~ZstdCompressor() override { ZSTD_freeCCtx(library_); }

  void add(std::string_view block, std::string& out) override {
    do {
      const std::string_view frame = block.substr(0, kMemberBytesMax);
      block.remove_prefix(frame.size());
      add_frame(frame, out);
    } while (!block.empty());
  }

 private:
  void set(ZSTD_cParameter parameter, int value) {
    CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(library_, parameter, value)) == 0);
  }

  void add_frame(std::string_view frame, std::string& out) {
    // Less room than the bound might change what the library chooses, and so the bytes.
    const std::size_t bound = ZSTD_compressBound(frame.size());
    char* const to = scratch_.fit(bound);
    const std::size_t size = ZSTD_compress2(library_, to, bound, frame.data(), frame.size());
    CHECK(ZSTD_isError(size) == 0);  // only for want of memory: it always fits within the bound
    out.append(to, size);
  }

  ZSTD_CCtx* library_;
  Scratch scratch_;
};

struct FreeReader {
  void operator()(ZSTD_DCtx* reader) const { ZSTD_freeDCtx(reader); }
};

Errc code_of(std::size_t result) {
  return ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge ? Errc::limit
                                                                               : Errc::protocol;
}

}  // namespace

std::unique_ptr<Compressor> make_zstd_compressor(int level) {
  return std::make_unique<ZstdCompressor>(level);
}

std::string zstd_library() {
  return std::string("zstd ") + ZSTD_versionString() + " window " + std::to_string(kWindowLog);
}

Result<std::string> unzstd(std::string_view frames, std::size_t bytes_max) {
  const std::unique_ptr<ZSTD_DCtx, FreeReader> reader(ZSTD_createDCtx());
  CHECK(reader != nullptr);  // out of memory
  const std::size_t set =
      ZSTD_DCtx_setParameter(reader.get(), ZSTD_d_windowLogMax, kReadWindowLogMax);
  CHECK(ZSTD_isError(set) == 0);
  std::string text;
  Scratch scratch;
  char* const piece = scratch.fit(kPieceBytes);
  ZSTD_inBuffer in{frames.data(), frames.size(), 0};
  std::size_t result = 1;  // of the frame that is being read: 0 when it is whole
  for (bool has_more = true; has_more;) {
    ZSTD_outBuffer out{piece, kPieceBytes, 0};
    result = ZSTD_decompressStream(reader.get(), &out, &in);
    if (ZSTD_isError(result) != 0) {
      return fail(code_of(result), "zstd: " + std::string(ZSTD_getErrorName(result)) +
                                       " near byte " + std::to_string(in.pos));
    }
    if (out.pos > bytes_max - text.size()) {
      return fail(Errc::limit, "zstd: unpacks to more than " + std::to_string(bytes_max) +
                                   " bytes, which is the limit");
    }
    text.append(piece, out.pos);
    has_more = in.pos < in.size || (result != 0 && out.pos == out.size);
  }
  if (result != 0) {
    return fail(Errc::protocol, "zstd: cut off at byte " + std::to_string(frames.size()));
  }
  return text;
}

}  // namespace consort
