// Elasticsearch's and OpenSearch's _bulk body: two lines for each record, the last one too with its
// line end.
//
//   {"create":{"_id":"4f2a9c01d3b7e655-17-4711"}}
//   {"file":"/var/log/app.log","offset":4711,"@timestamp":"2024-05-01T12:04:05.123456789Z",...}
//
// The id is made of the tail and the offset (append_record_id), so a document that is sent again is
// refused with 409: nothing is stored twice. `create` is all that data streams take. Names are
// unique, for Elasticsearch refuses objects that have a name twice. A record without a time of its
// own gets the batch's, which is the same when it is sent again.
#pragma once

#include <cstdint>
#include <string>

#include "roles/logsaver/sinks/json_record.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

class EsEncoding final : public Encoding {
 public:
  explicit EsEncoding(InvalidUtf8 invalid);
  void begin(const BatchHead& head, std::string& out) override;
  void record(const Record& record, const TailFacts& facts, std::string& out) override;

 private:
  JsonRecordWriter writer_;
  std::int64_t created_ns_ = 0;
};

}  // namespace consort::logsaver
