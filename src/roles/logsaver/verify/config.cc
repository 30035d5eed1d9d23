#include "roles/logsaver/verify/config.hpp"

#include "roles/logsaver/verify/destination.hpp"

namespace consort::logsaver {
namespace {

constexpr Millis kTimeoutMax{10 * 60 * 1000};

Result<> check_head(const std::string& text) {
  auto head = parse_head(text);
  return head ? Result<>() : fail(std::move(head.error()));
}
Result<> check_timeout(const Millis& timeout) {
  if (timeout >= Millis(1) && timeout <= kTimeoutMax) return {};
  return fail(Errc::invalid, "must be from 1ms to 10m");
}

constexpr Option kTable[] = {
    option<&VerifyConfig::target, check_target>(
        "target",
        "what to verify, as --sink of logsaver names it: s3://BUCKET/PREFIX?.., file:///PATH; or a "
        "file, or a directory; the option's name can be left out",
        kRequired),
    option<&VerifyConfig::no_read>(
        "no-read",
        "do not read what was saved: only that it is there, with its size, and that nothing is "
        "missing"),
    option<&VerifyConfig::from_start>(
        "from-start", "it is an error when the first batches are not there any more"),
    option<&VerifyConfig::head, check_head>(
        "head",
        "BATCH=HASH that an earlier --json has told, and that must be there: proves that nothing "
        "up to it was made anew or taken away",
        kFlagOnly),
    option<&VerifyConfig::json>("json", "one JSON object on standard output instead of lines"),
    option<&VerifyConfig::timeout, check_timeout>("timeout", "how long each request may take"),
};

}  // namespace

std::vector<BoundTable> VerifyConfig::tables() {
  return {{kTable, this}, {kTlsOptions, &tls}};
}

Checker::Rules VerifyConfig::rules() const {
  Checker::Rules rules{.from_start = from_start, .heads = {}};
  for (const std::string& text : head) {
    if (auto parsed = parse_head(text)) rules.heads.push_back(std::move(*parsed));
  }
  return rules;
}

}  // namespace consort::logsaver
