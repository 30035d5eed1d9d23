// The answers of S3 whose bodies count, as values, and the one body that we write.
//
//   <Error><Code>NoSuchKey</Code><Message>...</Message></Error>          also under status 200
//   <ListBucketResult><Contents><Key>a</Key><Size>3</Size>...            ListObjectsV2
//   <ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>...        ListMultipartUploads
//   <InitiateMultipartUploadResult><UploadId>...                         CreateMultipartUpload
//   <CompleteMultipartUploadResult><ETag>...                             CompleteMultipartUpload
//
// Source: Amazon S3 API Reference. Pure; fuzzed (tests/fuzz/s3_xml.cc). Elements that are not
// needed are passed over; lists are at most kMaxListed long, as S3 promises for one answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace consort::s3 {

inline constexpr std::size_t kMaxListed = 1000;

/// What a refusal says.
struct Fault {
  std::string code;     ///< "NoSuchBucket"; letters and digits only, at most 64
  std::string message;  ///< for people; cut, without control bytes
};
/// Nothing when the body is no <Error> document, whatever else it is.
std::optional<Fault> parse_fault(std::string_view body);

struct Entry {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;  ///< without its quotes
};
struct Listing {
  std::vector<Entry> entries;
  std::string next;  ///< where to go on; empty at the end
};
Result<Listing> parse_listing(std::string_view body);

struct Upload {
  std::string key;
  std::string id;
};
struct Uploads {
  std::vector<Upload> uploads;
  std::string next_key;  ///< where to go on, with next_id; both empty at the end
  std::string next_id;
};
Result<Uploads> parse_uploads(std::string_view body);

/// Of a new upload; never empty.
Result<std::string> parse_upload_id(std::string_view body);
/// Of a completed object, without its quotes. An <Error> body is Errc::protocol: see parse_fault.
Result<std::string> parse_completed(std::string_view body);

/// The body of CompleteMultipartUpload: the parts' ETags in order, numbered from 1.
std::string write_complete(const std::vector<std::string>& etags);

}  // namespace consort::s3
