#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "roles/logsaver/manifest.hpp"
#include "roles/logsaver/sinks/manifest_file.hpp"
#include "roles/logsaver/sinks/s3_manifest.hpp"

namespace consort::logsaver {
namespace {

Manifest manifest() {
  Manifest made{.batch = "4f2a9c01d3b7e655-0-12",
                .prev = hash_of_manifest("eleven"),
                .records = 2,
                .bytes = 8,
                .has_line_each = true,
                .coding = Coding::zstd,
                .stored = 20,
                .sha256 = hash_of_manifest("body")};
  made.sources.push_back({"4f2a9c01d3b7e655-3", "/var/log/a.log", 0, 8});
  return made;
}

std::string written(const Manifest& manifest, std::size_t bytes_max = kFileManifestBytesMax) {
  return write_manifest(manifest, bytes_max);
}

TEST_CASE("a manifest is one line of ASCII whose members stand in a fixed order") {
  const Manifest made = manifest();
  CHECK(
      written(made) ==
      R"({"v":1,"batch":"4f2a9c01d3b7e655-0-12","prev":")" + to_text(made.prev) +
          R"(","records":2,"bytes":8,"form":"ndjson","coding":"zstd","stored":20,"sha256":")" +
          to_text(made.sha256) +
          R"(","sources":[{"tail":"4f2a9c01d3b7e655-3","file":"/var/log/a.log","from":0,"to":8}]})");
}

TEST_CASE("what is written is what is read") {
  Manifest made = manifest();
  made.sources.push_back({"4f2a9c01d3b7e655-4", "/var/log/a.log", 100, 200});
  made.sources.push_back(
      {"4f2a9c01d3b7e655-5", "/tmp/ \"\\\n\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80", 5, 6});
  made.is_rebuilt = true;
  made.prev = {};
  const Result<Manifest> read = read_manifest(written(made));
  REQUIRE(read);
  CHECK(*read == made);
}

TEST_CASE("nothing in a manifest is lost in a header of HTTP: no blanks, nothing beyond ASCII") {
  Manifest made = manifest();
  made.sources[0].file = " two  blanks\t\x7F \xC3\xBC\xFF ";
  const std::string text = written(made);
  CHECK(std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; }));
  const Result<Manifest> read = read_manifest(text);
  REQUIRE(read);
  CHECK(read->sources[0].file == " two  blanks\t\x7F \xC3\xBC\xEF\xBF\xBD ");
}

TEST_CASE("a manifest of an object has its room, however long names are and however many") {
  Manifest made = manifest();
  made.sources[0].file = std::string(4000, 'x') + "/app.log";
  for (int i = 0; i < 100; ++i) made.sources.push_back({"4f2a9c01d3b7e655-9", "/b", 1, 2});
  made.is_rebuilt = true;
  const std::string text = written(made, kObjectManifestBytesMax);
  CHECK(text.size() <= kObjectManifestBytesMax);
  const Result<Manifest> read = read_manifest(text);
  REQUIRE(read);
  CHECK(read->sources[0].file.starts_with("...x"));
  CHECK(read->sources[0].file.ends_with("/app.log"));
  CHECK(read->sources.size() + read->more == 101);
  CHECK(read->is_rebuilt);
}

TEST_CASE("as many tails as a batch may have are named, at their longest") {
  Manifest made = manifest();
  made.sources.clear();
  made.batch = "ffffffffffffffff-4294967295-18446744073709551615";
  made.records = made.bytes = made.stored = ~std::uint64_t{0};
  const std::size_t tails = manifest_tails_max(kObjectManifestBytesMax);
  CHECK(tails >= 4);
  for (std::size_t i = 0; i < tails; ++i) {
    made.sources.push_back({"ffffffffffffffff-18446744073709551615", std::string(5000, '\n'),
                            ~std::uint64_t{0} - 1, ~std::uint64_t{0}});
  }
  const Result<Manifest> read = read_manifest(written(made, kObjectManifestBytesMax));
  REQUIRE(read);
  CHECK(read->sources.size() == tails);
  CHECK(read->more == 0);
}

TEST_CASE("what is no manifest is refused") {
  const std::string good = written(manifest());
  const auto with = [&good](std::string_view from, std::string_view to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  REQUIRE(read_manifest(good));
  for (const std::string& text :
       {std::string(), std::string("[]"), good.substr(0, good.size() - 1),
        with("\"v\":1", "\"v\":2"), with("\"v\":1", "\"w\":1"), with("0-12", "0-0"),
        with("0-12", "012"), with("4f2a9c01d3b7e655-0-12", "up\\u0007-12"),
        with("\"records\":2", "\"records\":-2"), with("\"zstd\"", "\"lzma\""),
        with("\"from\":0", "\"from\":9"), with("\"sha256\":\"", "\"sha256\":\"x"),
        with("\"sha256\"", "\"sha257\""), with("\"tail\"", "\"tale\"")}) {
    CAPTURE(text);
    CHECK_FALSE(read_manifest(text));
  }
  CHECK(read_manifest(with("\"records\"", "\"new\":[{}],\"records\"")));
}

TEST_CASE("a manifest goes through an object's metadata in pieces that every server takes") {
  std::string text = "{";
  while (text.size() < 1399) text += static_cast<char>('a' + text.size() % 26);
  text += '}';
  http1::Headers metadata;
  add_manifest(metadata, text);
  CHECK(metadata.size() == 6);
  http1::Headers headers{{"content-type", "x"}};
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) {
    CHECK(value.size() <= 256);  // OpenStack Swift: max_meta_value_length
    bytes += name.size() + value.size();
    headers.emplace_back("x-amz-meta-" + name, value);
  }
  CHECK(bytes < 1700);
  CHECK(manifest_in(headers) == text);
  CHECK(manifest_in({}).empty());
}

TEST_CASE("a line of a manifest file says where the body begins, and has the manifest in it") {
  const std::string text = written(manifest());
  const std::string line = write_manifest_line(text, 1048);
  CHECK(line == text.substr(0, text.size() - 1) + ",\"at\":1048}");
  const Result<ManifestLine> read = read_manifest_line(line);
  REQUIRE(read);
  CHECK(read->manifest == text);
  CHECK(read->at == 1048);
  CHECK_FALSE(read_manifest_line(text));
  CHECK_FALSE(read_manifest_line(line.substr(0, line.size() - 1)));
  CHECK_FALSE(read_manifest_line(text.substr(0, text.size() - 1) + ",\"at\":-1}"));
  CHECK_FALSE(read_manifest_line(""));
}

TEST_CASE("a hash is 64 digits, or nothing") {
  CHECK(to_text({}).empty());
  CHECK(parse_hash("") == ManifestHash{});
  const ManifestHash hash = hash_of_manifest("x");
  CHECK(parse_hash(to_text(hash)) == hash);
  CHECK_FALSE(parse_hash(to_text(hash).substr(1)));
  CHECK_FALSE(parse_hash("X" + to_text(hash).substr(1)));
}

}  // namespace
}  // namespace consort::logsaver
