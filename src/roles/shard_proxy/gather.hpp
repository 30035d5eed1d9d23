// One request that was split over several servers, and the merging of their replies into one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "roles/shard_proxy/reply_sink.hpp"

namespace consort::shard_proxy {

class Client;

/// How parts become one reply. The part of each key, and its place in the request, are kept, so
/// that order and duplicates come out as one server would answer them. Parts are kept whole until
/// all are there, since they interleave key by key; what they take counts against the client.
class Gather : public ReplySink {
 public:
  /// `parts` replies are awaited, tagged 0..parts-1; then client.gathered(slot, reply).
  Gather(Client& client, std::uint32_t slot, std::uint32_t parts);
  virtual ~Gather();
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;

  void on_reply(std::uint32_t tag, std::string_view bytes, bool last) final;
  void on_failure(std::uint32_t tag, const Failure& failure) final;
  bool congested(std::uint32_t) const final { return false; }
  void wait_for_room(ReplySource&, std::uint32_t) final {}
  void forget_waiting(ReplySource&) final {}

 protected:
  struct Part {
    std::string reply;
    std::string failure;  ///< the protocol's error line when the server failed
    bool failed = false;
  };
  /// Most bytes of replies that may be kept.
  void limit_to(std::size_t bytes) { limit_ = bytes; }
  virtual std::string merge() = 0;
  virtual std::string failure_line(const Failure& failure) const = 0;

  std::vector<Part> parts_;

 private:
  void fail_part(Part& part, const Failure& failure);
  void part_done();

  Client& client_;
  const std::uint32_t slot_;
  std::size_t missing_;
  std::size_t bytes_ = 0;  ///< of the parts that are kept
  std::size_t limit_ = ~std::size_t{0};
};

}  // namespace consort::shard_proxy
