#include "net/s3_xml.hpp"

#include <charconv>
#include <utility>

#include "net/xml_walk.hpp"
#include "wire/http1_text.hpp"

namespace consort::s3 {
namespace {

constexpr std::size_t kMaxCodeBytes = 64;
constexpr std::size_t kMaxMessageBytes = 300;

std::string_view without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"')) {
    etag = etag.substr(1, etag.size() - 2);
  }
  return etag;
}

bool is_code(std::string_view text) {
  if (text.empty() || text.size() > kMaxCodeBytes) return false;
  for (const char c : text) {
    const bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

/// Fit for a log line.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kMaxMessageBytes));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return out;
}

/// What encoding-type=url asks for, undone; keys may hold what XML cannot.
Result<> decode(std::string& text) {
  Result<std::string> decoded = http1::percent_decode(text, http1::Plus::is_blank);
  if (!decoded) return fail(std::move(decoded.error()).in("a key in the listing"));
  text = std::move(*decoded);
  return {};
}

tl::unexpected<Error> not_a(std::string_view what) {
  return fail(Errc::protocol, "the answer is not " + std::string(what));
}

}  // namespace

std::optional<Fault> parse_fault(std::string_view body) {
  Fault fault;
  bool is_error = false;
  const Result<> walked = walk_xml(body, [&](std::string_view path, std::string_view text) {
    if (path == "Error/Code" && is_code(text)) fault.code = text;
    if (path == "Error/Message") fault.message = shown(text);
    is_error = is_error || path == "Error";
  });
  if (!walked || !is_error) return std::nullopt;
  return fault;
}

Result<Listing> parse_listing(std::string_view body) {
  Listing listing;
  Entry entry;
  bool is_listing = false;
  bool is_truncated = false;
  bool is_encoded = false;
  bool is_broken = false;
  Result<> walked = walk_xml(body, [&](std::string_view path, std::string_view text) {
    if (path == "ListBucketResult/Contents/Key") {
      entry.key = text;
    } else if (path == "ListBucketResult/Contents/ETag") {
      entry.etag = without_quotes(text);
    } else if (path == "ListBucketResult/Contents/Size") {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), entry.size);
      is_broken = is_broken || error != std::errc() || end != text.data() + text.size();
    } else if (path == "ListBucketResult/Contents") {
      is_broken = is_broken || entry.key.empty() || listing.entries.size() == kMaxListed;
      if (!is_broken) listing.entries.push_back(std::exchange(entry, Entry()));
    } else if (path == "ListBucketResult/EncodingType") {
      is_encoded = text == "url";
    } else if (path == "ListBucketResult/NextContinuationToken") {
      listing.next = text;
    } else if (path == "ListBucketResult/IsTruncated") {
      is_truncated = text == "true";
    } else if (path == "ListBucketResult") {
      is_listing = true;
    }
  });
  if (!walked) return fail(std::move(walked.error()));
  // Without a place to go on, a cut list would be taken for a whole one.
  if (!is_listing || is_broken || (is_truncated && listing.next.empty())) {
    return not_a("a list of objects");
  }
  if (!is_truncated) listing.next.clear();
  for (Entry& each : listing.entries) {
    Result<> decoded = is_encoded ? decode(each.key) : Result<>();
    if (!decoded) return fail(std::move(decoded.error()));
  }
  return listing;
}

Result<Uploads> parse_uploads(std::string_view body) {
  Uploads found;
  Upload upload;
  bool is_list = false;
  bool is_truncated = false;
  bool is_encoded = false;
  bool is_broken = false;
  Result<> walked = walk_xml(body, [&](std::string_view path, std::string_view text) {
    if (path == "ListMultipartUploadsResult/Upload/Key") {
      upload.key = text;
    } else if (path == "ListMultipartUploadsResult/Upload/UploadId") {
      upload.id = text;
    } else if (path == "ListMultipartUploadsResult/Upload") {
      is_broken = is_broken || upload.key.empty() || upload.id.empty() ||
                  found.uploads.size() == kMaxListed;
      if (!is_broken) found.uploads.push_back(std::exchange(upload, Upload()));
    } else if (path == "ListMultipartUploadsResult/EncodingType") {
      is_encoded = text == "url";
    } else if (path == "ListMultipartUploadsResult/NextKeyMarker") {
      found.next_key = text;
    } else if (path == "ListMultipartUploadsResult/NextUploadIdMarker") {
      found.next_id = text;
    } else if (path == "ListMultipartUploadsResult/IsTruncated") {
      is_truncated = text == "true";
    } else if (path == "ListMultipartUploadsResult") {
      is_list = true;
    }
  });
  if (!walked) return fail(std::move(walked.error()));
  if (!is_list || is_broken || (is_truncated && found.next_key.empty())) {
    return not_a("a list of uploads");
  }
  if (!is_truncated) {
    found.next_key.clear();
    found.next_id.clear();
  }
  for (Upload& each : found.uploads) {
    Result<> decoded = is_encoded ? decode(each.key) : Result<>();
    if (!decoded) return fail(std::move(decoded.error()));
  }
  if (is_encoded) {
    Result<> decoded = decode(found.next_key);
    if (!decoded) return fail(std::move(decoded.error()));
  }
  return found;
}

Result<std::string> parse_upload_id(std::string_view body) {
  std::string id;
  Result<> walked = walk_xml(body, [&](std::string_view path, std::string_view text) {
    if (path == "InitiateMultipartUploadResult/UploadId") id = text;
  });
  if (!walked) return fail(std::move(walked.error()));
  if (id.empty()) return not_a("a new upload");
  return id;
}

Result<std::string> parse_completed(std::string_view body) {
  std::string etag;
  bool is_completed = false;
  Result<> walked = walk_xml(body, [&](std::string_view path, std::string_view text) {
    if (path == "CompleteMultipartUploadResult/ETag") etag = without_quotes(text);
    is_completed = is_completed || path == "CompleteMultipartUploadResult";
  });
  if (!walked) return fail(std::move(walked.error()));
  if (!is_completed) return not_a("a completed upload");
  return etag;
}

std::string write_complete(const std::vector<std::string>& etags) {
  std::string out = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t i = 0; i < etags.size(); ++i) {
    out.append("<Part><PartNumber>").append(std::to_string(i + 1)).append("</PartNumber><ETag>");
    out.append(xml_escape(etags[i])).append("</ETag></Part>");
  }
  return out.append("</CompleteMultipartUpload>");
}

}  // namespace consort::s3
