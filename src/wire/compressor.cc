#include "wire/compressor.hpp"

#include "base/check.hpp"
#include "wire/gzip.hpp"
#include "wire/zstd.hpp"

namespace consort {
namespace {

class Copier final : public Compressor {
 public:
  void add(std::string_view block, std::string& out) override { out += block; }
};

}  // namespace

std::string_view content_encoding(Coding coding) {
  return coding == Coding::none ? "" : Choices<Coding>::names[static_cast<std::size_t>(coding)];
}

std::string_view file_suffix(Coding coding) {
  switch (coding) {
    case Coding::none:
      break;
    case Coding::gzip:
      return ".gz";
    case Coding::zstd:
      return ".zst";
  }
  return "";
}

std::unique_ptr<Compressor> make_compressor(Coding coding, int level) {
  CHECK(level >= kCompressionLevelMin && level <= kCompressionLevelMax);
  switch (coding) {
    case Coding::none:
      break;
    case Coding::gzip:
      return make_gzip_compressor(level);
    case Coding::zstd:
      return make_zstd_compressor(level);
  }
  return std::make_unique<Copier>();
}

std::string compressor_version(Coding coding, int level) {
  if (coding == Coding::none) return "none";
  const std::string library = coding == Coding::gzip ? gzip_library() : zstd_library();
  return library + " level " + std::to_string(level);
}

}  // namespace consort
