#include "manage/log_sink.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "io/fd.hpp"

using namespace consort;

namespace {

/// A pipe of two pages: each write takes one, unless it fits behind the last. Reading never blocks.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
    REQUIRE(::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) == 0);
    REQUIRE(::fcntl(write_end.get(), F_SETPIPE_SZ, 8192) == 8192);
  }
  std::string take() const {
    std::string out;
    std::array<char, 4096> buffer{};
    for (;;) {
      const ssize_t got = ::read(read_end.get(), buffer.data(), buffer.size());
      if (got <= 0) return out;
      out.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }
  io::Fd read_end;
  io::Fd write_end;
};

const std::string kPage = std::string(4095, 'x') + "\n";

}  // namespace

TEST_CASE("lines reach a reader that reads") {
  Pipe pipe;
  LogSink sink(pipe.write_end.get());
  sink.write("one\n");
  sink.write("two\n");
  CHECK(pipe.take() == "one\ntwo\n");
  CHECK(sink.lost() == 0);
}

TEST_CASE("a reader that stopped reading costs lines, not the caller") {
  Pipe pipe;
  LogSink sink(pipe.write_end.get(), Millis{0});
  std::uint64_t told = 0;
  sink.on_recovered([&told](std::uint64_t lost) { told += lost; });
  sink.write(kPage);
  sink.write(kPage);
  sink.write("lost\n");
  sink.write("lost too\n");
  CHECK(sink.lost() == 2);
  CHECK(told == 0);

  CHECK(pipe.take() == kPage + kPage);
  sink.write("again\n");
  CHECK(pipe.take() == "again\n");
  CHECK(told == 2);
  sink.write("and again\n");
  CHECK(sink.lost() == 2);
  CHECK(told == 2);
}

TEST_CASE("a line that was cut in the middle does not swallow the next one") {
  Pipe pipe;
  LogSink sink(pipe.write_end.get(), Millis{0});
  sink.write(std::string(9000, 'y') + "\n");
  CHECK(sink.lost() == 1);
  CHECK(pipe.take() == std::string(8192, 'y'));
  sink.write("next\n");
  CHECK(pipe.take() == "\nnext\n");
  sink.write("after\n");
  CHECK(pipe.take() == "after\n");
}

TEST_CASE("a long line goes out in pieces when there is room") {
  std::array<char, 32> path{"/tmp/consort-log-XXXXXX"};
  const io::Fd file(::mkstemp(path.data()));
  REQUIRE(file);
  ::unlink(path.data());
  LogSink sink(file.get());
  sink.write(std::string(16'000, 'z') + "\n");
  CHECK(sink.lost() == 0);
  CHECK(::lseek(file.get(), 0, SEEK_END) == 16'001);
}

TEST_CASE("lines to nobody are counted, whatever the reason") {
  SUBCASE("the reader is gone") {
    // As the runtime does: a write to a pipe without a reader is an error, not a signal.
    std::signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    pipe.read_end.reset();
    LogSink sink(pipe.write_end.get());
    sink.write("a\n");
    sink.write("b\n");
    CHECK(sink.lost() == 2);
  }
  SUBCASE("there is no descriptor") {
    LogSink sink(1'000'000);
    sink.write("a\n");
    CHECK(sink.lost() == 1);
  }
}
