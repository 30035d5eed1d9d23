#include "roles/shard_proxy/gather.hpp"

#include "roles/shard_proxy/client.hpp"

namespace consort::shard_proxy {

Gather::Gather(Client& client, std::uint32_t slot, std::uint32_t parts)
    : parts_(parts), client_(client), slot_(slot), missing_(parts) {}

Gather::~Gather() {
  client_.release_gathered(bytes_);
}

void Gather::on_reply(std::uint32_t tag, std::string_view bytes, bool last) {
  Part& part = parts_[tag];
  if (!part.failed && bytes_ + bytes.size() > limit_) {
    fail_part(part, Failure{"the merged reply", "is larger than cross_server_limit"});
  } else if (!part.failed && client_.may_gather(bytes.size())) {
    bytes_ += bytes.size();
    part.reply.append(bytes);
  } else if (!part.failed) {
    fail_part(part, Failure{"the merged reply", "is larger than 1 GiB"});
  }
  if (last) part_done();
}

void Gather::on_failure(std::uint32_t tag, const Failure& failure) {
  fail_part(parts_[tag], failure);
  part_done();
}

void Gather::fail_part(Part& part, const Failure& failure) {
  client_.release_gathered(part.reply.size());
  bytes_ -= part.reply.size();
  part.reply = {};
  part.failed = true;
  part.failure = failure_line(failure);
}

void Gather::part_done() {
  if (--missing_ != 0) return;
  std::string reply = merge();
  client_.gathered(slot_, reply);  // destroys this
}

}  // namespace consort::shard_proxy
