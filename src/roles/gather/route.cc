#include "roles/gather/route.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace consort::gather {
namespace {

// What Finagle's and Envoy's retry budgets have in common.
constexpr double kRetryShare = 0.2;
constexpr std::uint32_t kRetriesPerSecond = 10;
constexpr std::uint64_t kExternalReserveMs = 2;
constexpr double kReservePercentile = 0.95;

ScatterTemplates templates_of(const RouteConfig& route) {
  auto made = ScatterTemplates::make(route);
  CHECK(made.has_value());  // validate() has seen to it
  return std::move(*made);
}

}  // namespace

RouteState::RouteState(const Services& services, RouteConfig route, std::string_view instance)
    : config(std::move(route)),
      templates(templates_of(config)),
      via(via_token(instance, config.name)),
      hedges(config.hedge),
      retries(kRetryShare, kRetriesPerSecond),
      metrics(services.metrics, config.name) {}

bool RouteState::is_ok(int status) const {
  if (config.ok_statuses.empty()) {
    // 206 is a part of something: no merge can know of what.
    return status >= 200 && status < 300 && status != 206 && !is_empty(status);
  }
  return std::find(config.ok_statuses.begin(), config.ok_statuses.end(),
                   static_cast<std::uint32_t>(status)) != config.ok_statuses.end();
}

bool RouteState::is_empty(int status) const {
  // Says itself that it holds nothing.
  if (status == 204 && config.ok_statuses.empty()) return true;
  return std::find(config.empty_statuses.begin(), config.empty_statuses.end(),
                   static_cast<std::uint32_t>(status)) != config.empty_statuses.end();
}

std::uint64_t RouteState::merge_reserve_ms(std::uint64_t now_ms) {
  if (!merge) return 1;
  const auto usual_us = merge_times.percentile_us(kReservePercentile, now_ms);
  const std::uint64_t usual_ms = usual_us ? (*usual_us + 999) / 1000 : 0;
  return std::max(kExternalReserveMs, usual_ms);
}

RootState::RootState(const Services& services_, const Limits& limits_)
    : services(services_),
      limits(limits_),
      metrics(services_.metrics),
      memory(limits_.memory.bytes, metrics.memory_bytes) {}

}  // namespace consort::gather
