#include "roles/logsaver/verify/role.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/try.hpp"
#include "io/tls.hpp"
#include "manage/clock.hpp"
#include "roles/logsaver/verify/config.hpp"
#include "roles/logsaver/verify/destination.hpp"
#include "roles/logsaver/verify/report_text.hpp"

namespace consort::logsaver {
namespace {

constexpr int kExitIncomplete = 1;
constexpr int kExitIo = 74;
constexpr std::size_t kHostBytesMax = 256;

bool write_out(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

/// For file: URLs with {host} in them.
std::string host_name() {
  char name[kHostBytesMax] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

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
  Result<io::TlsClient*> tls();

  const Services services_;
  const VerifyConfig& config_;
  std::unique_ptr<io::TlsClient> tls_;
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
  const bool is_told = write_out(config_.json ? report_json(report) : report_lines(report));
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
          .tls = [this] { return tls(); },
          .wall_ms = [] { return system_moment().wall_ms; },
          .write_stdout = {},
          .environment = environment,
          .host = host_name()};
}

Result<io::TlsClient*> Verify::tls() {
  if (tls_ == nullptr) {
    auto made = io::TlsClient::create(config_.tls.settings(), environment);
    if (!made) return fail(std::move(made.error()));
    tls_ = std::move(*made);
  }
  return tls_.get();
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
