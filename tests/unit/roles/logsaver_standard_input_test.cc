#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/fd.hpp"
#include "roles/logsaver/records/glob.hpp"
#include "roles/logsaver/standard_input.hpp"
#include "sim/world.hpp"

namespace consort::logsaver {
namespace {

const std::string kDirectory = "/state/stdin";
constexpr StandardInput::Limits kLimits{
    .segment_bytes = 10, .segment_bytes_max = 30, .unsettled_bytes_max = 40};

/// Takes what a script puts there, and keeps all that the files have ever held, by identity.
struct Bench {
  explicit Bench(StandardInput::Limits limits = kLimits) : limits_(limits) { begin(); }

  void begin() {
    input = std::make_unique<StandardInput>(
        StandardInput::World{
            .loop = world.loop,
            .disk = world.disk,
            .log = log,
            .read = [this](std::span<char> into) { return read(into); },
            .settled_to = [this](const io::FileIdentity& identity) -> std::optional<std::uint64_t> {
              if (!is_followed) return std::nullopt;
              for (const auto& [name, inode, size] : list()) {
                if (inode == identity.inode) return settles ? size : 0;
              }
              return std::nullopt;
            }},
        kDirectory, limits_);
    REQUIRE(input->open());
    input->start();
  }
  struct Found {
    std::string name;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
  };
  std::vector<Found> list() {
    std::vector<Found> found;
    const auto entries = world.disk.list(kDirectory);
    for (std::size_t i = 0; entries && i < entries->size(); ++i) {
      const std::string& name = (*entries)[i].name;
      const auto stat = world.disk.stat(kDirectory + "/" + name);
      if (stat) found.push_back({name, stat->identity.inode, stat->size});
    }
    return found;
  }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const Found& each : list()) names.push_back(each.name);
    return names;
  }
  std::string text(const std::string& name) { return world.disk.read(kDirectory + "/" + name); }
  /// What the files hold, oldest first.
  std::string all() {
    std::string text;
    for (const std::string& name : names()) {
      if (name != "stdin") text += this->text(name);
    }
    return text + this->text("stdin");
  }

  sim::World world;
  Logger log{{.write = [](void*, std::string_view) {},
              .wall_ms = [](void*) { return std::int64_t{0}; },
              .context = nullptr},
             {}};
  std::deque<std::string> script;
  bool has_end = false;
  int failure = 0;
  int reads = 0;
  bool is_followed = true;
  bool settles = false;
  std::unique_ptr<StandardInput> input;

 private:
  Result<std::optional<std::size_t>> read(std::span<char> into) {
    ++reads;
    if (!script.empty()) {
      const std::string bytes = script.front();
      script.pop_front();
      std::copy(bytes.begin(), bytes.end(), into.begin());
      return bytes.size();
    }
    if (failure != 0) return fail(Error::from_errno(failure, "standard input"));
    if (has_end) return std::size_t{0};
    return std::nullopt;
  }

  const StandardInput::Limits limits_;
};

TEST_CASE("what comes is in a file soon, and looked for seldom while nothing comes") {
  Bench bench;
  bench.script = {"one\n", "tw"};
  bench.world.loop.run_for(1);
  CHECK(bench.text("stdin") == "one\ntw");
  bench.world.loop.run_for(10'000);
  CHECK(bench.reads < 220);
  bench.script = {"o\n"};
  bench.world.loop.run_for(50);
  CHECK(bench.text("stdin") == "one\ntwo\n");
  CHECK_FALSE(bench.input->has_ended());
}

TEST_CASE("a file ends at the end of a line, and goes when all of it has arrived") {
  Bench bench;
  bench.script = {"1234567890", "12"};
  bench.world.loop.run_for(1);
  // Within a line it goes on.
  CHECK(bench.names() == std::vector<std::string>{"stdin"});
  bench.script = {"\nsecond\nne", "xt\n"};
  bench.world.loop.run_for(100);
  CHECK(bench.names() == std::vector<std::string>{"stdin", "stdin.000001"});
  CHECK(bench.text("stdin.000001") == "123456789012\nsecond\n");
  CHECK(bench.text("stdin") == "next\n");
  bench.settles = true;
  bench.world.loop.run_for(100);
  CHECK(bench.names() == std::vector<std::string>{"stdin"});
  CHECK(bench.text("stdin") == "next\n");
}

TEST_CASE("a line that does not end is given one") {
  Bench bench;
  bench.script = {std::string(31, 'x')};
  bench.world.loop.run_for(1);
  CHECK(bench.text("stdin.000001") == std::string(31, 'x') + "\n");
}

TEST_CASE("reading waits while too much has not arrived") {
  Bench bench;
  for (int i = 0; i < 10; ++i) bench.script.emplace_back("123456789\n");
  bench.world.loop.run_for(10'000);
  CHECK(bench.script.size() == 6);
  CHECK(bench.input->unsettled_bytes() == 40);
  bench.settles = true;
  bench.world.loop.run_for(100);
  CHECK(bench.script.empty());
}

TEST_CASE("the end gives the last line its own, and the files go when all has arrived") {
  Bench bench;
  bench.script = {"one\ntwo"};
  bench.has_end = true;
  bench.world.loop.run_for(1);
  CHECK(bench.input->has_ended());
  CHECK(bench.text("stdin") == "one\ntwo\n");
  CHECK_FALSE(bench.input->is_settled());
  bench.settles = true;
  CHECK(bench.input->is_settled());
  CHECK(bench.names().empty());
  CHECK_FALSE(bench.input->has_failed());
}

TEST_CASE("an end without anything before it leaves nothing") {
  Bench bench;
  bench.has_end = true;
  bench.is_followed = false;
  bench.world.loop.run_for(1);
  CHECK(bench.input->is_settled());
  CHECK(bench.names().empty());
}

TEST_CASE("what is not followed yet has not arrived; what is followed no more has") {
  Bench bench;
  bench.script = {"one\n"};
  bench.has_end = true;
  bench.is_followed = false;
  bench.world.loop.run_for(1'000);
  CHECK_FALSE(bench.input->is_settled());
  bench.is_followed = true;
  CHECK_FALSE(bench.input->is_settled());
  bench.is_followed = false;
  CHECK(bench.input->is_settled());
}

TEST_CASE("a failure ends the input, and what came before it is kept") {
  Bench bench;
  bench.script = {"one"};
  bench.failure = EIO;
  bench.world.loop.run_for(1);
  CHECK(bench.input->has_ended());
  CHECK(bench.input->has_failed());
  CHECK(bench.input->trouble().find("standard input") != std::string::npos);
  CHECK(bench.text("stdin") == "one\n");
}

TEST_CASE("who stops takes no more") {
  Bench bench;
  bench.script = {"one\n"};
  bench.input->stop();
  bench.world.loop.run_for(1'000);
  CHECK(bench.input->has_ended());
  CHECK(bench.script.size() == 1);
}

TEST_CASE("after a kill what is there is taken up, a torn line ends, and numbers go on") {
  Bench bench;
  bench.script = {"1234567890\n", "torn"};
  bench.world.loop.run_for(10);
  CHECK(bench.names() == std::vector<std::string>{"stdin", "stdin.000001"});
  bench.input.reset();
  bench.begin();
  CHECK(bench.text("stdin") == "torn\n");
  CHECK(bench.input->unsettled_bytes() == 11 + 5);
  bench.script = {"abcdefghij\n", "z\n"};
  bench.world.loop.run_for(100);
  CHECK(bench.names() == std::vector<std::string>{"stdin", "stdin.000001", "stdin.000002"});
  CHECK(bench.all() == "1234567890\ntorn\nabcdefghij\nz\n");
  bench.settles = true;
  bench.has_end = true;
  bench.world.loop.run_for(100);
  CHECK(bench.input->is_settled());
  CHECK(bench.names().empty());
}

TEST_CASE("a full disk makes the input wait, and repeats and loses nothing") {
  Bench bench(StandardInput::Limits{
      .segment_bytes = 1000, .segment_bytes_max = 3000, .unsettled_bytes_max = 4000});
  bench.world.disk.set_free(6);
  bench.script = {"one\n", "two\n", "three\n"};
  bench.world.loop.run_for(5'000);
  CHECK(bench.text("stdin") == "one\ntw");
  CHECK_FALSE(bench.input->trouble().empty());
  CHECK(bench.script.size() == 1);
  bench.world.disk.set_free(1'000);
  bench.world.loop.run_for(5'000);
  CHECK(bench.text("stdin") == "one\ntwo\nthree\n");
  CHECK(bench.input->trouble().empty());
}

TEST_CASE("on a full disk the room of what has arrived is given back") {
  Bench bench(StandardInput::Limits{
      .segment_bytes = 1000, .segment_bytes_max = 3000, .unsettled_bytes_max = 4000});
  bench.settles = true;
  bench.script = {"one\n"};
  bench.world.loop.run_for(100);
  bench.world.disk.set_free(0);
  bench.script = {"two\n"};
  bench.world.loop.run_for(5'000);
  CHECK(bench.text("stdin") == "two\n");
  CHECK(bench.input->trouble().empty());
}

/// Nothing comes in.
struct Idle {
  explicit Idle(const std::string& directory)
      : input({.loop = world.loop,
               .disk = world.disk,
               .log = log,
               .read = [](std::span<char>) { return std::optional<std::size_t>(0); },
               .settled_to = [](const auto&) { return std::nullopt; }},
              directory, kLimits) {}
  sim::World world;
  Logger log{{.write = [](void*, std::string_view) {},
              .wall_ms = [](void*) { return std::int64_t{0}; },
              .context = nullptr},
             {}};
  StandardInput input;
};

TEST_CASE("a directory that cannot be used is told at once") {
  Idle idle("/state/stdin");
  idle.world.disk.append("/state", "a file");
  CHECK_FALSE(idle.input.open());
}

TEST_CASE("the glob means the files, whatever the directory is called") {
  Idle idle("/st[a]te{,*}");
  REQUIRE(idle.input.open());
  const auto glob = Glob::compile(idle.input.glob());
  REQUIRE(glob);
  CHECK(glob->matches("/st[a]te{,*}/stdin"));
  CHECK(glob->matches("/st[a]te{,*}/stdin.000001"));
  CHECK_FALSE(glob->matches("/state/stdin"));
  CHECK(glob->fixed_directory() == "/st[a]te{,*}");
}

TEST_CASE("a descriptor is read without waiting, and its flags stay") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const io::Fd reader(ends[0]);
  io::Fd writer(ends[1]);
  const ReadInput read = descriptor_reader(reader.get());
  std::array<char, 8> buffer{};
  auto got = read(buffer);
  REQUIRE(got);
  CHECK_FALSE(got->has_value());
  REQUIRE(::write(writer.get(), "one", 3) == 3);
  got = read(buffer);
  REQUIRE((got && got->has_value()));
  CHECK(**got == 3);
  writer.reset();
  got = read(buffer);
  REQUIRE((got && got->has_value()));
  CHECK(**got == 0);
  CHECK((::fcntl(reader.get(), F_GETFL) & O_NONBLOCK) == 0);
  const io::Fd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK_FALSE(descriptor_reader(directory.get())(buffer));
}

}  // namespace
}  // namespace consort::logsaver
