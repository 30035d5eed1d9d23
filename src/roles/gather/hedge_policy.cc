#include "roles/gather/hedge_policy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

namespace consort::gather {
namespace {

/// Hedging is suspended when this share of a request's shards is late, and more than these many: of
/// ten shards two are past their 95th percentile in one request of twelve, by chance alone.
constexpr double kSystemicShare = 0.2;
constexpr std::uint32_t kLateByChance = 2;
/// Of kBlockCalls calls: 1 % minus what may be had at once, so that a first try by hand hedges.
constexpr double kBlockSlack = 0.009;
constexpr double kBlockStart = 10;

constexpr double kMinPercentile = 0.5;
constexpr double kMaxPercentile = 0.999;
constexpr double kMinExtra = 0.001;
constexpr double kDefaultExtra = 0.05;

constexpr std::string_view kTry = "try p95:5%, 10ms or off";

std::uint64_t microseconds(Millis value) {
  return static_cast<std::uint64_t>(value.count()) * 1'000;
}

tl::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(Errc::invalid, in_quotes(text).append(" ").append(why));
}

std::optional<double> hundredths(std::string_view text) {
  auto number = Text<double>::parse(text);
  if (!number) return std::nullopt;
  return *number / 100;
}

/// 0.95 as "95", 0.999 as "99.9", without the noise of binary fractions.
std::string print_percent(double share) {
  std::array<char, 32> digits;
  const double percent = std::round(share * 1e7) / 1e5;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), percent).ptr;
  return {digits.data(), end};
}

struct Parts {
  std::optional<double> percentile;
  std::optional<double> max_extra;
  std::optional<Millis> delay;
  std::optional<Millis> min_delay;
};

Result<> read_part(std::string_view part, Parts& parts) {
  if (part.starts_with("p")) {
    if (parts.percentile) return bad(part, "is a second percentile; give one");
    parts.percentile = hundredths(part.substr(1));
    // p99.9 is not exactly 0.999.
    if (!parts.percentile || *parts.percentile < kMinPercentile ||
        *parts.percentile > kMaxPercentile + 1e-9) {
      return bad(part, "is not a percentile from p50 to p99.9 (try p95)");
    }
    return {};
  }
  if (part.ends_with("%")) {
    if (parts.max_extra) return bad(part, "is a second share of extra calls; give one");
    parts.max_extra = hundredths(part.substr(0, part.size() - 1));
    if (!parts.max_extra || *parts.max_extra < kMinExtra || *parts.max_extra > 1) {
      return bad(part, "is not a share of extra calls from 0.1% to 100% (try 5%)");
    }
    return {};
  }
  constexpr std::string_view kMin = "min=";
  if (part.starts_with(kMin)) {
    auto least = Text<Millis>::parse(part.substr(kMin.size()));
    if (!least || least->count() == 0) return bad(part, "is not a least delay (try min=1ms)");
    parts.min_delay = *least;
    return {};
  }
  if (parts.delay) return bad(part, "is a second delay; give one");
  auto delay = Text<Millis>::parse(part);
  if (!delay || delay->count() == 0) {
    return bad(part,
               std::string("is not a percentile, a share or a delay (").append(kTry).append(")"));
  }
  parts.delay = *delay;
  return {};
}

}  // namespace

Result<HedgeOptions> HedgeOptions::parse(std::string_view text) {
  HedgeOptions options;
  if (text == "off") return options;
  Parts parts;
  for (std::string_view rest = text;;) {
    const std::size_t colon = rest.find(':');
    auto read = read_part(rest.substr(0, colon), parts);
    if (!read) return fail(std::move(read.error()));
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  options.enabled = true;
  options.max_extra = parts.max_extra.value_or(kDefaultExtra);
  options.delay = parts.delay;
  options.min_delay = parts.min_delay.value_or(options.min_delay);
  if (parts.percentile) {
    options.percentile = *parts.percentile;
  } else if (parts.delay) {
    options.percentile = 0;
  } else {
    options.percentile = std::clamp(1 - options.max_extra, kMinPercentile, kMaxPercentile);
  }
  return options;
}

std::string HedgeOptions::to_string() const {
  if (!enabled) return "off";
  std::string text;
  if (percentile > 0) text.append("p").append(print_percent(percentile)).append(":");
  text.append(print_percent(max_extra)).append("%");
  if (delay) text.append(":").append(Text<Millis>::print(*delay));
  if (min_delay != HedgeOptions().min_delay)
    text.append(":min=").append(Text<Millis>::print(min_delay));
  return text;
}

HedgePolicy::HedgePolicy(HedgeOptions options)
    : options_(options), budget_(options.max_extra, kReservePerSecond) {}

void HedgePolicy::record(std::uint64_t us, std::uint64_t now_ms) {
  if (options_.enabled) latencies_.record(us, now_ms);
}

std::optional<std::uint64_t> HedgePolicy::delay_us(std::uint64_t now_ms) {
  if (!options_.enabled) return std::nullopt;
  if (options_.percentile > 0 && now_ms >= next_refresh_ms_) refresh(now_ms);
  if (percentile_us_) {
    if (*percentile_us_ >= WindowedHistogram::kMaxUs) return std::nullopt;
    return std::max(microseconds(options_.min_delay), *percentile_us_);
  }
  if (!options_.delay) return std::nullopt;
  return std::max(microseconds(options_.min_delay), microseconds(*options_.delay));
}

void HedgePolicy::on_original(std::uint64_t now_ms) {
  if (!options_.enabled) return;
  budget_.deposit(now_ms);
  if (block_calls_ == kBlockCalls) {
    block_calls_ = 0;
    block_hedges_ = 0;
  }
  ++block_calls_;
}

HedgePolicy::Answer HedgePolicy::may_hedge(std::uint64_t now_ms, const Moment& moment,
                                           TokenBudget& shared_retries) {
  if (moment.late > kLateByChance && moment.late >= kSystemicShare * moment.width)
    return Answer::systemic;
  if (moment.target_inflight > moment.target_usual) return Answer::target_busy;
  if (!options_.enabled || !has_allowance()) return Answer::no_budget;
  if (!budget_.can_withdraw(now_ms) || !shared_retries.withdraw(now_ms)) return Answer::no_budget;
  budget_.withdraw(now_ms);
  ++block_hedges_;
  return Answer::go;
}

void HedgePolicy::refresh(std::uint64_t now_ms) {
  percentile_us_.reset();
  // Asked at each call until there are enough: counting is cheap, and the sooner the better.
  if (latencies_.count(now_ms) < kMinSamples) return;
  percentile_us_ = latencies_.percentile_us(options_.percentile, now_ms);
  next_refresh_ms_ = now_ms + kRefreshMs;
}

bool HedgePolicy::has_allowance() const {
  const double bound = (options_.max_extra + kBlockSlack) * block_calls_ + kBlockStart;
  return block_hedges_ + 1 <= bound;
}

std::string_view to_string(HedgePolicy::Answer answer) {
  switch (answer) {
    case HedgePolicy::Answer::go:
      return "go";
    case HedgePolicy::Answer::no_budget:
      return "no_budget";
    case HedgePolicy::Answer::systemic:
      return "systemic";
    case HedgePolicy::Answer::target_busy:
      return "target_busy";
  }
  return "unknown";
}

}  // namespace consort::gather
