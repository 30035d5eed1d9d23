#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>

#include "base/utf8.hpp"
#include "roles/logsaver/sinks/s3_key.hpp"

namespace consort::logsaver {
namespace {

Batch batch_of(std::string file) {
  Batch batch;
  batch.number = 7;
  batch.created_ms = 1'714'565'045'123;  // 2024-05-01T12:04:05.123Z
  batch.id = "4f2a9c01d3b7e655-2-7";
  batch.file = std::move(file);
  batch.first_offset = 1048;
  batch.first_tail = 17;
  return batch;
}

std::string stem_of(std::string_view text, const Batch& batch, std::string_view prefix = "web") {
  const Result<S3KeyTemplate> made = S3KeyTemplate::parse(text);
  if (!made) FAIL(made.error().text());
  return made->stem({.prefix = prefix, .host = "web-1"}, batch);
}

std::string error_of(std::string_view text) {
  const Result<S3KeyTemplate> made = S3KeyTemplate::parse(text);
  return made ? "it is fine" : made.error().text();
}

TEST_CASE("a key has day, hour, host, file and offset, and is the same each time") {
  const Batch batch = batch_of("/var/log/app.log");
  const std::string key = stem_of(S3KeyTemplate::kDefault, batch);
  const std::string_view start =
      "web/dt=2024-05-01/hr=12/web-1-var_log_app.log-00000000000000001048-";
  CHECK(key.starts_with(start));
  CHECK(key.size() == start.size() + 8);
  CHECK(key.find_first_not_of("0123456789abcdef", start.size()) == key.npos);
  CHECK(stem_of(S3KeyTemplate::kDefault, batch) == key);
  CHECK(stem_of(S3KeyTemplate::kDefault, batch, "").starts_with("dt=2024-05-01/"));
}

TEST_CASE("other files, sinks and state directories have other keys, a repeated batch has not") {
  Batch batch = batch_of("/a");
  std::set<std::string> keys{stem_of(S3KeyTemplate::kDefault, batch)};
  batch.first_tail = 18;
  CHECK(keys.insert(stem_of(S3KeyTemplate::kDefault, batch)).second);
  batch = batch_of("/a");
  batch.id = "4f2a9c01d3b7e655-3-7";
  CHECK(keys.insert(stem_of(S3KeyTemplate::kDefault, batch)).second);
  batch.id = "4f2a9c01d3b7e656-2-7";
  CHECK(keys.insert(stem_of(S3KeyTemplate::kDefault, batch)).second);
  batch = batch_of("/a");
  batch.first_offset = 1049;
  CHECK(keys.insert(stem_of(S3KeyTemplate::kDefault, batch)).second);
  batch = batch_of("/a");
  batch.is_replay = true;
  batch.has_same_settings = false;
  CHECK_FALSE(keys.insert(stem_of(S3KeyTemplate::kDefault, batch)).second);
}

TEST_CASE("keys of one file come in the order of its lines") {
  Batch batch = batch_of("/a");
  std::string before;
  for (const std::uint64_t offset : {0ULL, 9ULL, 10ULL, 99'999'999ULL, 18'446'744'073'709ULL}) {
    batch.first_offset = offset;
    const std::string key = stem_of(S3KeyTemplate::kDefault, batch);
    CHECK(before < key);
    before = key;
  }
}

TEST_CASE("a template of one's own") {
  const Batch batch = batch_of("/var/log/app.log");
  CHECK(stem_of("{batch}", batch) == "4f2a9c01d3b7e655-2-7");
  CHECK(stem_of("/%Y%m%d%%/{tail:06}-{tail}-{first_offset}-{file}.{batch}", batch) ==
        "20240501%/000017-17-1048-var_log_app.log.4f2a9c01d3b7e655-2-7");
  const std::string key = stem_of("{gen}{first_offset:05}{prefix}", batch, "a%Y{x}");
  CHECK(key.substr(8) == "01048a%Y{x}");
}

TEST_CASE("a template that would give two batches one name is refused") {
  for (const std::string_view text :
       {"a", "{prefix}/{file}", "{first_offset}", "{gen}", "{tail}-{first_offset}", "%Y-%m-%d"}) {
    CAPTURE(text);
    CHECK(error_of(text).find("several batches one name: add {batch}") != std::string::npos);
  }
}

TEST_CASE("unknown places are refused by name") {
  for (const std::string_view place :
       {"{offset}", "{first_offset:}", "{first_offset:20}", "{first_offset:021}", "{tail:0x}",
        "{first_offset:0}", "{", "{}", "{gen:08}"}) {
    CAPTURE(place);
    CHECK(error_of("{batch}-" + std::string(place))
              .starts_with("\"" + std::string(place) + "\" is no place in a key: there are "));
  }
  CHECK(error_of("{batch}%q").find("%q") != std::string::npos);
  CHECK(error_of("{batch}%").find("%") != std::string::npos);
}

TEST_CASE("whatever a file is called, its key can be listed and sent") {
  const std::string key = stem_of("{batch}-{file}", batch_of("/a\nb\x7F\xFF\xC3\xBC&c d"));
  CHECK(key == "4f2a9c01d3b7e655-2-7-a_b__\xC3\xBC&c d");
  for (const std::string_view text : {S3KeyTemplate::kDefault, std::string_view("{file}/{batch}"),
                                      std::string_view("{prefix}{file}/{batch}")}) {
    CAPTURE(text);
    std::string path;
    for (int i = 0; i < 2000; ++i) path += "/\xC3\xBC";
    Batch batch = batch_of(path);
    const std::string prefix(900, 'p');
    const std::string one = stem_of(text, batch, prefix);
    batch.first_offset = 5;
    batch.id = "4f2a9c01d3b7e655-2-8";
    const std::string other = stem_of(text, batch, prefix);
    CHECK(one != other);
    CHECK(one.size() <= S3KeyTemplate::kBytesMax);
    CHECK(utf8_prefix(one, one.size()).size() == one.size());
  }
}

TEST_CASE("a suffix says what the body is, once") {
  CHECK(s3_suffix(BodyForm::ndjson, Coding::zstd) == ".ndjson.zst");
  CHECK(s3_suffix(BodyForm::raw, Coding::gzip) == ".log.gz");
  CHECK(s3_suffix(BodyForm::raw, Coding::none) == ".log");
  CHECK(with_suffix("a", ".log") == "a.log");
  CHECK(with_suffix("a.log", ".log") == "a.log");
}

}  // namespace
}  // namespace consort::logsaver
