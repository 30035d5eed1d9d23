#include "wire/gzip.hpp"

#include <libdeflate.h>

#include <cstddef>

#include "base/check.hpp"
#include "wire/scratch.hpp"

namespace consort {
namespace {

class GzipCompressor final : public Compressor {
 public:
  explicit GzipCompressor(int level) : library_(libdeflate_alloc_compressor(level)) {
    CHECK(library_ != nullptr);  // out of memory
  }
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;
  ~GzipCompressor() override { libdeflate_free_compressor(library_); }

  void add(std::string_view block, std::string& out) override {
    do {
      const std::string_view member = block.substr(0, kMemberBytesMax);
      block.remove_prefix(member.size());
      add_member(member, out);
    } while (!block.empty());
  }

 private:
  void add_member(std::string_view member, std::string& out) {
    const std::size_t bound = libdeflate_gzip_compress_bound(library_, member.size());
    char* const to = scratch_.fit(bound);
    const std::size_t size =
        libdeflate_gzip_compress(library_, member.data(), member.size(), to, bound);
    CHECK(size > 0);  // always fits within the bound
    out.append(to, size);
  }

  libdeflate_compressor* library_;
  Scratch scratch_;
};

}  // namespace

std::unique_ptr<Compressor> make_gzip_compressor(int level) {
  return std::make_unique<GzipCompressor>(level);
}

std::string gzip_library() {
  return "libdeflate " LIBDEFLATE_VERSION_STRING;
}

}  // namespace consort
