// What the admin interface shows of logsaver: GET /files and /sinks.
#pragma once

#include <cstdint>
#include <span>

#include "manage/admin_page.hpp"
#include "roles/logsaver/saver.hpp"

namespace consort::logsaver {

extern const std::span<const AdminPage> kPages;

/// Everything that is followed: path, size, how far it was read and acknowledged, state.
AdminAnswer files_page(const Saver& saver, std::uint64_t now_ms);
/// Each destination with its counters and whether they add up:
///   read = settled + lost + waiting                          in bytes of the logs
AdminAnswer sinks_page(const Saver& saver, std::uint64_t now_ms);

}  // namespace consort::logsaver
