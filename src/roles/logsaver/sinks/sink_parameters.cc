// The table of all parameters of all sinks.
#include <array>

#include "roles/logsaver/sinks/sink_url.hpp"

namespace consort::logsaver {
namespace {

template <class... Kinds>
constexpr std::uint32_t of(Kinds... kinds) {
  return ((1U << static_cast<unsigned>(kinds)) | ...);
}

using enum SinkKind;
constexpr std::uint32_t kAll = of(file, standard_output, null, http, loki, es, otlp, syslog, s3);
constexpr std::uint32_t kHttpLike = of(http, loki, es, otlp);
constexpr std::uint32_t kLines = of(file, standard_output, null, http, s3);

Result<> check_batch(const ByteSize& size) {
  if (size.bytes >= 1024 && size.bytes <= 256 * 1024 * 1024) return {};
  return fail(Errc::invalid, Text<ByteSize>::print(size) + " is not between 1KiB and 256MiB");
}

Result<> check_in_flight(const std::uint32_t& count) {
  if (count >= 1 && count <= 64) return {};
  return fail(Errc::invalid, std::to_string(count) + " is not between 1 and 64");
}

Result<> check_wait(const Millis& wait) {
  if (wait >= Millis(1) && wait <= Millis(3'600'000)) return {};
  return fail(Errc::invalid, Text<Millis>::print(wait) + " is not between 1ms and 1h");
}

Result<> check_label(const std::string& label) {
  const std::size_t equals = label.find('=');
  if (equals != label.npos && equals > 0) return {};
  return fail(Errc::invalid, in_quotes(label) + " is no NAME=VALUE");
}

const std::array kParameters{
    SinkParameter{option<&SinkSettings::batch_bytes, check_batch>(
                      "batch_bytes", "how large a batch gets, before it is compressed"),
                  kAll},
    SinkParameter{option<&SinkSettings::batch_time, check_wait>(
                      "batch_time", "how long a record waits for its batch to fill"),
                  kAll},
    SinkParameter{option<&SinkSettings::compress>("compress", "how bodies are compressed"),
                  kAll & ~of(syslog)},
    SinkParameter{option<&SinkSettings::encode>(
                      "encode", "raw: lines as they were written; ndjson: JSON objects"),
                  kLines},
    SinkParameter{option<&SinkSettings::in_flight, check_in_flight>(
                      "in_flight", "how many batches are on their way at once"),
                  kHttpLike | of(null, s3)},
    SinkParameter{
        option<&SinkSettings::timeout, check_wait>("timeout", "how long one try may take"),
        kAll & ~of(null)},
    SinkParameter{option<&SinkSettings::sync>("sync", "fdatasync after each batch"), of(file)},
    SinkParameter{
        option<&SinkSettings::manifest>(
            "manifest",
            "keep with each batch what `consort sidecar verify` needs; on for s3, off for "
            "file"),
        of(file, s3)},
    SinkParameter{option<&SinkSettings::method>("method", "how bodies are sent"), of(http)},
    SinkParameter{option<&SinkSettings::query>("query", "what the server wants behind its '?'"),
                  of(http)},
    SinkParameter{option<&SinkSettings::header>("header", "NAME:VALUE, sent with each request"),
                  kHttpLike},
    SinkParameter{option<&SinkSettings::token_file>("token_file", "a file with a bearer token"),
                  kHttpLike},
    SinkParameter{option<&SinkSettings::user>("user", "who we are, with password_file"), kHttpLike},
    SinkParameter{option<&SinkSettings::password_file>("password_file", "the user's password"),
                  kHttpLike},
    SinkParameter{option<&SinkSettings::label, check_label>("label", "NAME=VALUE, for all records"),
                  of(loki, otlp)},
    SinkParameter{option<&SinkSettings::tenant>("tenant", "X-Scope-OrgID"), of(loki)},
    SinkParameter{option<&SinkSettings::late>(
                      "late",
                      "entries that Loki finds too old: given the batch's time, dropped, or "
                      "rejected"),
                  of(loki)},
    SinkParameter{option<&SinkSettings::index>("index", "index or data stream"), of(es)},
    SinkParameter{option<&SinkSettings::app_name>("app_name", "APP-NAME of all messages"),
                  of(syslog)},
    SinkParameter{option<&SinkSettings::confirm>(
                      "confirm",
                      "close: end the connection after each batch, to know that the "
                      "receiver has read it"),
                  of(syslog)},
    SinkParameter{option<&SinkSettings::endpoint>("endpoint", "the server's URL, if it is not AWS"),
                  of(s3)},
    SinkParameter{option<&SinkSettings::region>("region", "the bucket's region"), of(s3)},
    SinkParameter{option<&SinkSettings::path_style>("path_style", "the bucket in the path"),
                  of(s3)},
    SinkParameter{option<&SinkSettings::key>("key", "the template of objects' names"), of(s3)},
    SinkParameter{option<&SinkSettings::profile>("profile", "of the shared credentials file"),
                  of(s3)},
    SinkParameter{
        option<&SinkSettings::access_key_file>("access_key_file", "a file with the access key id"),
        of(s3)},
    SinkParameter{option<&SinkSettings::secret_key_file>("secret_key_file",
                                                         "a file with the secret access key"),
                  of(s3)},
    SinkParameter{option<&SinkSettings::session_token_file>("session_token_file",
                                                            "a file with the session token"),
                  of(s3)},
};

}  // namespace

std::span<const SinkParameter> sink_parameters() {
  return kParameters;
}

}  // namespace consort::logsaver
