#include "net/aws_credentials.hpp"

#include <optional>
#include <utility>

#include "async/try.hpp"
#include "net/aws_credential_sources.hpp"

namespace consort::aws {
namespace {

/// How often those look who wait for another one's look: it happens once in an hour.
constexpr std::uint64_t kWaitStepMs = 20;
/// New keys are not looked for again before: requests that were signed with the old ones may still
/// fail.
constexpr std::uint64_t kSettledMs = 1000;

using detail::Found;

tl::unexpected<Error> none_found(const Error& instance) {
  return fail(Errc::not_found,
              "there are no AWS credentials: none in the options, in AWS_ACCESS_KEY_ID, "
              "AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_FULL_URI or in the shared "
              "credentials file, and " +
                  instance.text());
}

Task<Result<Keys>> find_keys(const CredentialSettings& settings, const CredentialWorld& world,
                             Deadline deadline) {
  std::optional<Keys> keys = co_await try_(detail::from_settings(settings, world));
  if (keys) co_return std::move(*keys);
  keys = co_await try_(detail::from_environment(world));
  if (keys) co_return std::move(*keys);
  const std::string region = find_region(settings, world);
  keys = co_await try_(detail::from_web_identity(world, region, deadline));
  if (keys) co_return std::move(*keys);
  keys = co_await try_(detail::from_container(world, deadline));
  if (keys) co_return std::move(*keys);
  keys = co_await try_(detail::from_profile(settings, world));
  if (keys) co_return std::move(*keys);
  Found instance = co_await detail::from_instance(world, deadline);
  if (!instance) co_return none_found(instance.error());
  if (!*instance) {
    const Error disabled(Errc::not_found, "AWS_EC2_METADATA_DISABLED is set");
    co_return none_found(disabled);
  }
  co_return std::move(**instance);
}

}  // namespace

std::string find_region(const CredentialSettings& settings, const CredentialWorld& world) {
  if (!settings.region.empty()) return settings.region;
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (auto region = detail::variable(world, name)) return *region;
  }
  std::string profile = settings.profile;
  if (profile.empty()) profile = detail::variable(world, "AWS_PROFILE").value_or("default");
  const std::string home = detail::variable(world, "HOME").value_or("");
  const std::string section = profile == "default" ? profile : "profile " + profile;
  const std::pair<std::string, std::string> places[] = {
      {detail::variable(world, "AWS_CONFIG_FILE").value_or(home + "/.aws/config"), section},
      {detail::variable(world, "AWS_SHARED_CREDENTIALS_FILE").value_or(home + "/.aws/credentials"),
       profile}};
  for (const auto& [path, name] : places) {
    const Result<std::string> text = detail::read_secret(world, path);
    if (!text) continue;
    std::string region = detail::ini_value(*text, name, "region");
    if (!region.empty()) return region;
  }
  return "us-east-1";
}

Credentials::Credentials(CredentialSettings settings, CredentialWorld world)
    : settings_(std::move(settings)), world_(std::move(world)) {}

bool Credentials::is_due() const {
  if (keys_ == nullptr) return true;
  if (keys_->expires_at_ms != kNever && world_.wall_ms() >= keys_->expires_at_ms) return true;
  if (world_.loop.now_ms() < next_look_ms_) return false;
  return is_stale_ || (keys_->expires_at_ms != kNever &&
                       world_.wall_ms() >= keys_->expires_at_ms - kEarly.count());
}

Task<Result<std::shared_ptr<const Keys>>> Credentials::get(Deadline deadline) {
  while (is_looking_) {
    if (deadline.passed(world_.loop.now_ms())) {
      co_return fail(Errc::timed_out, "AWS credentials: no answer in time");
    }
    co_await sleep_until(world_.loop.timers(), world_.loop.now_ms() + kWaitStepMs);
  }
  if (!is_due()) co_return keys_;
  co_return co_await look(deadline);
}

Task<Result<std::shared_ptr<const Keys>>> Credentials::look(Deadline deadline) {
  // Also when the task is dropped while it waits.
  struct Looking {
    explicit Looking(bool& flag) : is_looking(flag) { is_looking = true; }
    Looking(const Looking&) = delete;
    Looking& operator=(const Looking&) = delete;
    ~Looking() { is_looking = false; }
    bool& is_looking;
  };
  const Looking looking(is_looking_);
  Result<Keys> found = co_await find_keys(settings_, world_, deadline);
  if (found) {
    keys_ = std::make_shared<const Keys>(std::move(*found));
    last_error_.clear();
    is_stale_ = false;
    next_look_ms_ = world_.loop.now_ms() + kSettledMs;
    co_return keys_;
  }
  last_error_ = found.error().message();
  const bool has_keys = keys_ != nullptr && world_.wall_ms() < keys_->expires_at_ms;
  if (!has_keys) co_return fail(std::move(found.error()));
  next_look_ms_ = world_.loop.now_ms() + static_cast<std::uint64_t>(kNextLook.count());
  co_return keys_;
}

}  // namespace consort::aws
