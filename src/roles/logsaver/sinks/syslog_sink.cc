#include "roles/logsaver/sinks/syslog_sink.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "async/deadline.hpp"
#include "net/dial.hpp"
#include "roles/logsaver/sinks/http_verdict.hpp"
#include "roles/logsaver/sinks/syslog_encoding.hpp"

namespace consort::logsaver {

SyslogSink::SyslogSink(const SinkWorld& world, Settings settings)
    : world_(world), settings_(std::move(settings)) {}

std::unique_ptr<Encoding> SyslogSink::make_encoding() const {
  return std::make_unique<SyslogEncoding>(settings_.app_name);
}

Task<Outcome> SyslogSink::deliver(const Batch& batch) {
  const Deadline deadline = Deadline::after(world_.loop.now_ms(), settings_.timeout);
  Result<> sent = co_await send(batch, deadline);
  if (sent) co_return Outcome::ok();
  stream_.reset();
  const std::string why = name() + ": " + sent.error().message();
  const HttpVerdict verdict = judge_failure(sent.error().code());
  if (verdict == HttpVerdict::hold) co_return Outcome::stuck(why);
  co_return Outcome::again(why, Millis{0}, verdict == HttpVerdict::overload);
}

Task<Result<>> SyslogSink::send(const Batch& batch, Deadline deadline) {
  if (stream_) {
    // A receiver that left while nothing was to be sent has shown it by now.
    const Deadline now{world_.loop.now_ms()};
    const bool stands = co_await stands_until(now);
    if (!stands || !is_clean_) stream_.reset();
  }
  if (!stream_) {
    const DialWorld world{world_.loop, world_.network, world_.dns};
    auto stream = co_await dial(world, settings_.address, settings_.tls, deadline);
    if (!stream) co_return fail(std::move(stream.error()));
    stream_ = std::move(*stream);
  }
  is_clean_ = false;
  std::string bytes = batch.body;
  Result<> written = co_await stream_->write_all(std::move(bytes), deadline);
  if (!written) co_return written;
  is_clean_ = true;
  if (settings_.confirm == SyslogConfirm::close) co_return co_await finish(deadline);
  co_return co_await settle(deadline);
}

Task<Result<>> SyslogSink::settle(Deadline deadline) {
  for (Millis wait = kSettle;; wait = std::min(wait + kSettle, kSettleMost)) {
    const Deadline look = earlier(deadline, Deadline::after(world_.loop.now_ms(), wait));
    const bool stands = co_await stands_until(look);
    if (!stands) {
      co_return fail(Errc::closed, "the receiver closed the connection behind the batch");
    }
    const std::size_t unconfirmed = stream_->unconfirmed_bytes();
    if (unconfirmed == 0) co_return Result<>();
    if (deadline.passed(world_.loop.now_ms())) {
      const std::string bytes = std::to_string(unconfirmed) + " bytes of the batch";
      co_return fail(Errc::timed_out, "the receiver has not confirmed " + bytes);
    }
  }
}

Task<bool> SyslogSink::stands_until(Deadline deadline) {
  while (true) {
    const Result<std::string_view> bytes = co_await stream_->read_some(deadline);
    if (!bytes) co_return bytes.error().code() == Errc::timed_out;
    // Receivers say nothing; one that talks without end must not keep us.
    if (deadline.passed(world_.loop.now_ms())) co_return true;
  }
}

Task<Result<>> SyslogSink::finish(Deadline deadline) {
  const std::unique_ptr<AsyncStream> stream = std::move(stream_);
  stream->shutdown_write();
  while (true) {
    Result<std::string_view> bytes = co_await stream->read_some(deadline);
    if (bytes) {
      if (!deadline.passed(world_.loop.now_ms())) continue;
      co_return fail(Errc::timed_out, "the receiver did not close the connection");
    }
    // Few receivers of TLS say goodbye as it asks for; the FIN behind it is enough for us.
    const Errc code = bytes.error().code();
    const bool is_end = code == Errc::closed && bytes.error().sys() == 0;
    if (is_end || (settings_.tls != nullptr && code == Errc::protocol)) co_return Result<>();
    co_return fail(std::move(bytes.error()).in("waiting for the receiver to have read all"));
  }
}

Task<> SyslogSink::close(Deadline deadline) {
  if (!stream_) co_return;
  const Result<> finished = co_await finish(deadline);
  if (!finished) {
    world_.log.warn("sink.unconfirmed", {{"sink", name()}, {"why", finished.error().message()}});
  }
}

}  // namespace consort::logsaver
