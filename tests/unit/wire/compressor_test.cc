#include "wire/compressor.hpp"

#include <doctest/doctest.h>
#include <zstd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/content_hash.hpp"
#include "base/random.hpp"
#include "wire/gzip_reader.hpp"
#include "wire/zstd.hpp"

using namespace consort;

namespace {

constexpr Coding kAll[] = {Coding::none, Coding::gzip, Coding::zstd};
constexpr Coding kSmaller[] = {Coding::gzip, Coding::zstd};
constexpr std::size_t kMegabyte = 1024UL * 1024;

/// JSON lines, as they come in logs; the same on every machine.
std::string log_lines(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::string text;
  while (text.size() < size) {
    text += "{\"seq\":" + std::to_string(text.size()) + ",\"level\":\"info\",\"path\":\"/items/";
    text += std::to_string(random.below(5000)) + "\",\"ms\":" + std::to_string(random.below(300));
    text += "}\n";
  }
  text.resize(size);
  return text;
}

std::string noise(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(random.next());
  return bytes;
}

std::string compress(Compressor& compressor, std::string_view block) {
  std::string out;
  compressor.add(block, out);
  return out;
}

std::string unpack(Coding coding, std::string_view bytes, std::size_t bytes_max) {
  if (coding == Coding::none) return std::string(bytes);
  Result<std::string> text =
      coding == Coding::gzip ? gunzip(bytes, bytes_max) : unzstd(bytes, bytes_max);
  REQUIRE_MESSAGE(text.has_value(), text.error().message());
  return *std::move(text);
}

}  // namespace

TEST_CASE("what was compressed comes out again, at every level and of every size") {
  const std::string blocks[] = {"",
                                "x",
                                std::string(70'000, 'x'),
                                log_lines(300, 1),
                                log_lines(200'000, 2),
                                noise(1000, 3),
                                noise(200'000, 4)};
  for (const Coding coding : kAll) {
    for (int level = kCompressionLevelMin; level <= kCompressionLevelMax; ++level) {
      CAPTURE(level);
      const std::unique_ptr<Compressor> compressor = make_compressor(coding, level);
      for (const std::string& block : blocks) {
        REQUIRE(unpack(coding, compress(*compressor, block), block.size()) == block);
      }
    }
  }
}

TEST_CASE("blocks lie one after the other and unpack as one, behind what was there") {
  for (const Coding coding : kAll) {
    const std::unique_ptr<Compressor> compressor = make_compressor(coding);
    std::string out = "before";
    std::string all;
    for (std::uint64_t i = 0; i < 5; ++i) {
      const std::string block = log_lines(i * 3000, i);
      std::string expected = out;
      expected += compress(*make_compressor(coding), block);
      compressor->add(block, out);
      CHECK(out == expected);
      all += block;
    }
    CHECK(out.substr(0, 6) == "before");
    CHECK(unpack(coding, std::string_view(out).substr(6), all.size()) == all);
  }
}

TEST_CASE("the bytes of a block do not depend on what was compressed before, or where it lies") {
  for (const Coding coding : kSmaller) {
    for (const int level : {1, 3, 6, 9}) {
      CAPTURE(level);
      const std::string block = log_lines(150'000, 1);
      const std::string expected = compress(*make_compressor(coding, level), block);
      const std::unique_ptr<Compressor> used = make_compressor(coding, level);
      // The same text before it, in the same buffer: what a window that went on would find.
      const std::string twice = block + block;
      const std::string_view both = twice;
      REQUIRE(compress(*used, both.substr(0, block.size())) == expected);
      REQUIRE(compress(*used, both.substr(block.size())) == expected);
      for (std::uint64_t i = 0; i < 20; ++i) {
        compress(*used, i % 2 == 0 ? log_lines(i * 20'000, i) : noise(i * 2000, i));
        const std::string shifted = std::string(i, '-') + block;
        REQUIRE(compress(*used, std::string_view(shifted).substr(i)) == expected);
      }
    }
  }
}

TEST_CASE("a compressor goes on as it began after gigabytes of blocks") {
  // More than 3.5 GiB, where zstd must start its counting of positions again.
  const std::unique_ptr<Compressor> used = make_compressor(Coding::zstd);
  const std::string zeros(Compressor::kMemberBytesMax, '\0');
  const std::string block = log_lines(kMegabyte, 5);
  const std::string expected = compress(*used, block);
  std::string out;
  for (int i = 0; i < 1000; ++i) {
    used->add(zeros, out);
    if (i % 50 == 0) REQUIRE(compress(*used, block) == expected);
    out.clear();
  }
  CHECK(compress(*used, block) == expected);
}

TEST_CASE("a member has no time, no name and no operating system") {
  for (const int level : {1, 6, 9}) {
    const std::string member = compress(*make_compressor(Coding::gzip, level), "some text");
    REQUIRE(member.size() > 18);
    CHECK(member.substr(0, 8) == std::string("\x1f\x8b\x08\0\0\0\0\0", 8));
    CHECK(member[9] == '\xff');
  }
}

TEST_CASE("a frame says how much it contains and has a checksum") {
  for (const std::size_t size : {0UL, 1UL, 300UL, 70'000UL, kMegabyte}) {
    const std::string block = log_lines(size, 1);
    std::string frame = compress(*make_compressor(Coding::zstd), block);
    CHECK(ZSTD_getFrameContentSize(frame.data(), frame.size()) == size);
    CHECK((frame[4] & 4) != 0);  // RFC 8878, 3.1.1.1.1.5
    frame.back() = static_cast<char>(frame.back() ^ 1);
    CHECK_FALSE(unzstd(frame, size));
  }
}

TEST_CASE("a block above the limit becomes several members, each as if it were alone") {
  const std::string block = log_lines(Compressor::kMemberBytesMax * 2 + 5, 1);
  const std::string_view all = block;
  for (const Coding coding : kSmaller) {
    const std::unique_ptr<Compressor> compressor = make_compressor(coding);
    std::string pieces;
    for (const std::size_t i : {0UL, 1UL, 2UL}) {
      const std::size_t start = i * Compressor::kMemberBytesMax;
      compressor->add(all.substr(start, Compressor::kMemberBytesMax), pieces);
    }
    const std::string whole = compress(*compressor, all);
    CHECK(whole == pieces);
    CHECK(unpack(coding, whole, block.size()) == block);
    std::string exact;
    compressor->add(all.substr(0, Compressor::kMemberBytesMax), exact);
    CHECK(whole.starts_with(exact));
  }
}

TEST_CASE("lines of a log become at most a fifth at the lowest level, noise hardly more") {
  for (const Coding coding : kSmaller) {
    const std::unique_ptr<Compressor> compressor = make_compressor(coding);
    CHECK(compress(*compressor, log_lines(kMegabyte, 1)).size() < kMegabyte / 5);
    CHECK(compress(*compressor, noise(100'000, 1)).size() < 100'100);
  }
}

TEST_CASE("the version names library and level") {
  CHECK(compressor_version(Coding::none) == "none");
  CHECK(compressor_version(Coding::gzip).starts_with("libdeflate 1."));
  CHECK(compressor_version(Coding::gzip).ends_with(" level 1"));
  CHECK(compressor_version(Coding::zstd, 3).starts_with("zstd 1."));
  CHECK(compressor_version(Coding::zstd, 3).ends_with(" window 18 level 3"));
}

TEST_CASE("what a version's name stands for never changes") {
  // Batches may be on disk that were promised with these bytes. Whoever changes what comes out here
  // with the same libraries changes the version's text too.
  const std::string block = log_lines(300'000, 9);
  REQUIRE(content_hash(block) == ContentHash{0x1831bfb3787d73f8, 0x9aa46f5ba771f763});
  struct Known {
    Coding coding;
    std::string_view version;
    ContentHash hash;
  };
  const Known table[] = {
      {Coding::gzip, "libdeflate 1.14 level 1", {0x8da552ff9eb2f31c, 0x6d9fa4d9a20e4dd6}},
      {Coding::zstd, "zstd 1.5.4 window 18 level 1", {0x4363392c195b3672, 0x0336212410670e16}},
  };
  for (const Known& known : table) {
    if (compressor_version(known.coding) != known.version) continue;
    const std::string bytes = compress(*make_compressor(known.coding), block);
    CHECK(content_hash(bytes) == known.hash);
  }
}

TEST_CASE("codings have the names that HTTP and file systems know") {
  CHECK(content_encoding(Coding::none) == "");
  CHECK(content_encoding(Coding::gzip) == "gzip");
  CHECK(content_encoding(Coding::zstd) == "zstd");
  CHECK(file_suffix(Coding::none) == "");
  CHECK(file_suffix(Coding::gzip) == ".gz");
  CHECK(file_suffix(Coding::zstd) == ".zst");
}
