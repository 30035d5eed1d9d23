// The simulator is what others trust, so it has tests of its own.
#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "recorder.hpp"
#include "sim/world.hpp"

using namespace consort;
using namespace consort::sim;
using namespace consort::test;

TEST_CASE("virtual time jumps from event to event and runs them in order") {
  SimLoop loop;
  std::string order;
  loop.after(20, [&] { order += "c"; });
  loop.after(10, [&] { order += "a"; });
  loop.after(10, [&] { order += "b"; });
  loop.post([&] { order += "0"; });
  std::uint64_t start = loop.now_ms();
  loop.settle();
  CHECK(order == "0");
  CHECK(loop.now_ms() == start);
  loop.run_for(15);
  CHECK(order == "0ab");
  CHECK(loop.now_ms() == start + 15);
  CHECK(loop.run_until([&] { return order.size() == 4; }, 100));
  CHECK(loop.now_ms() == start + 20);
}

TEST_CASE("a connection is opened, answered and ended in that order") {
  World world;
  SimServer& server = world.network.serve("10.0.0.1:80");
  server.on_data = [](SimPeer& peer) {
    if (peer.take() == "ping") peer.send("pong");
  };
  Recorder code;
  code.stream = world.network.connect(at("10.0.0.1:80"), code);
  CHECK(code.log.empty());
  CHECK(*code.stream->try_write("early") == 0);
  world.loop.settle();
  CHECK(code.log == "open;");
  CHECK(*code.stream->try_write("ping") == 4);
  CHECK(code.data.empty());
  world.loop.settle();
  CHECK(code.data == "pong");
  server.last().close();
  world.loop.settle();
  CHECK(code.log == "open;end:closed;");
  CHECK_FALSE(code.stream->try_write("x").has_value());
}

TEST_CASE("latency is paid in each direction") {
  World world(1, {.latency_ms = 5});
  SimServer& server = world.network.serve("10.0.0.1:80");
  Recorder code;
  code.stream = world.network.connect(at("10.0.0.1:80"), code);
  world.loop.run_for(9);
  CHECK(code.log.empty());
  world.loop.run_for(1);
  CHECK(code.log == "open;");
  server.last().send("x");
  world.loop.run_for(4);
  CHECK(code.data.empty());
  world.loop.run_for(1);
  CHECK(code.data == "x");
}

TEST_CASE("connects can be refused, hang, or find nobody") {
  World world;
  SimServer& server = world.network.serve("10.0.0.1:80");
  server.refuse_next(1);
  server.hang_next(1);
  Recorder codes[3];
  for (Recorder& code : codes) {
    code.stream = world.network.connect(at("10.0.0.1:80"), code);
    world.loop.settle();
  }
  CHECK(codes[0].log.empty());
  CHECK(codes[1].log == "end:refused;");
  CHECK(codes[2].log == "open;");
  CHECK(server.attempts() == 3);
  CHECK(server.connections() == 1);
  Recorder lost;
  lost.stream = world.network.connect(at("10.0.0.9:80"), lost);
  world.loop.settle();
  CHECK(lost.log == "end:refused;");
}

TEST_CASE("a peer that stalls fills the window, and taking bytes makes it writable") {
  World world(1, {.window_bytes = 10});
  SimServer& server = world.network.serve("10.0.0.1:80");
  Recorder code;
  code.stream = world.network.connect(at("10.0.0.1:80"), code);
  world.loop.settle();
  server.last().stall();
  CHECK(*code.stream->try_write("0123456789abc") == 10);
  CHECK(*code.stream->try_write("abc") == 0);
  code.stream->want_writable();
  world.loop.settle();
  CHECK(code.log == "open;");
  server.last().resume();
  world.loop.settle();
  CHECK(code.log == "open;writable;");
  CHECK(server.last().take() == "0123456789");
}

TEST_CASE("paused reading holds bytes and the end back") {
  World world;
  SimServer& server = world.network.serve("10.0.0.1:80");
  Recorder code;
  code.stream = world.network.connect(at("10.0.0.1:80"), code);
  world.loop.settle();
  code.stream->pause_reading();
  server.last().send("abc");
  server.last().close();
  world.loop.settle();
  CHECK(code.data.empty());
  CHECK(server.last().unread_bytes() == 3);
  code.stream->resume_reading();
  CHECK(code.data.empty());
  world.loop.settle();
  CHECK(code.data == "abc");
  CHECK(code.log == "open;end:closed;");
}

TEST_CASE("after a half-close the code may still answer") {
  World world;
  Acceptor acceptor;
  auto listener = std::move(*world.network.listen(at("127.0.0.1:80"), {}, acceptor));
  SimPeer& client = world.network.connect_client("127.0.0.1:80");
  client.send("get");
  client.shutdown_write();
  world.loop.settle();
  CHECK(acceptor.handler.log == "end:closed;");
  CHECK(*acceptor.handler.stream->try_write("answer") == 6);
  acceptor.handler.stream.reset();
  world.loop.settle();
  CHECK(client.received() == "answer");
  CHECK(client.ended());
}

TEST_CASE("a stream may be destroyed inside its own calls") {
  World world;
  SimServer& server = world.network.serve("10.0.0.1:80");
  Recorder code;
  code.drop_on_data = true;
  code.stream = world.network.connect(at("10.0.0.1:80"), code);
  world.loop.settle();
  server.last().send("a");
  server.last().send("b");
  world.loop.settle();
  CHECK(code.data == "a");
  CHECK(server.last().ended());
  CHECK_FALSE(server.last().connected());
}

TEST_CASE("split deliveries carry the same bytes, cut the same way for the same seed") {
  auto run = [](std::uint64_t seed) {
    World world(seed, {.latency_ms = 1, .jitter_ms = 3, .split = true});
    SimServer& server = world.network.serve("10.0.0.1:80");
    Recorder code;
    code.stream = world.network.connect(at("10.0.0.1:80"), code);
    world.loop.run_for(10);
    std::string text(10'000, 'x');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
    server.last().send(text);
    world.loop.run_for(1000);
    CHECK(code.data == text);
    return code.deliveries;
  };
  CHECK(run(3) == run(3));
  CHECK(run(3) > 2);
}

TEST_CASE("listeners choose ports, refuse a second owner and vanish with their object") {
  World world;
  Acceptor acceptor;
  auto listener = std::move(*world.network.listen(at("127.0.0.1:0"), {}, acceptor));
  std::string address = listener->address().to_string();
  CHECK(world.network.listening(address));
  CHECK_FALSE(world.network.listen(listener->address(), {}, acceptor).has_value());
  world.network.pause_accepting(address);
  CHECK(acceptor.sys == 24);
  listener.reset();
  CHECK_FALSE(world.network.listening(address));
}

TEST_CASE("names come from the table, late, and forgotten questions stay unanswered") {
  World world;
  world.dns.set("a.local", {{.ip = "10.0.0.1", .ttl_s = 5}});
  world.dns.set_silent("slow.local");
  Answer<io::DnsAddress> found;
  Answer<io::DnsAddress> missing;
  Answer<io::DnsAddress> slow;
  Answer<io::DnsAddress> forgotten;
  auto first = world.dns.resolve("a.local", std::chrono::milliseconds(100), found);
  auto second = world.dns.resolve("b.local", std::chrono::milliseconds(100), missing);
  auto third = world.dns.resolve("slow.local", std::chrono::milliseconds(100), slow);
  auto fourth = world.dns.resolve("a.local", std::chrono::milliseconds(100), forgotten);
  fourth.reset();
  CHECK(found.records.empty());
  world.loop.settle();
  REQUIRE(found.records.size() == 1);
  CHECK(found.records[0].ip == "10.0.0.1");
  CHECK(missing.error == Errc::not_found);
  CHECK(forgotten.records.empty());
  CHECK_FALSE(slow.error.has_value());
  world.loop.run_for(100);
  CHECK(slow.error == Errc::timed_out);
  CHECK(world.dns.questions("a.local") == 2);
}
