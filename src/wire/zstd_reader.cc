#include "wire/zstd_reader.hpp"

#include <zstd.h>
#include <zstd_errors.h>

#include "base/check.hpp"

namespace consort {
namespace {

constexpr int kWindowLogMax = 23;

}  // namespace

struct ZstdReader::State {
  State() : library(ZSTD_createDCtx()) {
    CHECK(library != nullptr);  // out of memory
    CHECK(ZSTD_isError(ZSTD_DCtx_setParameter(library, ZSTD_d_windowLogMax, kWindowLogMax)) == 0);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ZSTD_freeDCtx(library); }

  ZSTD_DCtx* library;
  std::uint64_t compressed = 0;
  bool is_between = false;  ///< frames
  bool is_broken = false;
  Errc code = Errc::protocol;
  std::string why;
};

ZstdReader::ZstdReader() : state_(std::make_unique<State>()) {}
ZstdReader::ZstdReader(ZstdReader&&) noexcept = default;
ZstdReader& ZstdReader::operator=(ZstdReader&&) noexcept = default;
ZstdReader::~ZstdReader() = default;

Result<std::size_t> ZstdReader::read(std::string_view& input, std::span<char> out) {
  CHECK(!out.empty());
  State& state = *state_;
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  while (!state.is_broken && to.pos < to.size) {
    // Between frames nothing is waiting inside the library.
    if (input.empty() && state.is_between) break;
    ZSTD_inBuffer from{input.data(), input.size(), 0};
    const std::size_t before = to.pos;
    const std::size_t result = ZSTD_decompressStream(state.library, &to, &from);
    input.remove_prefix(from.pos);
    state.compressed += from.pos;
    if (ZSTD_isError(result) != 0) {
      const bool is_window = ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge;
      state.is_broken = true;
      state.code = is_window ? Errc::limit : Errc::protocol;
      state.why = "zstd: " + std::string(ZSTD_getErrorName(result)) + " near byte " +
                  std::to_string(state.compressed);
      break;
    }
    if (from.pos > 0 || to.pos > before) state.is_between = result == 0;
    if (from.pos == 0 && to.pos == before) break;
  }
  if (to.pos == 0 && state.is_broken) return fail(state.code, state.why);
  return to.pos;
}

bool ZstdReader::at_end() const {
  return state_->is_between && !state_->is_broken;
}

}  // namespace consort
