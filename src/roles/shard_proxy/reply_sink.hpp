// Where a server's reply goes: to the client that asked, or to a gathering of several replies.
#pragma once

#include <cstdint>
#include <string_view>

namespace consort::shard_proxy {

/// A connection that has stopped reading for the sake of a receiver.
class ReplySource {
 public:
  /// The receiver that made it wait takes bytes again.
  virtual void receiver_ready() = 0;

 protected:
  ~ReplySource() = default;
};

/// Why a forwarded request will have no (whole) reply.
struct Failure {
  std::string_view server;  ///< the server's name in the configuration
  std::string_view reason;  ///< "timed out", "Connection refused"
};

/// The tag is the sink's own: it says which of its requests the reply belongs to. For every request
/// that was given to a connection there is either on_reply(.., last) or on_failure, exactly once.
class ReplySink {
 public:
  /// Some bytes of a reply, in order; `last` with the final ones.
  virtual void on_reply(std::uint32_t tag, std::string_view bytes, bool last) = 0;
  virtual void on_failure(std::uint32_t tag, const Failure& failure) = 0;
  /// True while so much of this receiver's is unsent that a long reply should wait. The source then
  /// stops reading, says wait_for_room() and is told by ReplySource::receiver_ready(). When
  /// requests of others wait behind that reply the source goes on, says cannot_wait() for each
  /// further part, and the receiver keeps to its own limits.
  virtual bool congested(std::uint32_t tag) const = 0;
  virtual void wait_for_room(ReplySource& source, std::uint32_t tag) = 0;
  virtual void cannot_wait() {}
  /// The source no longer waits: it failed.
  virtual void forget_waiting(ReplySource& source) = 0;

 protected:
  ~ReplySink() = default;
};

}  // namespace consort::shard_proxy
