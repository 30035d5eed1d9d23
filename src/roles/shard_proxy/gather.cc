#include "roles/shard_proxy/gather.hpp"

#include "roles/shard_proxy/client.hpp"

namespace consort::shard_proxy {

Gather::Gather(Client& client, std::uint32_t slot, std::uint32_t parts)
    : parts_(parts), client_(client), slot_(slot), missing_(parts) {}

void Gather::on_reply(std::uint32_t tag, std::string_view bytes, bool last) {
  Part& part = parts_[tag];
  bytes_ += bytes.size();
  if (bytes_ > kMaxMergedBytes && !part.failed) {
    part = Part{};
    part.failed = true;
    part.failure = failure_line(Failure{"the merged reply", "is larger than 1 GiB"});
  }
  if (!part.failed) part.reply.append(bytes);
  if (last) part_done();
}

void Gather::on_failure(std::uint32_t tag, const Failure& failure) {
  Part& part = parts_[tag];
  part.failed = true;
  part.reply.clear();
  part.failure = failure_line(failure);
  part_done();
}

void Gather::part_done() {
  if (--missing_ != 0) return;
  std::string reply = merge();
  client_.gathered(slot_, reply, *this);  // destroys this
}

}  // namespace consort::shard_proxy
