// Loki's push body (POST /loki/api/v1/push, JSON), and its parts.
//
//   {"streams":[{"stream":{"file":"/var/log/app.log","host":"a"},
//                "values":[["1714565045123000000","first line"],["1714565045123000001","2nd"]]}]}
//
//   stream   the labels of the file; "file" and "host" among them, "stream" (stdout, stderr) where
//            the runtime tells. Few and stable: each combination is an index entry of Loki's.
//   value    time and line; a record that is a JSON object is that object's text
//   time     the record's own, else the batch's plus the record's number in it
//
// Loki stores an entry only once that is equal in stream, time and line. That makes sending twice
// harmless, and would make one of two equal lines; so no two entries of one batch have the same
// time: those that would get a nanosecond more each. Limit: of two equal lines with equal times of
// their own one is lost when a batch ends exactly between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "roles/logsaver/sinks/body_shape.hpp"
#include "roles/logsaver/sinks/json_text.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

/// Times that are distinct, and as the records' own wherever these are.
class DistinctTimes {
 public:
  void clear();
  std::int64_t take(std::int64_t wanted_ns);

 private:
  std::vector<std::int64_t> taken_;
  std::unordered_set<std::int64_t> index_;  ///< of taken_, once times have gone backwards
  bool is_indexed_ = false;
  std::int64_t max_ns_ = 0;
  std::int64_t wanted_ns_ = 0;  ///< of the record before
  std::int64_t given_ns_ = 0;
};

class LokiEncoding final : public Encoding {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  LokiEncoding(Labels labels, InvalidUtf8 invalid)
      : labels_(std::move(labels)), invalid_(invalid) {}
  void begin(const BatchHead& head, std::string& out) override;
  void record(const Record& record, const TailFacts& facts, std::string& out) override;
  void end_extent(std::string& out) override;
  void end(std::string& out) override;

 private:
  void open_stream(const Record& record, const TailFacts& facts, std::string& out);

  const Labels labels_;
  const InvalidUtf8 invalid_;
  std::int64_t created_ns_ = 0;
  std::int64_t records_ = 0;
  DistinctTimes times_;
  const TailFacts* open_ = nullptr;  ///< whose stream takes values
  bool has_streams_ = false;
  std::string open_stream_;
};

/// [a-zA-Z_][a-zA-Z0-9_]*, with '_' for what is not.
std::string loki_label_name(std::string_view name);

class LokiShape final : public BodyShape {
 public:
  Result<std::vector<BodyPart>> take_apart(std::string_view body) const override;
  void put_together(std::span<const BodyPart> parts, std::string& out) const override;
  /// The line.
  std::string shown(const BodyPart& part) const override;
  /// The same lines with times from `first_ns` on, for a server that finds their own too old.
  static void put_together_at(std::int64_t first_ns, std::span<const BodyPart> parts,
                              std::string& out);
};

}  // namespace consort::logsaver
