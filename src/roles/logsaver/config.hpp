// The configuration of logsaver: what is followed, what becomes of its lines, and where they go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/options.hpp"
#include "manage/role.hpp"
#include "net/tls_options.hpp"
#include "roles/logsaver/deliver/record_rules.hpp"
#include "roles/logsaver/follow/selection.hpp"
#include "roles/logsaver/follow/watched_tree.hpp"
#include "roles/logsaver/sinks/json_text.hpp"
#include "roles/logsaver/sinks/sink_url.hpp"

namespace consort::logsaver {

enum class LogFormat : std::uint8_t { raw, cri, docker };
enum class StartFrom : std::uint8_t { beginning, end };

class LogsaverConfig final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;
  void validate(Problems& problems) override;
  std::optional<int> answer(std::string& out) const override;

  std::vector<std::string> path;
  std::vector<std::string> exclude;
  StartFrom from = StartFrom::beginning;
  PollMode poll = PollMode::automatic;
  Millis rotate_wait{30'000};
  std::vector<std::string> sink;
  std::string state_dir = "/var/lib/consort/logsaver";
  ByteSize spool_max{1ULL << 30};
  bool once = false;
  bool standard_input = false;
  bool replay = false;
  bool scavenger = false;
  std::uint32_t scavenger_pressure = 20;
  Millis scavenger_delay{60'000};
  std::string explain;

  LogFormat format = LogFormat::raw;
  std::string parse = "none";
  std::string time_key;
  std::vector<std::string> multiline;
  Millis multiline_timeout{1000};
  ByteSize record_max{1ULL << 20};
  std::vector<std::string> include_lines;
  std::vector<std::string> exclude_lines;
  std::vector<std::string> redact;
  std::vector<std::string> label;
  bool kubernetes = true;
  std::string host;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::replace;

  EncodeChoice encode = EncodeChoice::automatic;
  CompressChoice compress = CompressChoice::automatic;
  ByteSize batch_bytes{0};  ///< 0: the sink's own
  Millis batch_time{0};     ///< 0: the sink's own
  std::uint32_t in_flight = 0;
  Millis retry_base{200};
  Millis retry_cap{30'000};

  TlsOptions tls;

  bool has_state() const { return state_dir != "none"; }
  /// The URLs with the flags' settings as defaults. Errors name the URL.
  Result<std::vector<SinkUrl>> sinks() const;
  /// `here` is the working directory. With --stdin the glob of its files: these alone.
  Result<Selection> selection(std::string_view here, const std::string& input_glob = {}) const;
  /// Fills what records go through.
  Result<> fill(RecordRules& rules) const;
  std::vector<std::pair<std::string, std::string>> labels() const;
  /// All of it that shapes records, as text; `host_name` is what --host came to.
  std::string record_settings(std::string_view host_name) const;
};

}  // namespace consort::logsaver
