#include "roles/gather/flight_recorder.hpp"

#include <algorithm>
#include <utility>

namespace consort::gather {

bool FlightRecorder::wants(std::uint64_t duration_us, std::uint64_t now_ms) {
  const bool has_room = entries_.size() < kMost && bytes_ < kMostBytes / 2;
  if (has_room) return true;
  // When everything becomes slower every request is among the slowest: a sample will do.
  if (now_ms / kRateMs != rate_window_) {
    rate_window_ = now_ms / kRateMs;
    wanted_ = 0;
  }
  if (wanted_ >= kMostPerWindow) return false;
  const bool is_wanted = is_slow(duration_us, now_ms);
  if (is_wanted) ++wanted_;
  return is_wanted;
}

bool FlightRecorder::is_slow(std::uint64_t duration_us, std::uint64_t now_ms) const {
  if (oldest_ms_ + kForgottenMs < now_ms) return true;
  return duration_us > entries_.back().duration_us;
}

void FlightRecorder::add(std::uint64_t duration_us, std::uint64_t now_ms,
                         std::string timeline_json) {
  if (timeline_json.size() > kMostBytes / 4) return;
  std::erase_if(entries_, [now_ms, this](const Entry& entry) {
    const bool is_old = entry.at_ms + kForgottenMs < now_ms;
    if (is_old) bytes_ -= entry.json.size();
    return is_old;
  });
  const auto place = std::find_if(entries_.begin(), entries_.end(), [duration_us](auto& entry) {
    return entry.duration_us < duration_us;
  });
  timeline_json.shrink_to_fit();
  bytes_ += timeline_json.size();
  entries_.insert(place, {duration_us, now_ms, std::move(timeline_json)});
  const auto oldest =
      std::min_element(entries_.begin(), entries_.end(),
                       [](const Entry& a, const Entry& b) { return a.at_ms < b.at_ms; });
  oldest_ms_ = oldest->at_ms;
  while (entries_.size() > kMost || bytes_ > kMostBytes) {
    bytes_ -= entries_.back().json.size();
    entries_.pop_back();
  }
}

std::string FlightRecorder::to_json() const {
  std::string json = "[";
  for (const Entry& entry : entries_) {
    if (json.size() > 1) json += ",\n ";
    json += entry.json;
  }
  return json + "]\n";
}

}  // namespace consort::gather
