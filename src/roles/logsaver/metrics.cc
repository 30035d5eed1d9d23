#include "roles/logsaver/metrics.hpp"

#include <string>
#include <string_view>

namespace consort::logsaver {
namespace {

struct SinkCounter {
  std::string_view name;
  std::string_view help;
  std::uint64_t DeliveryCounters::* counted;
};
constexpr SinkCounter kSinkCounters[] = {
    {"consort_logsaver_read_bytes_total",
     "Bytes of log files that were read for a sink. At any time "
     "read = acknowledged + lost + waiting.",
     &DeliveryCounters::read_bytes},
    {"consort_logsaver_acknowledged_bytes_total",
     "Bytes of log files whose records the sink has, or that were rejected or filtered.",
     &DeliveryCounters::settled_bytes},
    {"consort_logsaver_lost_bytes_total",
     "Bytes of log files that were read for a sink, and gone when they were to be sent again.",
     &DeliveryCounters::lost_bytes},
    {"consort_logsaver_sent_bytes_total", "Bytes of delivered bodies, as they were compressed.",
     &DeliveryCounters::sent_bytes},
    {"consort_logsaver_records_sent_total", "Records that the sink has.",
     &DeliveryCounters::records_sent},
    {"consort_logsaver_records_rejected_total",
     "Records that the sink will never take: dead letters.", &DeliveryCounters::records_rejected},
    {"consort_logsaver_records_filtered_total",
     "Records that --include-lines and --exclude-lines left out.",
     &DeliveryCounters::records_filtered},
    {"consort_logsaver_batches_total", "Batches that were acknowledged.",
     &DeliveryCounters::batches},
    {"consort_logsaver_retries_total", "Tries that failed and are made again.",
     &DeliveryCounters::retries},
    {"consort_logsaver_replayed_batches_total",
     "Batches of an earlier process that were built and sent again.", &DeliveryCounters::replays},
};

struct FollowCounter {
  std::string_view name;
  std::string_view help;
  std::uint64_t FollowCounters::* counted;
};
constexpr FollowCounter kFollowCounters[] = {
    {"consort_logsaver_rotations_total", "Followed files that were renamed or deleted.",
     &FollowCounters::rotations},
    {"consort_logsaver_truncations_total", "Followed files that were truncated.",
     &FollowCounters::truncations},
    {"consort_logsaver_lost_unread_bytes_total",
     "Bytes that were truncated or deleted before they were read, as far as is known.",
     &FollowCounters::lost_bytes},
    {"consort_logsaver_spooled_bytes_total", "Bytes of deleted files that were saved in the spool.",
     &FollowCounters::spooled_bytes},
};

std::int64_t signed_of(std::uint64_t number) {
  return static_cast<std::int64_t>(number);
}

double seconds_of(const Gauge& ms) {
  return static_cast<double>(ms.value()) / 1000.0;
}

}  // namespace

SaverMetrics::SaverMetrics(Registry& registry, const Saver& saver, const RecordRules& rules)
    : saver_(saver),
      files_(registry.gauge("consort_logsaver_files", "Files that are followed.")),
      unreadable_(registry.gauge("consort_logsaver_unreadable_files",
                                 "Paths that are to be followed and cannot be read.")),
      directories_(
          registry.gauge("consort_logsaver_directories", "Directories that are looked at.")),
      is_polling_(registry.gauge("consort_logsaver_polling",
                                 "1 while files are looked at, instead of the kernel telling.")),
      unread_(registry.gauge("consort_logsaver_unread_bytes",
                             "Bytes of followed files that not every sink has read.")),
      unsafe_(registry.gauge("consort_logsaver_unsafe_bytes",
                             "Bytes of deleted files, neither acknowledged nor in the spool.")),
      spool_(registry.gauge("consort_logsaver_spool_bytes", "Bytes that are in the spool.")),
      stdin_(registry.gauge("consort_logsaver_stdin_unsaved_bytes",
                            "Bytes of --stdin that not every sink has.")) {
  for (const auto& delivery : saver_.deliveries()) add_sink(registry, *delivery);
  add_files(registry);
  add_rules(registry, rules);
}

void SaverMetrics::add_sink(Registry& registry, const Delivery& delivery) {
  const Labels labels = {{"sink", delivery.sink().name()}};
  for (const SinkCounter& each : kSinkCounters) {
    mirrors_.push_back(
        {&(delivery.counters().*each.counted), &registry.counter(each.name, each.help, labels)});
  }
  const auto gauge = [&](std::string_view name, std::string_view help) -> Gauge& {
    return registry.gauge(name, help, labels);
  };
  auto oldest_ms = std::make_shared<Gauge>();
  registry.gauge_fn("consort_logsaver_oldest_unacknowledged_seconds",
                    "Since when the oldest of what was read has waited; 0 when nothing waits.",
                    labels, [oldest_ms] { return seconds_of(*oldest_ms); });
  sinks_.push_back(
      {.delivery = delivery,
       .waiting = gauge("consort_logsaver_waiting_bytes",
                        "Bytes of log files that were read and are not acknowledged."),
       .in_flight = gauge("consort_logsaver_in_flight_batches", "Batches that are under way."),
       .concurrency = gauge("consort_logsaver_concurrency",
                            "How many batches may be under way now; the sink's answers decide."),
       .is_ok = gauge("consort_logsaver_sink_ok", "1 while the last try has succeeded."),
       .is_held = gauge("consort_logsaver_sink_held",
                        "1 while the sink needs a person: credentials, a missing bucket."),
       .adds_up = gauge("consort_logsaver_adds_up",
                        "1: read = acknowledged + lost + waiting. 0 is a bug: please report it."),
       .oldest_ms = std::move(oldest_ms)});
}

void SaverMetrics::add_files(Registry& registry) {
  const FollowCounters& counters = saver_.follower().counters();
  for (const FollowCounter& each : kFollowCounters) {
    mirrors_.push_back({&(counters.*each.counted), &registry.counter(each.name, each.help)});
  }
  registry.counter_fn("consort_logsaver_scavenger_throttled_seconds_total",
                      "For how long --scavenger has read nothing, to let others go first.", {},
                      [ms = throttled_ms_] { return seconds_of(*ms); });
}

void SaverMetrics::add_rules(Registry& registry, const RecordRules& rules) {
  for (const Redaction::Rule& rule : rules.redaction.rules()) {
    const Labels labels = {{"rule", rule.name}};
    mirrors_.push_back(
        {&rule.replacements,
         &registry.counter("consort_logsaver_redactions_total",
                           "Matches that --redact has hidden, for each sink.", labels)});
    mirrors_.push_back(
        {&rule.limits, &registry.counter("consort_logsaver_redaction_limits_total",
                                         "Records hidden as a whole, for the pattern hit its "
                                         "limits.",
                                         labels)});
  }
  const auto limits = [&](std::span<const LineFilter::Rule> filters, std::string_view option) {
    for (std::size_t i = 0; i < filters.size(); ++i) {
      mirrors_.push_back(
          {&filters[i].limits,
           &registry.counter(
               "consort_logsaver_filter_limits_total",
               "Records kept, for a pattern of that option hit its limits.",
               {{"option", std::string(option)}, {"pattern", std::to_string(i + 1)}})});
    }
  };
  limits(rules.filter.include(), "include-lines");
  limits(rules.filter.exclude(), "exclude-lines");
}

void SaverMetrics::update(const Others& others) {
  for (const Mirror& mirror : mirrors_) {
    const std::uint64_t shown = mirror.shown->value();
    if (*mirror.counted > shown) mirror.shown->add(*mirror.counted - shown);
  }
  for (SinkGauges& sink : sinks_) {
    const Delivery& delivery = sink.delivery;
    const std::uint64_t oldest_ms = delivery.oldest_ms();
    sink.waiting.set(signed_of(delivery.held_bytes()));
    sink.in_flight.set(signed_of(delivery.in_flight()));
    sink.concurrency.set(delivery.places());
    sink.is_ok.set(delivery.last_error().empty() ? 1 : 0);
    sink.is_held.set(delivery.is_held() ? 1 : 0);
    sink.adds_up.set(delivery.adds_up() ? 1 : 0);
    sink.oldest_ms->set(oldest_ms == 0 ? 0 : signed_of(others.now_ms - oldest_ms));
  }
  const Follower& follower = saver_.follower();
  files_.set(signed_of(follower.tails().size()));
  unreadable_.set(signed_of(follower.unreadable().size()));
  directories_.set(signed_of(follower.tree().directories()));
  is_polling_.set(follower.tree().is_polling() ? 1 : 0);
  unread_.set(signed_of(others.files.unread_bytes));
  unsafe_.set(signed_of(others.files.unsafe_bytes));
  spool_.set(signed_of(others.files.spool_bytes));
  stdin_.set(signed_of(others.unsaved_of_stdin));
  throttled_ms_->set(signed_of(others.throttled_ms));
}

}  // namespace consort::logsaver
