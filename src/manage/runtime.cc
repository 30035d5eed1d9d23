#include "manage/runtime.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "async/scope.hpp"
#include "io/dns/cares.hpp"
#include "io/uv/file_system.hpp"
#include "io/uv/files.hpp"
#include "io/uv/loop.hpp"
#include "io/uv/network.hpp"
#include "io/uv/process.hpp"
#include "io/uv/signals.hpp"
#include "manage/admin.hpp"
#include "manage/admin_host.hpp"
#include "manage/clock.hpp"
#include "manage/lifecycle.hpp"
#include "manage/log_sink.hpp"
#include "manage/loop_watch.hpp"
#include "manage/probe.hpp"
#include "manage/process_metrics.hpp"
#include "manage/startup_pages.hpp"
#include "manage/supervisor.hpp"

#ifndef CONSORT_VERSION
#define CONSORT_VERSION "unknown"
#endif

namespace consort {

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUnavailable = 69;
constexpr int kExitSignal = 128;

/// Started with a closed stderr, the first descriptor opened would take its place: log lines would
/// go into the loop's own pipe or to a client.
void reserve_standard_descriptors() {
  for (;;) {
    int fd = ::open("/dev/null", O_RDWR);
    // An image without /dev: a socket without a peer refuses what is written to it.
    if (fd < 0) fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd > STDERR_FILENO) ::close(fd);
    if (fd < 0 || fd > STDERR_FILENO) return;
  }
}

/// libuv aborts when it finds no descriptors for its signals, so this is asked before.
bool has_enough_descriptors() {
  constexpr rlim_t kDescriptorsMin = 32;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kDescriptorsMin) return true;
  std::fprintf(stderr,
               "consort: the limit of open files is %ju, and at least %ju are needed; raise it "
               "(ulimit -n)\n",
               static_cast<std::uintmax_t>(limit.rlim_cur),
               static_cast<std::uintmax_t>(kDescriptorsMin));
  return false;
}

/// The soft limit is 1024 for the sake of programs that use select(); a root with a thousand
/// leaves, or a proxy with as many clients, needs more. Bounded, since children inherit it, and
/// some go through all descriptors at their start.
void raise_descriptor_limit() {
  constexpr rlim_t kDescriptorsWanted = 65'536;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kDescriptorsWanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, kDescriptorsWanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// From here on the exit code stands: a signal that finds its handler gone would replace it.
void block_stop_signals() {
  sigset_t signals{};
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void write_line(void* sink, std::string_view line) {
  static_cast<LogSink*>(sink)->write(line);
}

std::int64_t wall_ms(void*) {
  return system_moment().wall_ms;
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

/// `auto` is for people on a terminal and for machines everywhere else (no-color.org).
Logger::Options log_options(const ManageConfig& manage, const RoleSpec& spec) {
  const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
  const char* term = std::getenv("TERM");
  const bool is_dumb = term != nullptr && std::string_view(term) == "dumb";
  Logger::Options options;
  options.level = manage.log_level;
  options.format = manage.log_format;
  if (options.format == LogFormat::automatic) {
    options.format = is_terminal ? LogFormat::pretty : LogFormat::json;
  }
  options.color = is_terminal && !is_dumb && !is_set("NO_COLOR");
  options.role = std::string(spec.name);
  options.name = manage.name;
  return options;
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) == sizeof seed) return seed;
  return system_moment().mono_ms;  // only jitter and placement depend on it
}

Identity identity_of(const RoleSpec& spec, const ManageConfig& manage) {
  return {.role = std::string(spec.name),
          .name = manage.name.empty() ? std::string(spec.name) : manage.name,
          .hostname = host_name(),
          .version = CONSORT_VERSION};
}

/// Everything of one process, in the order in which it may be destroyed backwards.
class Process {
 public:
  Process(const RoleSpec& spec, LoadedConfig loaded, ConfigSources sources);
  int run();

 private:
  static LoopGauges gauges_of(io::UvLoop& loop);
  Admin::Parts admin_parts();

  const RoleSpec& spec_;
  const ManageConfig manage_;
  const Identity identity_;
  LogSink stderr_{STDERR_FILENO};
  Logger log_;
  Registry metrics_;
  CheckBoard checks_;
  ConfigStore config_;
  Lifecycle lifecycle_;
  LatencyHistogram& turns_;
  Random random_;
  io::UvLoop loop_;
  LoopWatch watch_;
  io::UvNetwork network_;
  io::CaresDns dns_;
  io::UvFiles files_;
  io::UvFileSystem disk_;
  io::UvProcesses processes_;
  AdminHost host_;
  Supervisor supervisor_;
  Admin admin_;
};

Process::Process(const RoleSpec& spec, LoadedConfig loaded, ConfigSources sources)
    : spec_(spec),
      manage_(loaded.manage),
      identity_(identity_of(spec, manage_)),
      log_({.write = write_line, .wall_ms = wall_ms, .context = &stderr_},
           log_options(manage_, spec)),
      lifecycle_(system_moment),
      turns_(metrics_.histogram("consort_loop_lag_seconds",
                                "How long turns of the role's loop took.")),
      random_(random_seed()),
      watch_(gauges_of(loop_)),
      network_(loop_),
      dns_(loop_),
      files_(loop_),
      disk_(loop_),
      processes_(loop_),
      host_(log_),
      supervisor_({.spec = spec,
                   .services = {.loop = loop_,
                                .network = network_,
                                .dns = dns_,
                                .files = files_,
                                .disk = disk_,
                                .processes = processes_,
                                .random = random_,
                                .metrics = metrics_,
                                .checks = checks_,
                                .log = log_},
                   .lifecycle = lifecycle_,
                   .config_view = config_,
                   .sources = std::move(sources),
                   .clock = system_moment,
                   .on_stop = [this](std::uint64_t at_ms) { host_.end_by(at_ms); }},
                  std::move(loaded)),
      admin_(admin_parts()) {
  loop_.set_turn_histogram(&turns_);
  add_process_metrics(metrics_);
  metrics_.counter_fn("consort_log_lines_lost_total",
                      "Log lines that nobody took: stderr was full or closed.", {},
                      [this] { return static_cast<double>(stderr_.lost()); });
  // By the role's loop, since the line that tells would wait for the one that is being written.
  stderr_.on_recovered([this](std::uint64_t lost) {
    loop_.post([this, lost] {
      log_.warn("log.lines_lost", {{"lines", lost}, {"hint", "the reader of stderr is too slow"}});
    });
  });
  add_lifecycle_metrics(metrics_, lifecycle_, watch_, identity_.role, identity_.version);
  lifecycle_.set_listener([this](const Transition& made) {
    log_.info("state", {{"from", to_string(made.from)},
                        {"to", to_string(made.to)},
                        {"cause", made.cause},
                        {"seq", made.seq}});
    host_.tell_transition();
    if (made.to == State::ready) release_startup_pages();
  });
  host_.attach(admin_, supervisor_, metrics_, manage_.grace);
}

LoopGauges Process::gauges_of(io::UvLoop& loop) {
  return {.now_ns = [&loop] { return loop.now_ns(); },
          .busy_since_ns = [&loop] { return loop.busy_since_ns(); },
          .busy_ns = [&loop] { return loop.busy_ns(); },
          .turns = [&loop] { return loop.turns(); }};
}

Admin::Parts Process::admin_parts() {
  std::vector<std::string> hosts = manage_.admin_host;
  hosts.push_back(identity_.hostname);
  return {.identity = identity_,
          .loop = host_.loop(),
          .lifecycle = lifecycle_,
          .checks = checks_,
          .metrics = metrics_,
          .log = log_,
          .watch = watch_,
          .turns = turns_,
          .config = config_,
          .control = supervisor_,
          .clock = system_moment,
          .grace = manage_.grace,
          .stall_limit = manage_.stall_limit,
          .token_file = manage_.admin_token_file,
          .hosts = std::move(hosts),
          .pages = spec_.pages};
}

int Process::run() {
  log_.info("start", {{"version", identity_.version}, {"pid", ::getpid()}});
  Result<> listening = host_.listen(manage_, spec_.admin_port, identity_);
  if (listening) listening = host_.watch_signals(spec_.usr1_page);
  if (!listening) {
    log_.error("start.failed", {{"error", listening.error().message()}});
    return kExitUnavailable;
  }
  TokenFile token(manage_.admin_token_file);
  if (token.configured() && token.token().empty()) {
    log_.warn("admin.no_token", {{"file", manage_.admin_token_file},
                                 {"hint", "no bearer token is right until the file has one"}});
  }
  std::thread admin_thread;
  try {
    admin_thread = std::thread([this] { host_.run(); });
  } catch (const std::system_error& error) {
    log_.error("start.failed", {{"error", "cannot create a thread: " + error.code().message()},
                                {"hint", "raise the limit of processes (ulimit -u, pids.max)"}});
    return kExitUnavailable;
  }
  supervisor_.begin();
  loop_.run();
  host_.finish();
  admin_thread.join();
  block_stop_signals();
  host_.close();
  log_.flush();
  return supervisor_.exit_code();
}

/// A command that does its work and ends: nobody to manage it but the shell that waits for it.
class Job final : io::SignalHandler {
 public:
  Job(const RoleSpec& spec, LoadedConfig loaded);
  int run();

 private:
  void on_signal(int number) override;
  Task<> work();

  const LoadedConfig loaded_;
  LogSink stderr_{STDERR_FILENO};
  Logger log_;
  Registry metrics_;
  CheckBoard checks_;
  Random random_;
  io::UvLoop loop_;
  io::UvNetwork network_;
  io::CaresDns dns_;
  io::UvFiles files_;
  io::UvFileSystem disk_;
  io::UvProcesses processes_;
  io::UvSignals signals_;
  std::unique_ptr<Role> role_;
  int exit_code_ = kExitUnavailable;
  TaskScope work_;
};

Job::Job(const RoleSpec& spec, LoadedConfig loaded)
    : loaded_(std::move(loaded)),
      log_({.write = write_line, .wall_ms = wall_ms, .context = &stderr_},
           log_options(loaded_.manage, spec)),
      random_(random_seed()),
      network_(loop_),
      dns_(loop_),
      files_(loop_),
      disk_(loop_),
      processes_(loop_),
      signals_(loop_) {
  const Services services{.loop = loop_,
                          .network = network_,
                          .dns = dns_,
                          .files = files_,
                          .disk = disk_,
                          .processes = processes_,
                          .random = random_,
                          .metrics = metrics_,
                          .checks = checks_,
                          .log = log_};
  role_ = spec.make(services, *loaded_.role);
}

int Job::run() {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    if (Result<> watched = signals_.watch(number, *this); watched) continue;
    std::fprintf(stderr, "consort: cannot watch signals\n");
    return kExitUnavailable;
  }
  work_.spawn(work());
  loop_.run();
  block_stop_signals();
  // Children of work that a signal has cut short are killed by this.
  work_.cancel();
  role_.reset();
  log_.flush();
  return exit_code_;
}

Task<> Job::work() {
  Result<> done = co_await role_->start();
  if (done) {
    exit_code_ = kExitFailed;
    done = co_await role_->run();
  }
  if (done) {
    exit_code_ = role_->exit_code();
  } else {
    // To whoever typed the command, not into a log.
    std::fprintf(stderr, "consort: %s\n", done.error().message().c_str());
  }
  loop_.stop();
}

void Job::on_signal(int number) {
  exit_code_ = kExitSignal + number;
  loop_.stop();
}

}  // namespace

int run_role(const RoleSpec& spec, LoadedConfig loaded, ConfigSources sources) {
  reserve_standard_descriptors();
  if (!has_enough_descriptors()) return kExitUnavailable;
  raise_descriptor_limit();
  // Two threads that hardly allocate at the same time: one arena halves the resident memory.
  ::mallopt(M_ARENA_MAX, 1);
  if (spec.is_job) {
    Job job(spec, std::move(loaded));
    return job.run();
  }
  Process process(spec, std::move(loaded), std::move(sources));
  return process.run();
}

}  // namespace consort
