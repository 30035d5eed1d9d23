#include "roles/logsaver/role.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "async/try.hpp"
#include "io/own_process.hpp"
#include "manage/clock.hpp"
#include "manage/probe.hpp"
#include "net/lazy_tls.hpp"
#include "roles/logsaver/admin_pages.hpp"
#include "roles/logsaver/config.hpp"
#include "roles/logsaver/facts.hpp"
#include "roles/logsaver/heap.hpp"
#include "roles/logsaver/replay.hpp"
#include "roles/logsaver/saver.hpp"
#include "roles/logsaver/scavenger.hpp"
#include "roles/logsaver/sinks/make_sink.hpp"
#include "roles/logsaver/sinks/stream_sinks.hpp"
#include "roles/logsaver/standard_input.hpp"
#include "roles/logsaver/state/journal.hpp"
#include "roles/logsaver/status.hpp"

namespace consort::logsaver {
namespace {

constexpr int kExitLost = 74;
constexpr int kExitFailed = 1;
constexpr std::uint64_t kCheckMs = 1'000;
constexpr std::uint64_t kDrainPollMs = 10;
constexpr std::size_t kPressureBytesMax = 4096;
constexpr std::size_t kLeastOpenFiles = 64;
constexpr std::size_t kMostOpenFiles = 65'536;

/// Half of the descriptors that we have.
std::size_t open_files_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kLeastOpenFiles;
  return std::clamp<std::size_t>(limit.rlim_cur / 2, kLeastOpenFiles, kMostOpenFiles);
}

AdminAnswer not_while_replaying() {
  AdminAnswer answer;
  answer.status = 409;
  answer.body = "--replay: nothing is followed\n";
  return answer;
}

class Logsaver final : public Role {
 public:
  Logsaver(const Services& services, const LogsaverConfig& config)
      : services_(services),
        config_(config),
        host_(config.host.empty() ? host_name() : config.host),
        check_timer_(
            services.loop.timers(), [](void* self) { static_cast<Logsaver*>(self)->check(); },
            this) {}

  Task<Result<>> start() override;
  Task<Result<>> run() override;
  Task<> drain(std::uint64_t deadline_ms) override;
  Result<> reload(const RoleConfig&) override { return {}; }
  AdminAnswer ask(const AdminQuestion& question) override;
  int exit_code() const override;

 private:
  SinkWorld sink_world();
  Result<> make_deliveries();
  Task<Result<>> start_replay();
  Task<Result<>> run_replay();
  Result<> open_input();
  TailFacts facts_of(const FactRules& rules, const TailRecord& tail) const;
  void tell_nothing_is_there();
  void start_scavenger();
  void pause();
  bool is_done() const;
  void check();
  /// A destination needs a person, whom a `--once` does not wait for.
  bool is_stuck() const {
    return std::ranges::any_of(saver_->deliveries(),
                               [](const auto& each) { return each->is_held(); });
  }
  bool must_finish() const { return config_.once || config_.standard_input || replay_; }
  std::uint64_t lost_bytes() const;

  const Services services_;
  const LogsaverConfig& config_;
  const std::string host_;
  LazyTls tls_;
  std::unique_ptr<StandardInput> input_;
  std::string input_prefix_;  ///< of input_'s paths, also of an earlier process
  std::optional<Replay> replay_;
  std::optional<Scavenger> scavenger_;
  bool is_paused_ = false;    ///< by the admin interface
  bool is_yielding_ = false;  ///< by scavenger_
  std::uint64_t yielding_at_ms_ = 0;
  std::uint64_t yielded_ms_ = 0;  ///< until yielding_at_ms_
  bool is_run_over_ = false;
  std::optional<Selection> selection_;
  RecordRules rules_;
  std::unique_ptr<Journal> journal_;
  std::optional<DeadLetters> dead_letters_;
  std::vector<char> buffer_;
  std::unique_ptr<Saver> saver_;
  std::optional<Status> status_;
  Heap heap_;
  Event idle_;
  Timer check_timer_;
};

Task<Result<>> Logsaver::start() {
  if (config_.scavenger) lower_priorities(services_.log);
  co_await try_(config_.fill(rules_));
  if (config_.has_state()) {
    auto opened = Journal::open(services_.disk, config_.state_dir, services_.random);
    if (!opened) co_return fail(std::move(opened.error()).in("--state-dir"));
    journal_ = std::move(*opened);
  } else {
    journal_ = Journal::volatile_one(services_.random);
  }
  if (config_.replay) co_return co_await start_replay();
  co_await try_(open_input());
  std::array<char, 4096> here{};
  const char* directory = ::getcwd(here.data(), here.size());
  auto selection =
      config_.selection(directory == nullptr ? "/" : directory, input_ ? input_->glob() : "");
  if (!selection) co_return fail(std::move(selection.error()));
  selection_ = std::move(*selection);
  dead_letters_.emplace(services_.disk, config_.has_state() ? config_.state_dir + "/dead" : "");
  FollowSettings follow;
  follow.poll = config_.poll;
  follow.from_end = config_.from == StartFrom::end && !input_;
  follow.rotate_wait_ms = static_cast<std::uint64_t>(config_.rotate_wait.count());
  follow.spool_bytes_max = config_.spool_max.bytes;
  follow.open_files_max = open_files_max();
  saver_ = std::make_unique<Saver>(
      Follower::World{services_.loop, services_.disk, *journal_, services_.log}, *selection_,
      follow);
  co_await try_(make_deliveries());
  for (const auto& delivery : saver_->deliveries()) {
    auto opened = co_await delivery->open();
    if (!opened) {
      co_return fail(std::move(opened.error()).in("--sink " + delivery->sink().name()));
    }
  }
  co_await try_(saver_->start());
  if (input_) {
    input_->start();
  } else if (saver_->follower().tails().empty()) {
    tell_nothing_is_there();
  }
  if (config_.scavenger) start_scavenger();
  status_.emplace(services_.checks, services_.metrics, *saver_, rules_);
  check();
  co_return Result<>();
}

SinkWorld Logsaver::sink_world() {
  return {.loop = services_.loop,
          .network = services_.network,
          .dns = services_.dns,
          .disk = services_.disk,
          .files = services_.files,
          .random = services_.random,
          .log = services_.log,
          .tls = [this] { return tls_.make(config_.tls, services_.log); },
          .wall_ms = [] { return system_moment().wall_ms; },
          .write_stdout = descriptor_writer(STDOUT_FILENO),
          .environment = io::environment,
          .host = host_,
          .invalid_utf8 = config_.invalid_utf8};
}

Result<> Logsaver::make_deliveries() {
  auto urls = config_.sinks();
  if (!urls) return fail(std::move(urls.error()));
  DeliverySettings settings;
  settings.silence_ms = static_cast<std::uint64_t>(config_.multiline_timeout.count());
  settings.retry_base_ms = static_cast<std::uint64_t>(config_.retry_base.count());
  settings.retry_cap_ms = static_cast<std::uint64_t>(config_.retry_cap.count());
  settings.ends_partial_lines = config_.once && !input_;
  const SinkWorld world = sink_world();
  const FactRules facts{config_.labels(), host_, config_.kubernetes};
  const std::size_t line_bytes = rules_.assembler.line_bytes_max();
  buffer_.resize(kEndCheckBytes + 2 * line_bytes + 4096);
  for (const SinkUrl& url : *urls) {
    auto sink = make_sink(url, world);
    if (!sink) return fail(std::move(sink.error()));
    auto index = journal_->add_sink((*sink)->name());
    if (!index) return fail(std::move(index.error()));
    settings.record_settings = config_.record_settings(host_) + url.body_settings();
    saver_->add(std::make_unique<Delivery>(
        DeliveryWorld{
            .loop = services_.loop,
            .random = services_.random,
            .log = services_.log,
            .journal = *journal_,
            .dead_letters = *dead_letters_,
            .wall_ms = world.wall_ms,
            .facts = [this, facts](const Tail& tail) { return facts_of(facts, tail.record); },
            .buffer = buffer_},
        settings, rules_, std::move(*sink), *index));
  }
  return {};
}

TailFacts Logsaver::facts_of(const FactRules& rules, const TailRecord& tail) const {
  TailRecord named = tail;
  const bool is_input = !input_prefix_.empty() && tail.origin.starts_with(input_prefix_);
  if (is_input) named.origin = StandardInput::kOrigin;
  return make_facts(rules, journal_->ledger().state_id(), named);
}

Result<> Logsaver::open_input() {
  // Its files of an earlier process are told by their paths, whether it is wanted now or not.
  auto real = config_.has_state() ? services_.disk.resolve(config_.state_dir) : std::string();
  if (real && !real->empty()) input_prefix_ = StandardInput::prefix_of(*real + "/stdin");
  if (!config_.standard_input) return {};
  auto input = StandardInput::open(
      {.loop = services_.loop,
       .disk = services_.disk,
       .log = services_.log,
       .read = descriptor_reader(STDIN_FILENO),
       .settled_to = [this](const auto& identity) { return saver_->settled_of(identity); }},
      config_.has_state() ? config_.state_dir : "");
  if (!input) return fail(std::move(input.error()).in("--stdin"));
  input_ = std::move(*input);
  input_prefix_ = input_->prefix();
  return {};
}

/// Where files are still to come that is as it should be, but after a slip it is the first sign.
void Logsaver::tell_nothing_is_there() {
  const std::string_view why = "no file is there that a --path names";
  const std::string_view hint = "--explain PATH says why a file is or is not followed";
  if (config_.once) {
    services_.log.warn("follow.nothing", {{"why", why}, {"hint", hint}});
  } else {
    services_.log.info("follow.nothing_yet", {{"why", why}, {"hint", hint}});
  }
}

void Logsaver::start_scavenger() {
  scavenger_.emplace(
      Scavenger::World{.loop = services_.loop,
                       .log = services_.log,
                       .read_file =
                           [this](const std::string& path) {
                             return services_.files.read(path, kPressureBytesMax);
                           },
                       .is_behind = [this] { return !saver_->is_idle(); },
                       .yield =
                           [this](bool is_yielding) {
                             const std::uint64_t now_ms = services_.loop.now_ms();
                             if (is_yielding_) yielded_ms_ += now_ms - yielding_at_ms_;
                             yielding_at_ms_ = now_ms;
                             is_yielding_ = is_yielding;
                             pause();
                           }},
      ScavengerSettings{.pressure_max = static_cast<double>(config_.scavenger_pressure),
                        .delay_ms = static_cast<std::uint64_t>(config_.scavenger_delay.count())});
  scavenger_->start();
}

void Logsaver::pause() {
  for (const auto& delivery : saver_->deliveries()) delivery->pause(is_paused_ || is_yielding_);
}

Task<Result<>> Logsaver::start_replay() {
  std::vector<SinkUrl> urls = co_await try_(config_.sinks());
  Replay::Settings settings{.retry_base_ms = static_cast<std::uint64_t>(config_.retry_base.count()),
                            .retry_cap_ms = static_cast<std::uint64_t>(config_.retry_cap.count()),
                            .labels = config_.labels()};
  settings.labels.emplace_back("host", host_);
  SinkWorld world = sink_world();
  replay_.emplace(Replay::World{.loop = services_.loop,
                                .disk = services_.disk,
                                .random = services_.random,
                                .log = services_.log,
                                .wall_ms = world.wall_ms},
                  config_.state_dir + "/dead", std::move(settings));
  co_return co_await replay_->open(std::move(urls), std::move(world));
}

Task<Result<>> Logsaver::run_replay() {
  Result<> done = co_await replay_->run();
  is_run_over_ = true;
  co_return done;
}

bool Logsaver::is_done() const {
  // Before it is settled there may be bytes that the follower has not been told of.
  return (!input_ || input_->is_settled()) && saver_->is_idle();
}

Task<Result<>> Logsaver::run() {
  if (replay_) co_return co_await run_replay();
  if (!config_.once && !input_) {
    co_await idle_.wait();  // for ever
    co_return Result<>();
  }
  if (input_) co_await input_->ended();
  while (!is_done()) {
    for (const auto& delivery : saver_->deliveries()) delivery->flush();
    if (is_done() || is_stuck()) break;
    co_await sleep_until(services_.loop.timers(), services_.loop.now_ms() + kDrainPollMs);
  }
  for (const auto& delivery : saver_->deliveries()) {
    const Deadline deadline = Deadline::after(services_.loop.now_ms(), Millis{10'000});
    co_await delivery->close(deadline);
  }
  (void)co_await journal_->commit();
  is_run_over_ = true;
  co_return Result<>();
}

Task<> Logsaver::drain(std::uint64_t deadline_ms) {
  if (scavenger_) scavenger_->stop();
  if (input_ || replay_) {
    // run() comes to its end with what there is.
    if (input_) input_->stop();
    if (replay_) replay_->stop();
    while (!is_run_over_ && services_.loop.now_ms() < deadline_ms) {
      co_await sleep_until(services_.loop.timers(), services_.loop.now_ms() + kDrainPollMs);
    }
    co_return;
  }
  for (const auto& delivery : saver_->deliveries()) delivery->stop_reading();
  while (!saver_->is_settled()) {
    const std::uint64_t now_ms = services_.loop.now_ms();
    if (now_ms >= deadline_ms) break;
    co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, now_ms + kDrainPollMs));
  }
  const Deadline deadline{deadline_ms};
  for (const auto& delivery : saver_->deliveries()) co_await delivery->close(deadline);
  (void)co_await journal_->commit();
}

/// 74 when something was lost or will be, 1 when what was to be finished is not; else all that was
/// read is acknowledged, or will be read again after the next start. Asked when all is over: only
/// then it is known, for a deadline or a second signal drops drain() where it waits.
int Logsaver::exit_code() const {
  if (replay_) {
    const ReplayCounts& counts = replay_->counts();
    return is_run_over_ && counts.refused + counts.left == 0 ? 0 : kExitFailed;
  }
  if (!status_) return must_finish() ? kExitFailed : 0;  // stopped before it has begun
  if (lost_bytes() > 0) return kExitLost;
  if (!must_finish()) return 0;
  const bool is_input_left = input_ && (input_->has_failed() || !input_->is_settled());
  const bool has_rejected = std::ranges::any_of(
      saver_->deliveries(), [](const auto& each) { return each->counters().records_rejected > 0; });
  return is_run_over_ && is_done() && !is_input_left && !has_rejected ? 0 : kExitFailed;
}

/// Tells of what is not told elsewhere.
std::uint64_t Logsaver::lost_bytes() const {
  std::uint64_t lost = saver_->follower().counters().lost_bytes;
  std::uint64_t unsaved = input_ && !config_.has_state() ? input_->unsettled_bytes() : 0;
  for (const auto& delivery : saver_->deliveries()) {
    lost += delivery->counters().lost_bytes;
    if (!config_.has_state()) unsaved += delivery->held_bytes();
  }
  if (unsaved > 0) {
    services_.log.error("end.unsaved", {{"bytes", unsaved},
                                        {"why",
                                         "read, and not acknowledged by every sink; with "
                                         "--state-dir none no later start sends it"}});
  }
  const std::uint64_t unsafe = saver_->follower().unsafe_bytes();
  if (unsafe > 0) {
    services_.log.error(
        "end.unsafe",
        {{"bytes", unsafe}, {"why", "of deleted files, neither saved nor in the spool"}});
  }
  return lost + unsaved + unsafe;
}

void Logsaver::check() {
  const std::uint64_t now_ms = services_.loop.now_ms();
  status_->update(now_ms,
                  {.scavenger = scavenger_ ? &*scavenger_ : nullptr,
                   .input = input_.get(),
                   .throttled_ms = yielded_ms_ + (is_yielding_ ? now_ms - yielding_at_ms_ : 0)});
  std::uint64_t read_bytes = 0;
  for (const auto& each : saver_->deliveries()) read_bytes += each->counters().read_bytes;
  (void)heap_.look(read_bytes);
  check_timer_.arm_at(now_ms + kCheckMs);
}

AdminAnswer Logsaver::ask(const AdminQuestion& question) {
  if (saver_ == nullptr) return not_while_replaying();
  const std::uint64_t now_ms = services_.loop.now_ms();
  if (question.path == "/files") return files_page(*saver_, now_ms);
  if (question.path == "/sinks") return sinks_page(*saver_, now_ms);
  for (const auto& delivery : saver_->deliveries()) {
    if (question.path == "/flush") delivery->flush();
  }
  if (question.path == "/pause" || question.path == "/resume") {
    is_paused_ = question.path == "/pause";
    pause();
  }
  if (question.path == "/scan") saver_->follower().scan();
  AdminAnswer answer;
  answer.status = 202;
  answer.body = "done\n";
  return answer;
}

std::unique_ptr<RoleConfig> make_config() {
  return std::make_unique<LogsaverConfig>();
}

std::unique_ptr<Role> make(const Services& services, const RoleConfig& config) {
  return std::make_unique<Logsaver>(services, static_cast<const LogsaverConfig&>(config));
}

}  // namespace

const RoleSpec kLogsaver{
    .group = "sidecar",
    .name = "logsaver",
    .summary = "follows log files and saves every line once",
    .examples =
        "consort sidecar logsaver --path '/var/log/nginx/*.log' --sink s3://logs/web\n"
        "consort sidecar logsaver --path '/var/log/pods/**/*.log' --format cri --parse json \\\n"
        "    --sink loki+http://loki:3100\n"
        "consort sidecar logsaver --path app.log --sink stdout: --state-dir none --once\n",
    .admin_port = 9851,
    .make_config = make_config,
    .make = make,
    .pages = kPages,
    .usr1_page = "/flush",
};

}  // namespace consort::logsaver
