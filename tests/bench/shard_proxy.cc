// The shard-proxy's data path without a kernel: so many requests through a pool whose streams are
// memory. Run under callgrind its instruction count is the same every time, so that scripts/budget
// can hold it; wall time says nothing here.
//
//   bench_shard_proxy get|mget|memcached DEPTH TURNS
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "roles/shard_proxy/front.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/turn.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {
namespace {

class MemoryStream final : public io::Stream {
 public:
  void set_handler(io::StreamHandler& handler) override { handler_ = &handler; }
  Result<std::size_t> try_write(std::string_view bytes) override {
    written_.append(bytes);
    return bytes.size();
  }
  void want_writable() override {}
  void pause_reading() override {}
  void resume_reading() override {}
  void shutdown_write() override {}
  io::Peer peer() const override { return {}; }

  void open() { handler_->on_open(); }
  void feed(std::string_view bytes) { handler_->on_data(bytes); }
  std::string& written() { return written_; }

 private:
  io::StreamHandler* handler_ = nullptr;
  std::string written_;
};

class MemoryListener final : public io::Listener {
 public:
  Address address() const override { return {}; }
};

class MemoryNetwork final : public io::Network {
 public:
  Result<std::unique_ptr<io::Listener>> listen(const Address&, io::ListenOptions,
                                               io::AcceptHandler& handler) override {
    acceptor = &handler;
    return std::make_unique<MemoryListener>();
  }
  std::unique_ptr<io::Stream> connect(const Address&, io::StreamHandler& handler,
                                      io::ConnectOptions) override {
    auto stream = std::make_unique<MemoryStream>();
    stream->set_handler(handler);
    servers.push_back(stream.get());
    return stream;
  }

  io::AcceptHandler* acceptor = nullptr;
  std::vector<MemoryStream*> servers;
};

class StillLoop final : public io::Loop {
 public:
  std::uint64_t now_ms() const override { return 1000; }
  std::uint64_t now_ns() const override { return 0; }
  TimerQueue& timers() override { return timers_; }
  void add_turn_hook(io::TurnHook& hook) override { hook_ = &hook; }
  void remove_turn_hook(io::TurnHook&) override {}
  void post(std::function<void()>) override {}
  void stop() override {}
  void end_turn() { hook_->on_turn_end(); }

 private:
  TimerQueue timers_;
  io::TurnHook* hook_ = nullptr;
};

class NoDns final : public io::Dns {
 public:
  std::unique_ptr<io::DnsQuery> resolve(const std::string&, std::chrono::milliseconds,
                                        io::DnsHandler<io::DnsAddress>&) override {
    return nullptr;
  }
  std::unique_ptr<io::DnsQuery> resolve_service(const std::string&, std::chrono::milliseconds,
                                                io::DnsHandler<io::DnsService>&) override {
    return nullptr;
  }
};

class NoFiles final : public io::Files {
 public:
  Result<std::string> read(const std::string& path, std::size_t) override {
    return fail(Errc::not_found, path);
  }
  std::unique_ptr<io::FileWatch> watch(const std::string&, io::FileHandler&) override {
    return nullptr;
  }
};

class NoDisk final : public io::FileSystem {
 public:
  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenFor) override {
    return none(path);
  }
  Result<io::FileStat> stat(const std::string& path) override { return none(path); }
  Result<std::vector<io::DirectoryEntry>> list(const std::string& path) override {
    return none(path);
  }
  Result<std::string> resolve(const std::string& path) override { return none(path); }
  Result<> rename(const std::string& path, const std::string&) override { return none(path); }
  Result<> remove(const std::string& path) override { return none(path); }
  Result<> make_directory(const std::string& path) override { return none(path); }
  Task<Result<>> sync_directory(const std::string& path) override { return fail_later(path); }
  Result<std::uint64_t> free_bytes(const std::string& path) override { return none(path); }
  bool needs_polling(const std::string&) override { return false; }
  Result<std::unique_ptr<io::DirectoryWatch>> watch(const std::string& path,
                                                    io::DirectoryHandler&) override {
    return none(path);
  }

 private:
  static tl::unexpected<Error> none(const std::string& path) { return fail(Errc::not_found, path); }
  static Task<Result<>> fail_later(std::string path) { co_return none(path); }
};

class NoProcesses final : public io::Processes {
 public:
  Result<std::unique_ptr<io::Process>> spawn(const io::Command&, io::ProcessHandler&) override {
    return fail(Errc::not_found, "no processes here");
  }
  Result<> look_for(const io::Command&) const override { return {}; }
};

std::string key(int number) {
  char text[32];
  std::snprintf(text, sizeof text, "key:%012d", number);
  return text;
}

std::string request(std::string_view kind, int number) {
  if (kind == "memcached") return "get " + key(number) + "\r\n";
  std::string out;
  bool is_mget = kind == "mget";
  resp::append_array_header(out, is_mget ? 11 : 2);
  resp::append_bulk(out, is_mget ? "MGET" : "GET");
  for (int i = 0; i < (is_mget ? 10 : 1); ++i) resp::append_bulk(out, key(number * 10 + i));
  return out;
}

// What a server with every key would answer.
std::string answer(std::string_view kind, std::string_view written) {
  std::string out;
  if (kind == "memcached") {
    while (!written.empty()) {
      std::string_view line = written.substr(0, written.find('\n') + 1);
      out += "VALUE " + std::string(line.substr(4, line.size() - 6)) + " 0 3\r\nxxx\r\nEND\r\n";
      written.remove_prefix(line.size());
    }
    return out;
  }
  resp::RequestParser parser;
  while (!written.empty() && parser.parse(written) == resp::Progress::done) {
    if (kind == "mget") resp::append_array_header(out, parser.argc() - 1);
    for (std::size_t i = 1; i < parser.argc(); ++i) resp::append_bulk(out, "xxx");
    written.remove_prefix(parser.size());
    parser.reset();
  }
  return out;
}

int run(std::string_view kind, int depth, int turns) {
  StillLoop loop;
  MemoryNetwork network;
  NoDns dns;
  NoFiles files;
  NoDisk disk;
  NoProcesses processes;
  Random random(1);
  Registry metrics;
  CheckBoard checks;
  Logger::World silence{[](void*, std::string_view) {}, [](void*) { return std::int64_t{0}; },
                        nullptr};
  Logger log(silence, {});
  Services services{loop, network, dns, files, disk, processes, random, metrics, checks, log};
  PoolConfig config;
  config.learn_commands = false;
  config.protocol = kind == "memcached" ? Protocol::memcached : Protocol::redis;
  config.listen.push_back({.host = "127.0.0.1", .port = 1});
  for (int i = 1; i <= 4; ++i) {
    config.servers.push_back(*ServerSpec::parse("10.0.0." + std::to_string(i) + ":6379"));
  }
  Turn turn(loop);
  Pool pool(services, config, turn);
  auto front = Front::open(services, config.listen.front(), pool);
  if (!front) return 1;
  pool.start();
  for (MemoryStream* server : network.servers) {
    server->open();
    loop.end_turn();
    server->feed(kind == "memcached" ? "VERSION 1.6.18\r\n" : "+OK\r\n");
    server->written().clear();
  }
  auto stream = std::make_unique<MemoryStream>();
  MemoryStream& client = *stream;
  network.acceptor->on_accept(std::move(stream));

  std::size_t replied = 0;
  std::string batch;
  for (int i = 0; i < turns; ++i) {
    batch.clear();
    for (int j = 0; j < depth; ++j) batch += request(kind, (i * depth + j) % 10'000);
    client.feed(batch);
    loop.end_turn();
    for (MemoryStream* server : network.servers) {
      std::string reply = answer(kind, server->written());
      server->written().clear();
      if (!reply.empty()) server->feed(reply);
    }
    loop.end_turn();
    replied += client.written().size();
    client.written().clear();
  }
  std::printf("%zu\n", replied);
  return replied == 0 ? 1 : 0;
}

}  // namespace
}  // namespace consort::shard_proxy

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  return consort::shard_proxy::run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]));
}
