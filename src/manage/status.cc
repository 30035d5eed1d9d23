// `consort status`: one line for each process of this host, made from its own /health.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "base/document.hpp"
#include "base/json_writer.hpp"
#include "manage/clock.hpp"
#include "manage/probe.hpp"
#include "manage/probe_client.hpp"

namespace consort {

namespace {

constexpr std::size_t kColumns = 80;

/// A member of a JSON object as text; empty when absent.
std::string member(const Node& object, std::string_view key) {
  const Node* found = object.find(key);
  return found != nullptr ? found->scalar : std::string();
}

/// "42s", "5m", "3h", "12d": one unit is enough to see what is new.
std::string age(double seconds) {
  struct Unit {
    double seconds;
    char letter;
  };
  constexpr Unit kUnits[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}};
  for (const Unit& unit : kUnits) {
    if (seconds >= unit.seconds) {
      return std::to_string(static_cast<std::int64_t>(seconds / unit.seconds)) + unit.letter;
    }
  }
  return std::to_string(static_cast<std::int64_t>(std::max(seconds, 0.0))) + "s";
}

/// Seconds since a to_rfc3339 text; 0 when it is not one.
double seconds_since(std::string_view text, std::int64_t wall_ms) {
  auto number = [text](std::size_t at, std::size_t length) {
    std::int64_t value = 0;
    if (at + length <= text.size()) {
      std::from_chars(text.data() + at, text.data() + at + length, value);
    }
    return value;
  };
  const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(number(0, 4))),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  if (!day.ok()) return 0;
  const auto midnight = std::chrono::sys_days(day).time_since_epoch();
  const std::int64_t then_s = std::chrono::duration_cast<std::chrono::seconds>(midnight).count() +
                              number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2);
  return static_cast<double>(wall_ms - then_s * 1000) / 1000.0;
}

/// "3 pass", or the first check that does not with its text.
std::string check_summary(const Node& health) {
  const Node* checks = health.find("checks");
  if (checks == nullptr) return {};
  for (const std::string_view wanted : {"fail", "warn"}) {
    for (const auto& [name, check] : checks->members) {
      if (member(check, "status") != wanted) continue;
      return std::string(wanted) + " " + name.scalar + ": " + member(check, "text");
    }
  }
  return std::to_string(checks->members.size()) + " pass";
}

struct Column {
  std::string_view title;
  std::size_t width;
};
constexpr std::array<Column, 5> kTable = {
    {{"NAME", 20}, {"ROLE", 14}, {"STATE", 12}, {"SINCE", 6}, {"CHECKS", 24}}};

void append_row(std::string& out, const std::array<std::string, kTable.size()>& cells) {
  const std::size_t start = out.size();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t width = kTable[i].width;
    std::string cell = cells[i];
    // Cut on a byte: names and texts of ours are ASCII, and a terminal survives the rest.
    if (cell.size() > width) cell = cell.substr(0, width - 1) + "~";
    cell.resize(width, ' ');
    out.append(cell).append(i + 1 < cells.size() ? " " : "");
  }
  out.erase(std::min(out.find_last_not_of(' ') + 1, start + kColumns));
  out += '\n';
}

}  // namespace

std::string status_table(const std::vector<StatusRow>& rows, std::int64_t wall_ms) {
  std::string out;
  std::array<std::string, kTable.size()> cells;
  for (std::size_t i = 0; i < kTable.size(); ++i) cells[i] = kTable[i].title;
  append_row(out, cells);
  for (const StatusRow& row : rows) {
    const Result<Node> health = read_json(row.health_json);
    if (!health || health->kind != Node::Kind::map) {
      append_row(out, {row.name, "-", "NO ANSWER", "-", "does it hang?"});
      continue;
    }
    append_row(out,
               {row.name, member(*health, "role"), member(*health, "state"),
                age(seconds_since(member(*health, "since"), wall_ms)), check_summary(*health)});
  }
  return out;
}

int status_command(const StatusRequest& request, std::string& out) {
  const Result<std::vector<std::string>> names =
      request.names.empty() ? find_consorts() : request.names;
  if (!names) {
    out = request.json ? "[]\n" : names.error().message() + "\n";
    return 1;
  }
  std::vector<StatusRow> rows;
  bool all_answer = true;
  for (const std::string& name : *names) {
    StatusRow row{.name = name, .health_json = {}};
    if (const Result<ProbeTarget> target = parse_target(name, host_name())) {
      Result<ProbeAnswer> answer =
          http_get(target->address, target->host, "/health", request.timeout);
      if (answer) row.health_json = std::move(answer->body);
    }
    all_answer = all_answer && !row.health_json.empty();
    rows.push_back(std::move(row));
  }
  if (!request.json) {
    out = status_table(rows, system_moment().wall_ms);
    return all_answer ? 0 : 1;
  }
  JsonWriter json;
  json.begin_array();
  for (const StatusRow& row : rows) {
    // Only whole JSON may be pasted into JSON.
    if (read_json(row.health_json)) {
      json.raw(row.health_json.substr(0, row.health_json.find_last_not_of('\n') + 1));
    } else {
      json.begin_object().key("name").value(row.name).key("status").value("fail");
      json.key("error").value("no answer").end_object();
    }
  }
  json.end_array();
  out = json.take() + "\n";
  return all_answer ? 0 : 1;
}

}  // namespace consort
