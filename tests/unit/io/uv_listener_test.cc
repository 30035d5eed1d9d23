#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "io/uv/listener.hpp"
#include "io/uv/socket_address.hpp"
#include "uv_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;

namespace {

/// A path in /tmp that is gone after the test.
struct TempPath {
  explicit TempPath(const char* name)
      : path("/tmp/consort-unit-" + std::to_string(::getpid()) + "-" + name) {
    ::unlink(path.c_str());
  }
  ~TempPath() { ::unlink(path.c_str()); }
  Address address(std::uint32_t mode = 0) const {
    Address made;
    made.kind = Address::Kind::unix_path;
    made.path = path;
    made.mode = mode;
    return made;
  }
  bool exists() const { return ::access(path.c_str(), F_OK) == 0; }
  std::string path;
};

/// A bound unix socket whose process died: nobody accepts there.
void leave_stale_socket(const Address& address) {
  auto where = SocketAddress::of(address, "");
  Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  REQUIRE(::bind(fd.get(), where->get(), where->length) == 0);
}

}  // namespace

TEST_CASE("port 0 gives a free port, and a taken port is a clear error") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  auto first = std::move(*network.listen(at("127.0.0.1:0"), {}, acceptor));
  CHECK(first->address().port != 0);
  CHECK(first->address().host == "127.0.0.1");
  auto second = network.listen(first->address(), {}, acceptor);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code() == Errc::invalid);
  CHECK(second.error().sys() == EADDRINUSE);
  CHECK(second.error().text() == "listen on " + first->address().to_string());
  CHECK_FALSE(network.listen(at("example.org:80"), {}, acceptor).has_value());
  // Free again at once.
  Address address = first->address();
  first.reset();
  CHECK(network.listen(address, {}, acceptor).has_value());
}

TEST_CASE("listeners that ask for it share a port") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  ListenOptions shared{.reuse_port = true, .keep_alive = true};
  auto first = std::move(*network.listen(at("127.0.0.1:0"), shared, acceptor));
  CHECK(network.listen(first->address(), shared, acceptor).has_value());
}

TEST_CASE("every interface means IPv4 and IPv6") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  auto listener = std::move(*network.listen(at(":0"), {}, acceptor));
  std::string port = std::to_string(listener->address().port);
  for (std::string host : {"127.0.0.1:", "[::1]:"}) {
    Recorder client;
    client.stream = network.connect(at(host + port), client);
    CHECK(run_until(loop, [&] { return client.log == "open;"; }));
  }
}

TEST_CASE("many clients that wait together are all accepted") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  struct Counter final : AcceptHandler {
    void on_accept(std::unique_ptr<Stream> stream) override { kept.push_back(std::move(stream)); }
    void on_accept_paused(const Error&) override {}
    std::vector<std::unique_ptr<Stream>> kept;
  };
  Counter counter;
  auto listener = std::move(*network.listen(at("127.0.0.1:0"), {}, counter));
  std::vector<Recorder> clients(200);
  for (Recorder& client : clients) {
    client.stream = network.connect(listener->address(), client);
  }
  CHECK(run_until(loop, [&] { return counter.kept.size() == clients.size(); }));
}

TEST_CASE("whoever stops accepts those whom the kernel has let in, and lets nobody in any more") {
  struct Counter final : AcceptHandler {
    void on_accept(std::unique_ptr<Stream>) override { ++accepted; }
    void on_accept_paused(const Error&) override { ++paused; }
    int accepted = 0;
    int paused = 0;
  };
  TempPath path("last");
  for (const Address& address : {at("127.0.0.1:0"), at("[::1]:0"), path.address()}) {
    CAPTURE(address.to_string());
    UvLoop loop;
    UvNetwork network(loop);
    Counter counter;
    auto listener = std::move(*network.listen(address, {}, counter));
    const auto where = SocketAddress::of(listener->address(), "");
    const auto connected = [&where](const Fd& fd) {
      return ::connect(fd.get(), where->get(), where->length);
    };
    std::vector<Fd> early;
    for (int i = 0; i < 3; ++i) {
      early.emplace_back(::socket(where->family(), SOCK_STREAM, 0));
      REQUIRE(connected(early.back()) == 0);
    }
    listener->accept_last();
    CHECK(counter.accepted == 3);
    const Fd late(::socket(where->family(), SOCK_STREAM | SOCK_NONBLOCK, 0));
    // A unix socket says no; TCP's handshake gets no answer.
    REQUIRE(connected(late) == -1);
    CHECK(errno == (address.is_unix() ? ECONNREFUSED : EINPROGRESS));
    run_for(loop, 20);
    CHECK(counter.accepted == 3);
    CHECK(counter.paused == 0);
  }
}

TEST_CASE("whoever stops can still let in a client that thinks it is connected") {
  struct Counter final : AcceptHandler {
    void on_accept(std::unique_ptr<Stream>) override { ++accepted; }
    void on_accept_paused(const Error&) override {}
    int accepted = 0;
  };
  UvLoop loop;
  UvNetwork network(loop);
  Counter counter;
  auto listener = std::move(*network.listen(at("127.0.0.1:0"), {}, counter));
  const auto where = SocketAddress::of(listener->address(), "");
  const Fd client(::socket(where->family(), SOCK_STREAM, 0));
  // On the side that connects this holds the handshake's last packet back until there are data.
  const int seconds = 1;
  REQUIRE(::setsockopt(client.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds) == 0);
  REQUIRE(::connect(client.get(), where->get(), where->length) == 0);
  listener->accept_last();
  REQUIRE(counter.accepted == 0);
  REQUIRE(::send(client.get(), "hello", 5, 0) == 5);
  CHECK(run_until(loop, [&] {
    listener->accept_last();
    return counter.accepted == 1;
  }));
}

TEST_CASE("a unix path has the asked mode and vanishes with its listener") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  TempPath at_path("mode");
  auto listener = std::move(*network.listen(at_path.address(0600), {}, acceptor));
  struct stat made{};
  REQUIRE(::stat(at_path.path.c_str(), &made) == 0);
  CHECK((made.st_mode & 0777) == 0600);
  listener.reset();
  CHECK_FALSE(at_path.exists());
}

TEST_CASE("a dead process's unix path is replaced, a living one's is not") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  TempPath at_path("stale");
  leave_stale_socket(at_path.address());
  REQUIRE(at_path.exists());
  auto listener = std::move(*network.listen(at_path.address(), {}, acceptor));
  auto second = network.listen(at_path.address(), {}, acceptor);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code() == Errc::invalid);
  CHECK(second.error().sys() == EADDRINUSE);
  CHECK(at_path.exists());
  // The failed attempt must not have taken the path away from its owner.
  Recorder client;
  client.stream = network.connect(at_path.address(), client);
  CHECK(run_until(loop, [&] { return client.log == "open;"; }));
}

TEST_CASE("a file that is not a socket is never removed") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  TempPath at_path("file");
  Fd file(::open(at_path.path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  auto listener = network.listen(at_path.address(), {}, acceptor);
  REQUIRE_FALSE(listener.has_value());
  CHECK(listener.error().text().find("not a socket") != std::string::npos);
  CHECK(at_path.exists());
}

TEST_CASE("a successor's unix path survives the end of its predecessor") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  TempPath at_path("heir");
  auto old = std::move(*network.listen(at_path.address(), {}, acceptor));
  ::unlink(at_path.path.c_str());
  leave_stale_socket(at_path.address());
  old.reset();
  CHECK(at_path.exists());
}

TEST_CASE("unix names that do not fit are refused with the limit") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  Address address;
  address.kind = Address::Kind::unix_path;
  address.path = "/tmp/" + std::string(200, 'x');
  auto listener = network.listen(address, {}, acceptor);
  REQUIRE_FALSE(listener.has_value());
  CHECK(listener.error().code() == Errc::invalid);
  CHECK(listener.error().text().find("107") != std::string::npos);
  address.path = "/nonexistent-directory/x";
  auto missing = network.listen(address, {}, acceptor);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code() == Errc::not_found);
}

TEST_CASE("a listener may be destroyed while it accepts") {
  struct Once final : AcceptHandler {
    void on_accept(std::unique_ptr<Stream> stream) override {
      kept = std::move(stream);
      listener.reset();
    }
    void on_accept_paused(const Error&) override {}
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> kept;
  };
  UvLoop loop;
  UvNetwork network(loop);
  Once once;
  once.listener = std::move(*network.listen(at("127.0.0.1:0"), {}, once));
  Recorder clients[2];
  for (Recorder& client : clients) {
    client.stream = network.connect(once.listener->address(), client);
  }
  CHECK(run_until(loop, [&] { return once.kept != nullptr; }));
  CHECK(once.listener == nullptr);
}

TEST_CASE("without descriptors accepting pauses, says so once, and goes on by itself") {
  UvLoop loop;
  UvNetwork network(loop);
  Acceptor acceptor;
  auto listener = std::move(*network.listen(at("127.0.0.1:0"), {}, acceptor));
  Recorder client;
  client.stream = network.connect(listener->address(), client);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 3;  // every descriptor above is open already
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK(run_until(loop, [&] { return acceptor.pauses > 0; }));
  CHECK(acceptor.sys == EMFILE);
  std::uint64_t turns = loop.turns();
  run_for(loop, UvListener::kPauseMs + 20);
  CHECK(loop.turns() - turns <= 5);
  CHECK(acceptor.pauses == 1);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(run_until(loop, [&] { return acceptor.handler.stream != nullptr; }));
  CHECK(acceptor.pauses == 1);
}
