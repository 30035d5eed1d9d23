// A role for the tests of the management layer: told over TCP, it blocks its own loop, fails its
// check, ends or dies. Commands, one per connection:
//
//   block MS    sleeps in the loop's thread     check pass|fail    sets the check "backend"
//   end         run() returns without error     die                run() returns an error
#include <poll.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "manage/runtime.hpp"

namespace consort {
namespace {

struct StallOptions {
  Address listen;
  Millis drain_time{0};
  Millis start_time{0};
  std::string greeting = "hello";
  std::string note;
};

constexpr Option kOptions[] = {
    option<&StallOptions::listen>("listen", "where commands arrive", kRequired),
    option<&StallOptions::drain_time>("drain-time", "how long a drain takes"),
    option<&StallOptions::start_time>("start-time", "how long the start takes"),
    option<&StallOptions::greeting>("greeting", "what each connection is told first", kReload),
    option<&StallOptions::note>("note", "a value that needs a restart"),
};

constexpr AdminPage kPages[] = {{"GET", "/greet", "the greeting; ?who=NAME"}};

class StallConfig final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override { return {{kOptions, &options}}; }
  StallOptions options;
};

class StallRole final : public Role, private io::AcceptHandler {
 public:
  StallRole(const Services& services, const RoleConfig& config)
      : services_(services), options_(static_cast<const StallConfig&>(config).options) {}

  Task<Result<>> start() override {
    if (options_.start_time.count() > 0) {
      co_await sleep_until(services_.loop.timers(), after(options_.start_time));
    }
    auto listener = services_.network.listen(options_.listen, {}, *this);
    if (!listener) co_return fail(std::move(listener.error()));
    listener_ = std::move(*listener);
    services_.checks.set("backend", Health::pass, "told so");
    co_return Result<>{};
  }

  Task<Result<>> run() override {
    co_await over_.wait();
    if (dies_) co_return fail(Errc::internal, "told to die");
    co_return Result<>{};
  }

  Task<> drain(std::uint64_t) override {
    listener_.reset();
    if (options_.drain_time.count() == 0) co_return;
    co_await sleep_until(services_.loop.timers(), after(options_.drain_time));
  }

  Result<std::string> would_reload(const RoleConfig& config) const override {
    return "greet with " + static_cast<const StallConfig&>(config).options.greeting;
  }
  AdminAnswer ask(const AdminQuestion& question) override {
    AdminAnswer answer;
    answer.body = options_.greeting + " " + question.query_value("who") + "\n";
    return answer;
  }
  Result<> reload(const RoleConfig& config) override {
    options_.greeting = static_cast<const StallConfig&>(config).options.greeting;
    return {};
  }

 private:
  class Client final : public io::StreamHandler {
   public:
    Client(StallRole& role, std::unique_ptr<io::Stream> stream)
        : role_(role), stream_(std::move(stream)) {
      stream_->set_handler(*this);
      (void)stream_->try_write(role_.options_.greeting + "\n");
    }
    void on_data(std::string_view bytes) override { role_.obey(bytes); }
    void on_writable() override {}
    void on_end(const Error&) override { role_.forget(this); }

   private:
    StallRole& role_;
    std::unique_ptr<io::Stream> stream_;
  };

  std::uint64_t after(Millis wait) const {
    return services_.loop.now_ms() + static_cast<std::uint64_t>(wait.count());
  }

  void on_accept(std::unique_ptr<io::Stream> stream) override {
    clients_.push_back(std::make_unique<Client>(*this, std::move(stream)));
  }
  void on_accept_paused(const Error&) override {}

  void forget(const Client* client) {
    std::erase_if(clients_, [client](const auto& each) { return each.get() == client; });
  }

  void block(int wait_ms) const {
    // A signal cuts poll() short; a loop that hangs does not care about signals.
    const std::uint64_t end_ns =
        services_.loop.now_ns() + static_cast<std::uint64_t>(wait_ms) * 1'000'000;
    while (services_.loop.now_ns() < end_ns) ::poll(nullptr, 0, 10);
  }

  void obey(std::string_view command) {
    while (!command.empty() && command.back() <= ' ') command.remove_suffix(1);
    constexpr std::string_view kBlock = "block ";
    if (command.starts_with(kBlock)) {
      int wait_ms = 0;
      std::from_chars(command.data() + kBlock.size(), command.data() + command.size(), wait_ms);
      block(wait_ms);
    } else if (command == "check fail" || command == "check pass") {
      const bool passes = command == "check pass";
      services_.checks.set("backend", passes ? Health::pass : Health::fail, "told so");
    } else if (command == "end" || command == "die") {
      dies_ = command == "die";
      over_.set();
    }
  }

  Services services_;
  StallOptions options_;
  std::unique_ptr<io::Listener> listener_;
  std::list<std::unique_ptr<Client>> clients_;
  Event over_;
  bool dies_ = false;
};

constexpr RoleSpec kStallSpec = {
    .group = "",
    .name = "stall",
    .summary = "hangs on request",
    .examples = "",
    .admin_port = 0,
    .make_config = [] { return std::unique_ptr<RoleConfig>(std::make_unique<StallConfig>()); },
    .make =
        [](const Services& services, const RoleConfig& config) {
          return std::unique_ptr<Role>(std::make_unique<StallRole>(services, config));
        },
    .pages = kPages,
};

ConfigSources sources_of(int argc, char** argv) {
  ConfigSources sources;
  for (int i = 1; i + 1 < argc; i += 2) {
    sources.flags.push_back({.name = std::string(argv[i]).substr(2), .value = argv[i + 1]});
  }
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  };
  sources.read_file = [](const std::string& path) -> Result<std::string> {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(Errc::not_found, path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  return sources;
}

}  // namespace
}  // namespace consort

int main(int argc, char** argv) {
  using namespace consort;
  ConfigSources sources = sources_of(argc, argv);
  Problems problems;
  LoadedConfig loaded = load_config(kStallSpec, sources, problems);
  for (const std::string& error : problems.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  if (!problems.ok()) return 78;
  return run_role(kStallSpec, std::move(loaded), std::move(sources));
}
