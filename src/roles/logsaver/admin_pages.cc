#include "roles/logsaver/admin_pages.hpp"

#include <algorithm>
#include <string>

#include "base/json_writer.hpp"

namespace consort::logsaver {
namespace {

constexpr AdminPage kTable[] = {
    {"GET", "/files", "every file that is followed: how far it is read and acknowledged"},
    {"GET", "/sinks", "every destination: what waits, what is under way, the last error"},
    {"POST", "/flush", "send what was read now"},
    {"POST", "/pause", "stop reading"},
    {"POST", "/resume", "read on"},
    {"POST", "/scan", "look at all directories now"},
};

AdminAnswer json_answer(JsonWriter& json) {
  AdminAnswer answer;
  answer.content_type = "application/json";
  answer.body = json.take() + "\n";
  return answer;
}

std::string_view state_of(const Tail& tail) {
  if (tail.is_ended) return "ended";
  if (tail.copy_of != nullptr) return "held";
  if (tail.is_unlinked) return "deleted";
  return tail.is_listed ? "followed" : "renamed";
}

}  // namespace

const std::span<const AdminPage> kPages{kTable};

AdminAnswer files_page(const Saver& saver, std::uint64_t now_ms) {
  JsonWriter json(2);
  json.begin_object().key("files").begin_array();
  for (const auto& [id, tail] : saver.follower().tails()) {
    const std::uint64_t read = saver.read_of(*tail);
    json.begin_object();
    json.key("tail").value(id);
    json.key("path").value(tail->record.path);
    json.key("found_as").value(tail->record.origin);
    json.key("state").value(state_of(*tail));
    json.key("inode").value(tail->identity.inode);
    json.key("size").value(tail->size);
    json.key("read").value(read);
    json.key("acknowledged").value(saver.settled_of(*tail));
    json.key("unread").value(tail->size > read ? tail->size - read : 0);
    json.key("quiet_seconds").value(static_cast<double>(now_ms - tail->changed_ms) / 1000.0);
    if (!tail->trouble.empty()) json.key("trouble").value(tail->trouble);
    json.end_object();
  }
  json.end_array().key("unreadable").begin_array();
  for (const auto& [path, why] : saver.follower().unreadable()) {
    json.begin_object().key("path").value(path).key("why").value(why).end_object();
  }
  json.end_array();
  const FollowCounters& counters = saver.follower().counters();
  json.key("directories").value(saver.follower().tree().directories());
  json.key("polling").value(saver.follower().tree().is_polling());
  json.key("lost_bytes").value(counters.lost_bytes);
  json.key("spooled_bytes").value(counters.spooled_bytes);
  const FileSums sums = saver.file_sums();
  json.key("spool_bytes").value(sums.spool_bytes);
  json.key("unread_bytes").value(sums.unread_bytes);
  json.key("adds_up").value(
      std::ranges::all_of(saver.deliveries(), [](const auto& each) { return each->adds_up(); }));
  json.end_object();
  return json_answer(json);
}

AdminAnswer sinks_page(const Saver& saver, std::uint64_t now_ms) {
  JsonWriter json(2);
  json.begin_object().key("sinks").begin_array();
  for (const auto& each : saver.deliveries()) {
    const DeliveryCounters& counters = each->counters();
    const std::uint64_t oldest_ms = each->oldest_ms();
    const std::uint64_t held = each->held_bytes();
    json.begin_object();
    json.key("sink").value(each->sink().name());
    json.key("state").value(each->is_held()              ? "held"
                            : each->last_error().empty() ? "ok"
                                                         : "retrying");
    json.key("last_error").value(each->last_error());
    json.key("in_flight").value(each->in_flight());
    json.key("concurrency").value(each->places());
    json.key("oldest_seconds")
        .value(oldest_ms == 0 ? 0.0 : static_cast<double>(now_ms - oldest_ms) / 1000.0);
    json.key("read_bytes").value(counters.read_bytes);
    json.key("acknowledged_bytes").value(counters.settled_bytes);
    json.key("waiting_bytes").value(held);
    json.key("lost_bytes").value(counters.lost_bytes);
    json.key("sent_bytes").value(counters.sent_bytes);
    json.key("records_sent").value(counters.records_sent);
    json.key("records_rejected").value(counters.records_rejected);
    json.key("records_filtered").value(counters.records_filtered);
    json.key("batches").value(counters.batches);
    json.key("retries").value(counters.retries);
    json.key("replayed_batches").value(counters.replays);
    json.key("adds_up").value(each->adds_up());
    json.end_object();
  }
  json.end_array().end_object();
  return json_answer(json);
}

}  // namespace consort::logsaver
