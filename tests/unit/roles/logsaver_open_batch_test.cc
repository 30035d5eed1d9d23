#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/random.hpp"
#include "logsaver_sink_world.hpp"
#include "roles/logsaver/deliver/open_batch.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"

namespace consort::logsaver {
namespace {

/// What becomes of a log that is fed in windows of at most so many bytes, several to a turn.
struct Made {
  Batch batch;
  std::uint64_t log_bytes = 0;
};

Made make(const std::string& log, Coding coding, BodyForm form, Random& random,
          std::size_t window_bytes, std::string& spare) {
  RecordRules rules;
  const auto compressor = make_compressor(coding);
  const TailFacts facts = test::facts_of("/a");
  OpenBatch batch(rules, *compressor, coding, make_line_encoding(form, {}), {}, spare);
  std::size_t at = 0;
  while (at < log.size()) {
    batch.begin_turn(1, facts, at);
    const std::size_t size = window_bytes / 2 + random.below(window_bytes / 2) + 1;
    at += batch.feed(std::string_view(log).substr(at, size));
    batch.keep(batch.end_turn(false), false);
  }
  Made made;
  made.log_bytes = batch.log_bytes();
  CHECK(batch.is_plain() == (form == BodyForm::raw));
  batch.finish(made.batch);
  return made;
}

std::string log_of(std::size_t bytes, Random& random) {
  std::string log;
  while (log.size() < bytes) {
    log.append(random.below(300), static_cast<char>('a' + random.below(26)));
    log += '\n';
  }
  return log;
}

TEST_CASE("a body is the same however its bytes came") {
  Random random(5);
  std::string spare;
  const std::string log = log_of(3'500'000, random);
  const auto lines = static_cast<std::uint64_t>(std::count(log.begin(), log.end(), '\n'));
  for (const BodyForm form : {BodyForm::raw, BodyForm::ndjson}) {
    for (const Coding coding : {Coding::none, Coding::gzip, Coding::zstd}) {
      const Made whole = make(log, coding, form, random, 2 * log.size(), spare);
      CHECK(whole.log_bytes == log.size());
      CHECK(whole.batch.records == lines);
      if (form == BodyForm::raw) CHECK(whole.batch.body_plain_bytes == log.size());
      if (form == BodyForm::raw && coding == Coding::none) CHECK(whole.batch.body == log);
      for (const std::size_t window : {1'000UL, 300'000UL, 1'500'000UL}) {
        const Made made = make(log, coding, form, random, window, spare);
        CHECK(made.batch.body == whole.batch.body);
        CHECK(made.batch.body_plain_bytes == whole.batch.body_plain_bytes);
        CHECK(made.batch.records == lines);
      }
    }
  }
}

TEST_CASE("what a batch needed for its plain bytes is there for the next one") {
  Random random(6);
  std::string spare;
  const std::string log = log_of(500'000, random);
  make(log, Coding::gzip, BodyForm::raw, random, log.size(), spare);
  CHECK(spare.empty());
  const std::size_t capacity = spare.capacity();
  CHECK(capacity >= log.size());
  const char* const memory = spare.data();
  make(log, Coding::gzip, BodyForm::raw, random, log.size(), spare);
  CHECK(spare.data() == memory);
  CHECK(spare.capacity() == capacity);
}

}  // namespace
}  // namespace consort::logsaver
