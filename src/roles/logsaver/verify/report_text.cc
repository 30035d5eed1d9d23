#include "roles/logsaver/verify/report_text.hpp"

#include <cstdint>
#include <string_view>

#include "base/json_writer.hpp"

namespace consort::logsaver {
namespace {

/// 1,500,000
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

/// "1 file", "3 files": of words that end with s, or es after ch.
std::string counted(std::uint64_t number, std::string_view many) {
  if (number == 1) many.remove_suffix(many.ends_with("ches") ? 2 : 1);
  return grouped(number).append(" ").append(many);
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string summary(const StreamReport& stream) {
  std::string text = "stream " + stream.id + ": ";
  text += counted(stream.count, stream.noun) + ", ";
  text += counted(stream.records, "records") + ", ";
  text += counted(stream.files, "files") + ", ";
  text += stream.problems == 0 ? "complete" : counted(stream.problems, "problems");
  return text + "\n";
}

}  // namespace

std::string report_lines(const Report& report) {
  std::string out;
  for (const Problem& problem : report.problems) {
    out.append(printable(problem.where + ": " + problem.text)).append("\n");
  }
  if (report.problems_total > report.problems.size()) {
    out += "and " + counted(report.problems_total - report.problems.size(), "problems") + " more\n";
  }
  for (const std::string& note : report.notes) out.append(printable("note: " + note)).append("\n");
  for (const StreamReport& stream : report.streams) out += summary(stream);
  if (report.foreign > 0) {
    out += counted(report.foreign, "objects") +
           (report.foreign == 1 ? " carries no manifest: " : " carry no manifest, the first is ") +
           printable(report.first_foreign) + "\n";
  }
  if (report.streams.empty()) out += "nothing is there that can be verified\n";
  return out;
}

std::string report_json(const Report& report) {
  JsonWriter json;
  json.begin_object();
  json.key("complete").value(report.is_complete());
  json.key("streams").begin_array();
  for (const StreamReport& stream : report.streams) {
    json.begin_object();
    json.key("id").value(stream.id);
    json.key("complete").value(stream.problems == 0);
    json.key("batches").value(stream.count);
    json.key("first").value(stream.first);
    json.key("last").value(stream.last);
    json.key("head").value(stream.id + "-" + std::to_string(stream.last) + "=" +
                           to_text(stream.head));
    json.key("records").value(stream.records);
    json.key("bytes").value(stream.bytes);
    json.key("stored").value(stream.stored);
    json.key("files").value(stream.files);
    json.key("problems").value(stream.problems);
    json.end_object();
  }
  json.end_array();
  json.key("problems").begin_array();
  for (const Problem& problem : report.problems) {
    json.begin_object();
    json.key("kind").value(to_string(problem.kind));
    json.key("where").value(problem.where);
    json.key("text").value(problem.text);
    json.end_object();
  }
  json.end_array();
  json.key("problems_total").value(report.problems_total);
  json.key("notes").begin_array();
  for (const std::string& note : report.notes) json.value(note);
  json.end_array();
  json.key("foreign").value(report.foreign);
  json.end_object();
  return json.take() + "\n";
}

}  // namespace consort::logsaver
