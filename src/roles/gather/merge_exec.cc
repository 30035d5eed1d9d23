#include "roles/gather/merge_exec.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "roles/gather/cgi.hpp"
#include "roles/gather/merge_payload.hpp"

namespace consort::gather {

namespace {

constexpr std::size_t kNameBytesMax = 64;

bool is_plain_name(std::string_view id) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  return !id.empty() && id.size() <= kNameBytesMax && id.front() != '.' && id != "request" &&
         !id.starts_with("part-") && std::all_of(id.begin(), id.end(), is_plain);
}

std::string variable(std::string_view name, std::string_view value) {
  return std::string(name).append("=").append(value);
}

/// PART with the name of its files; `part` is a JSON object with at least one member.
std::string with_file(std::string part, const std::string& name) {
  part.pop_back();
  return part.append(",\"file\":\"").append(name).append("\"}");
}

/// The document of merge_payload with parts that name their files.
Result<> write_files(const MergeRequest& request, const io::ScratchDirectory& directory) {
  const std::vector<std::string> names = part_file_names(request.parts);
  MergeRequest without_parts = request;
  without_parts.parts.clear();
  std::string document =
      render_document(without_parts, request.id, PartBodies::leave_out, JsonForm::as_it_came);
  document.resize(document.size() - 2);  // "]}": the parts come now
  for (std::size_t i = 0; i < request.parts.size(); ++i) {
    const MergePart& part = request.parts[i];
    const std::string json =
        with_file(render_part(part, PartBodies::leave_out, JsonForm::as_it_came), names[i]);
    if (i > 0) document += ',';
    document += json;
    Result<> written = directory.write(names[i] + ".json", json + "\n");
    if (written && part.ok) written = directory.write(names[i] + ".body", part.body);
    if (!written) return written;
  }
  return directory.write("request.json", document + "]}\n");
}

}  // namespace

std::vector<std::string> part_file_names(const std::vector<MergePart>& parts) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  names.reserve(parts.size());
  for (const MergePart& part : parts) {
    std::string name(part.shard);
    if (!is_plain_name(part.shard) || !taken.insert(name).second) {
      name = "part-" + std::to_string(part.index);
    }
    names.push_back(std::move(name));
  }
  return names;
}

ExecMerge::ExecMerge(const Services& services, ExecMergeOptions options)
    : options_(std::move(options)),
      runner_(services, {.processes_max = options_.processes_max,
                         .waiting_max = options_.waiting_max,
                         .output_bytes_max = options_.output_bytes_max}) {
  warn_if_missing(services, options_.command);
}

const MergeStats& ExecMerge::stats() const {
  stats_.active = runner_.running();
  stats_.waiting = runner_.waiting();
  return stats_;
}

Task<MergeResult> ExecMerge::merge(MergeRequest request, Deadline deadline) {
  ++stats_.runs;
  CommandRun wanted;
  wanted.command.argv = command_argv(options_.command);
  wanted.deadline = deadline;
  wanted.id = request.id;
  wanted.prepare = [this, &request](CommandRun& run) { return prepare(request, run); };
  CommandOutcome outcome = co_await runner_.run(std::move(wanted));
  MergeResult result = read(std::move(outcome));
  if (!result) ++(result.error().timed_out ? stats_.timed_out : stats_.failed);
  co_return result;
}

Result<> ExecMerge::prepare(const MergeRequest& request, CommandRun& run) const {
  std::vector<std::string>& environment = run.command.environment;
  environment = {variable("REQUEST_METHOD", request.method),
                 variable("PATH_INFO", request.path),
                 variable("QUERY_STRING", request.query),
                 variable("CONSORT_TOTAL", std::to_string(request.total)),
                 variable("CONSORT_OK", std::to_string(request.ok)),
                 variable("CONSORT_REQUEST_ID", request.id)};
  if (!options_.files) {
    run.input = render_ndjson(request);
    return {};
  }
  auto directory = io::ScratchDirectory::create();
  if (!directory) return fail(std::move(directory.error()));
  run.scratch = std::move(*directory);
  environment.push_back("CONSORT_PARTS_DIR=" + run.scratch->path());
  return write_files(request, *run.scratch);
}

MergeResult ExecMerge::read(CommandOutcome outcome) const {
  if (!outcome.is_success()) {
    const bool timed_out = outcome.end == CommandOutcome::End::timed_out;
    return tl::unexpected(MergeFailure{.timed_out = timed_out, .why = std::move(outcome.why)});
  }
  MergedAnswer answer;
  if (options_.cgi) {
    Result<CgiAnswer> parsed = parse_cgi_answer(outcome.output);
    if (!parsed) return tl::unexpected(MergeFailure{.why = parsed.error().message()});
    answer.status = parsed->status;
    answer.content_type = std::move(parsed->content_type);
    answer.headers = std::move(parsed->headers);
    const std::size_t headers_bytes = outcome.output.size() - parsed->body.size();
    outcome.output.erase(0, headers_bytes);
  }
  answer.body = std::move(outcome.output);
  if (answer.content_type.empty()) answer.content_type = guess_content_type(answer.body);
  return answer;
}

}  // namespace consort::gather
