#include "roles/gather/check_role.hpp"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "async/try.hpp"
#include "io/own_process.hpp"
#include "io/read_file.hpp"
#include "net/http_fetch.hpp"
#include "net/http_pool.hpp"
#include "roles/gather/check_config.hpp"
#include "roles/gather/check_leaf.hpp"
#include "roles/gather/check_merge.hpp"
#include "roles/gather/check_replay.hpp"
#include "roles/gather/external_merges.hpp"

namespace consort::gather {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitIo = 74;
constexpr std::size_t kSampleBytesMax = 8 * 1024 * 1024;  // as of a leaf's answer

class GatherCheck final : public Role {
 public:
  GatherCheck(const Services& services, const CheckConfig& config)
      : services_(services), config_(config) {}

  Task<Result<>> start() override { co_return Result<>(); }
  Task<Result<>> run() override;
  Task<> drain(std::uint64_t) override { co_return; }
  Result<> reload(const RoleConfig&) override { return {}; }
  int exit_code() const override { return is_unheard_ ? kExitIo : exit_code_; }

 private:
  Result<> read_files();
  Task<Result<>> check();
  Task<Result<>> replay();
  Result<io::TlsClient*> tls_for(const http::Url& url);
  void print(std::string_view text) {
    if (!io::write_all(STDOUT_FILENO, text)) is_unheard_ = true;
  }

  const Services services_;
  const CheckConfig& config_;
  LazyTls tls_;
  std::string sample_;
  ReplayTimeline then_;
  bool is_unheard_ = false;
  int exit_code_ = 0;
};

Task<Result<>> GatherCheck::run() {
  // First, so that nothing is half done for the lack of them.
  co_await try_(read_files());
  if (config_.replay.empty()) co_return co_await check();
  co_return co_await replay();
}

Result<> GatherCheck::read_files() {
  if (!config_.sample.empty()) {
    Result<std::string> sample = io::read_file(config_.sample, kSampleBytesMax);
    if (!sample) return fail(std::move(sample.error()).in("--sample"));
    sample_ = std::move(*sample);
  }
  if (config_.replay.empty()) return {};
  const std::string path = config_.replay == "-" ? "/dev/stdin" : config_.replay;
  Result<std::string> text = io::read_file(path, kMaxReplayBytes);
  if (!text) return fail(std::move(text.error()).in("--replay"));
  Result<ReplayTimeline> picked = pick_timeline(*text, config_.request_id);
  if (!picked) return fail(std::move(picked.error()).in("--replay " + config_.replay));
  if (Result<> fine = check_replayable(*picked); !fine) {
    return fail(std::move(fine.error()).in("--replay " + config_.replay));
  }
  then_ = std::move(*picked);
  return {};
}

Result<io::TlsClient*> GatherCheck::tls_for(const http::Url& url) {
  if (url.scheme != http::Url::Scheme::https) return nullptr;
  return tls_.make(config_.tls, services_.log);
}

Task<Result<>> GatherCheck::check() {
  CheckReport report([this](std::string_view lines) { print(lines); });
  if (!config_.leaf.empty()) {
    LeafUnderTest leaf;
    leaf.url = co_await try_(http::Url::parse(config_.leaf));
    leaf.tls = co_await try_(tls_for(leaf.url));
    leaf.target = config_.path;
    leaf.timeout = config_.timeout;
    std::string answer = co_await check_leaf(services_, std::move(leaf), report);
    if (sample_.empty()) sample_ = std::move(answer);
  }
  if (!config_.merge.empty()) {
    const RouteConfig route = config_.merge_route();
    std::unique_ptr<ExternalMerge> merge =
        co_await try_(make_external_merge(services_, route, tls_, config_.tls));
    MergeUnderTest under_test{.merge = *merge, .sample = sample_};
    under_test.target = config_.path;
    under_test.timeout = config_.timeout;
    co_await check_merge(services_, std::move(under_test), report);
  }
  report.finish();
  if (report.has_failed()) exit_code_ = kExitFailed;
  co_return Result<>();
}

Task<Result<>> GatherCheck::replay() {
  const http::Url url = co_await try_(http::Url::parse(config_.root));
  http::PoolOptions options;
  options.tls = co_await try_(tls_for(url));
  options.connect_timeout = config_.timeout;
  options.body_bytes_max = kMaxReplayBytes;
  http::Pool pool(services_.loop, services_.network, services_.dns, url, options);
  http::ClientRequest request;
  // An explanation is a body, also of what was asked with HEAD.
  request.target = then_.target;
  request.headers = {{"Consort-Explain", "1"}, {"User-Agent", "consort-gather-check"}};
  request.response_body_bytes_max = kMaxReplayBytes;
  const Deadline deadline = Deadline::after(services_.loop.now_ms(), config_.timeout);
  const http::Response response =
      co_await try_(http::fetch(pool, std::move(request), deadline, http::Repeat::allowed));
  Result<ReplayTimeline> now = pick_timeline(response.body, "");
  if (!now) {
    co_return fail(Errc::protocol,
                   url.to_string() + " answers " + std::to_string(response.status) +
                       " and does not explain it; is it a gather-root, and if it is on another "
                       "machine, does it run with --explain?");
  }
  print(side_by_side(then_, *now));
  co_return Result<>();
}

std::unique_ptr<RoleConfig> make_config() {
  return std::make_unique<CheckConfig>();
}

std::unique_ptr<Role> make(const Services& services, const RoleConfig& config) {
  return std::make_unique<GatherCheck>(services, static_cast<const CheckConfig&>(config));
}

}  // namespace

const RoleSpec kGatherCheck{
    .group = "",
    .name = "gather-check",
    .summary = "tries out a leaf and a merge, or replays a request of a root",
    .examples =
        "consort gather-check --leaf http://127.0.0.1:8081 --path '/search?q=x'\n"
        "consort gather-check --leaf http://127.0.0.1:8081 --merge ./merge.py\n"
        "consort gather-check --merge 'python3 merge.py' --coprocess --sample one-leaf.json\n"
        "consort gather-check --merge http://127.0.0.1:9000/merge --merge-format ndjson\n"
        "curl -s localhost:9858/requests | consort gather-check --replay - --root "
        "http://127.0.0.1:8080\n",
    .admin_port = 0,
    .make_config = make_config,
    .make = make,
    .is_job = true,
};

}  // namespace consort::gather
