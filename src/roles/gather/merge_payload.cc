#include "roles/gather/merge_payload.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

#include "base/base64.hpp"
#include "base/json_writer.hpp"
#include "wire/http1.hpp"
#include "wire/json_scan.hpp"

namespace consort::gather {

namespace {

using http1::Headers;

/// A checked document holds line breaks between its tokens only: strings must escape them.
std::string on_one_line(std::string_view json) {
  std::string line(json);
  std::replace_if(line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

void add_body(JsonWriter& json, std::string_view body, JsonForm form) {
  const Result<std::string_view> value = check_json(body);
  if (!value) {
    std::string encoded = "\"";
    append_base64(encoded, body);
    encoded += '"';
    json.begin_object().key("base64").raw(encoded).end_object();
  } else if (form == JsonForm::as_it_came) {
    json.raw(*value);
  } else {
    json.raw(on_one_line(*value));
  }
}

/// Microseconds are what is known; more digits would be noise.
double rounded_ms(double ms) {
  return std::round(ms * 1000) / 1000;
}

void add_part(JsonWriter& json, const MergePart& part, PartBodies bodies, JsonForm form) {
  json.begin_object().key("shard").value(part.shard).key("index").value(part.index);
  if (part.status != 0) json.key("status").value(part.status);
  if (!part.content_type.empty()) json.key("content_type").value(part.content_type);
  json.key("ms").value(rounded_ms(part.ms));
  if (!part.ok) {
    json.key("error").value(part.error.empty() ? std::string_view("unknown") : part.error);
  } else if (bodies == PartBodies::include) {
    json.key("body");
    add_body(json, part.body, form);
  }
  json.end_object();
}

/// Quadratic in headers; requests have some dozens.
void add_headers(JsonWriter& json, const Headers& headers) {
  json.begin_object();
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto& name = headers[i].first;
    const auto has_name = [&name](const auto& header) { return header.first == name; };
    const auto here = headers.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::any_of(headers.begin(), here, has_name)) continue;
    std::string value;
    for (auto each = here; each != headers.end(); ++each) {
      if (!has_name(*each)) continue;
      if (each != here) value += name == "cookie" ? "; " : ", ";
      value += each->second;
    }
    json.key(name).value(value);
  }
  json.end_object();
}

/// All that every form begins with; the object stays open.
void begin_document(JsonWriter& json, const MergeRequest& request, std::string_view id) {
  json.begin_object().key("version").value(1).key("id").value(id);
  json.key("request").begin_object();
  json.key("method").value(request.method);
  json.key("path").value(request.path);
  json.key("query").value(request.query);
  json.key("headers");
  add_headers(json, request.headers != nullptr ? *request.headers : Headers());
  json.end_object();
  json.key("coverage").raw(request.coverage_json.empty() ? "{}" : request.coverage_json);
}

constexpr std::string_view kBoundaryPrefix = "consort-";
constexpr std::size_t kBoundaryDigits = 16;

std::string hex(std::uint64_t number) {
  std::string text(kBoundaryDigits, '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, number >>= 4) {
    *digit = "0123456789abcdef"[number & 15];
  }
  return text;
}

/// What follows each kBoundaryPrefix in a text.
void collect_taken(std::string_view text, std::set<std::string_view>& taken) {
  for (std::size_t at = 0; (at = text.find(kBoundaryPrefix, at)) != std::string_view::npos;) {
    at += kBoundaryPrefix.size();
    taken.insert(text.substr(at, kBoundaryDigits));
  }
}

/// One pass over the bodies, whatever they hold: trying one boundary after the other could be made
/// endless by a leaf that guesses them.
std::string boundary_for(const MergeRequest& request, std::string_view document) {
  std::set<std::string_view> taken;
  collect_taken(document, taken);
  for (const MergePart& part : request.parts) {
    if (part.ok) collect_taken(part.body, taken);
  }
  for (std::uint64_t number = 1;; ++number) {
    const std::string digits = hex(number);
    if (!taken.contains(digits)) return std::string(kBoundaryPrefix) + digits;
  }
}

/// A leaf's own words in a header line of ours: no control characters.
std::string header_value(std::string_view text) {
  std::string value(text);
  std::erase_if(value, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return value;
}

}  // namespace

std::string render_part(const MergePart& part, PartBodies bodies, JsonForm form) {
  JsonWriter json;
  add_part(json, part, bodies, form);
  return json.take();
}

std::string render_document(const MergeRequest& request, std::string_view id, PartBodies bodies,
                            JsonForm form) {
  JsonWriter json;
  begin_document(json, request, id);
  json.key("parts").begin_array();
  for (const MergePart& part : request.parts) add_part(json, part, bodies, form);
  json.end_array().end_object();
  return json.take();
}

std::string render_json(const MergeRequest& request) {
  return render_document(request, request.id, PartBodies::include, JsonForm::as_it_came);
}

std::string render_ndjson(const MergeRequest& request) {
  JsonWriter json;
  begin_document(json, request, request.id);
  json.key("total").value(request.total).key("ok").value(request.ok).end_object();
  std::string lines = json.take() + "\n";
  for (const MergePart& part : request.parts) {
    lines += render_part(part, PartBodies::include, JsonForm::one_line);
    lines += '\n';
  }
  return lines;
}

MultipartPayload render_multipart(const MergeRequest& request) {
  const std::string document =
      render_document(request, request.id, PartBodies::leave_out, JsonForm::as_it_came);
  const std::string boundary = boundary_for(request, document);
  MultipartPayload payload;
  payload.content_type = "multipart/mixed; boundary=" + boundary;
  std::string& out = payload.body;
  const auto begin_part = [&out, &boundary](std::string_view type, std::size_t bytes) {
    out.append("--").append(boundary).append("\r\nContent-Type: ").append(type);
    out.append("\r\nContent-Length: ").append(std::to_string(bytes)).append("\r\n");
  };
  begin_part("application/json", document.size());
  out.append("\r\n").append(document).append("\r\n");
  for (const MergePart& part : request.parts) {
    if (!part.ok) continue;
    const std::string type = header_value(part.content_type);
    begin_part(type.empty() ? "application/octet-stream" : type, part.body.size());
    out.append("Consort-Shard: ").append(header_value(part.shard)).append("\r\n\r\n");
    out.append(part.body).append("\r\n");
  }
  out.append("--").append(boundary).append("--\r\n");
  return payload;
}

}  // namespace consort::gather
