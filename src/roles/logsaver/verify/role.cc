#include "roles/logsaver/verify/role.hpp"

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "async/try.hpp"
#include "io/own_process.hpp"
#include "manage/clock.hpp"
#include "manage/probe.hpp"
#include "net/lazy_tls.hpp"
#include "roles/logsaver/verify/config.hpp"
#include "roles/logsaver/verify/destination.hpp"
#include "roles/logsaver/verify/report_text.hpp"

namespace consort::logsaver {
namespace {

constexpr int kExitIncomplete = 1;
constexpr int kExitIo = 74;

class Verify final : public Role {
 public:
  Verify(const Services& services, const VerifyConfig& config)
      : services_(services), config_(config), checker_(config.rules()) {}

  Task<Result<>> start() override;
  Task<Result<>> run() override;
  Task<> drain(std::uint64_t) override { co_return; }
  Result<> reload(const RoleConfig&) override { return {}; }
  int exit_code() const override { return exit_code_; }

 private:
  SinkWorld world();

  const Services services_;
  const VerifyConfig& config_;
  LazyTls tls_;
  Checker checker_;
  std::vector<std::unique_ptr<Destination>> destinations_;
  int exit_code_ = kExitIncomplete;
};

/// All targets first, so that nothing is half done for the lack of one.
Task<Result<>> Verify::start() {
  const VerifySettings settings{.reads_bodies = !config_.no_read, .timeout = config_.timeout};
  for (const std::string& target : config_.target) {
    destinations_.push_back(co_await try_(make_destination(target, world(), settings)));
    co_await try_(destinations_.back()->open());
  }
  co_return Result<>();
}

Task<Result<>> Verify::run() {
  for (const auto& destination : destinations_) co_await destination->verify(checker_);
  const Report report = checker_.finish();
  const bool is_told =
      io::write_all(STDOUT_FILENO, config_.json ? report_json(report) : report_lines(report));
  exit_code_ = report.is_complete() ? 0 : kExitIncomplete;
  if (!is_told) exit_code_ = kExitIo;
  co_return Result<>();
}

SinkWorld Verify::world() {
  return {.loop = services_.loop,
          .network = services_.network,
          .dns = services_.dns,
          .disk = services_.disk,
          .files = services_.files,
          .random = services_.random,
          .log = services_.log,
          .tls = [this] { return tls_.make(config_.tls, services_.log); },
          .wall_ms = [] { return system_moment().wall_ms; },
          .write_stdout = {},
          .environment = io::environment,
          .host = host_name()};
}

std::unique_ptr<RoleConfig> make_config() {
  return std::make_unique<VerifyConfig>();
}

std::unique_ptr<Role> make(const Services& services, const RoleConfig& config) {
  return std::make_unique<Verify>(services, static_cast<const VerifyConfig&>(config));
}

}  // namespace

const RoleSpec kVerify{
    .group = "sidecar",
    .name = "verify",
    .summary = "proves that what logsaver saved is all there and unchanged",
    .examples =
        "consort sidecar verify s3://logs/web\n"
        "consort sidecar verify 's3://logs/web?endpoint=http://rgw:7480' --no-read\n"
        "consort sidecar verify /logs/out.log /logs/old --json\n",
    .admin_port = 0,
    .make_config = make_config,
    .make = make,
    .is_job = true,
    .argument = "target",
};

}  // namespace consort::logsaver
