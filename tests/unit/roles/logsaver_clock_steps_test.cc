// The wall clock is set back and forward by an hour: it names objects and measures nothing.
#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>

#include "roles/logsaver/sinks/s3_key.hpp"
#include "unit/roles/logsaver_world.hpp"

namespace consort::logsaver {
namespace {

using test::difference;
using test::lines;
using test::LogsaverWorld;

constexpr std::int64_t kHourMs = 3'600'000;

/// Of the batches that a destination took: the objects that S3 would have.
class Keys {
 public:
  Keys() : template_(*S3KeyTemplate::parse(S3KeyTemplate::kDefault)) {}

  void add(const Batch& batch) {
    const std::string key = template_.stem({.prefix = "web", .host = "web-1"}, batch);
    // One key for one batch, also when it comes again after the clock was set.
    CHECK(ids_.try_emplace(key, batch.id).first->second == batch.id);
    CHECK(keys_.try_emplace(batch.id, key).first->second == key);
  }
  std::size_t size() const { return ids_.size(); }

 private:
  S3KeyTemplate template_;
  std::map<std::string, std::string> ids_;
  std::map<std::string, std::string> keys_;
};

void check_steps(LogsaverWorld& world, Keys& keys) {
  world.store().seen = [&keys](const Batch& batch) { keys.add(batch); };
  world.start();
  std::string written;
  for (int i = 0; i < 60; ++i) {
    world.wall_step_ms = (i % 3 - 1) * kHourMs;
    const std::string text = lines("a", 10 * i + 1, 10 * i + 10);
    world.disk.append("/log/a.log", text);
    written += text;
    world.run_for(20);
    if (i % 7 == 3) world.restart();
  }
  world.run_for(60'000);
  CHECK(difference(world.saved(), written) == "");
  CHECK(world.store().different_bodies == 0);
  CHECK(world.saver().is_settled());
}

TEST_CASE("steps of the wall clock give no two objects one key, and no object two") {
  LogsaverWorld world;
  Keys keys;
  world.store().traits.batch_bytes = {64};
  check_steps(world, keys);
  CHECK(keys.size() >= 60);
}

TEST_CASE("what is sent again after a step of the wall clock has the name that it had") {
  LogsaverWorld world;
  Keys keys;
  world.store().traits.batch_bytes = {64};
  world.store().failures = 0.3;
  world.store().lost_answers = 0.3;
  check_steps(world, keys);
  CHECK(world.store().arrivals > keys.size());
}

TEST_CASE("nothing waits for the wall clock: what is due is sent although it was set back") {
  for (const std::int64_t step_ms : {-24 * kHourMs, -kHourMs, std::int64_t{0}, kHourMs}) {
    CAPTURE(step_ms);
    LogsaverWorld world;
    world.start();
    world.disk.append("/log/a.log", lines("a", 1, 10));
    world.run_for(50);  // the batch is open, for 100 ms
    world.wall_step_ms = step_ms;
    world.run_for(200);
    CHECK(world.saved() == lines("a", 1, 10));
    // A retry that is due after a random time is not put off either.
    world.store().is_down = true;
    world.disk.append("/log/a.log", lines("a", 11, 20));
    world.run_for(500);
    world.wall_step_ms = 0;
    world.store().is_down = false;
    world.run_for(60'000);
    CHECK(world.saved() == lines("a", 1, 20));
  }
}

}  // namespace
}  // namespace consort::logsaver
