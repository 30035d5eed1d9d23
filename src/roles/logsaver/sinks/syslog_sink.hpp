// Syslog over TCP or TLS (RFC 6587, RFC 5425), on one connection that is kept.
//
//   none --dial--> idle --batch written, confirmed by the peer's kernel--> idle (delivered)
//                   |              | any failure, within kSettle too
//                   +--peer ended--+--> none (the batch goes out again, whole)
//
// At least once, and no better: syslog has no acknowledgements. `delivered` means that the peer's
// kernel has confirmed every byte and that no failure came back for kSettle; a receiver that dies
// with bytes in its kernel's buffer has lost them, and nobody tells us.
//
// confirm=close closes it: after each batch we say that nothing more comes and wait for the
// receiver to do the same, which it does after it has read all. It costs a connection per batch,
// so larger batches are better then. close() does the same for the last connection.
//
// What came twice has the same f and o in its structured data (syslog_encoding.hpp).
#pragma once

#include <memory>
#include <string>

#include "async/task.hpp"
#include "base/address.hpp"
#include "io/tls.hpp"
#include "net/async_stream.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"

namespace consort::logsaver {

enum class SyslogConfirm : std::uint8_t { written, close };

class SyslogSink final : public Sink {
 public:
  static constexpr Millis kSettle{5};
  static constexpr Millis kSettleMost{40};  ///< between looks; about a delayed ACK

  struct Settings {
    std::string name;
    SinkTraits traits;
    Address address;
    io::TlsClient* tls = nullptr;  ///< null: plain TCP
    std::string app_name;
    SyslogConfirm confirm = SyslogConfirm::written;
    Millis timeout{30'000};  ///< of connecting, writing and confirming together
  };
  SyslogSink(const SinkWorld& world, Settings settings);

  const std::string& name() const override { return settings_.name; }
  const SinkTraits& traits() const override { return settings_.traits; }
  std::unique_ptr<Encoding> make_encoding() const override;
  Task<Outcome> deliver(const Batch& batch) override;
  Task<> close(Deadline deadline) override;

 private:
  Task<Result<>> send(const Batch& batch, Deadline deadline);
  Task<Result<>> settle(Deadline deadline);
  /// Reads what nobody wants until the deadline (true) or the peer's end (false).
  Task<bool> stands_until(Deadline deadline);
  Task<Result<>> finish(Deadline deadline);

  const SinkWorld world_;
  const Settings settings_;
  std::unique_ptr<AsyncStream> stream_;
  bool is_clean_ = true;  ///< no message was begun that is not at its end
};

}  // namespace consort::logsaver

namespace consort {
template <>
struct Choices<logsaver::SyslogConfirm> {
  static constexpr std::string_view names[] = {"written", "close"};
};
}  // namespace consort
