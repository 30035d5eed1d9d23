// Ties the follower to the deliveries: what is found goes to every destination, and a file may be
// forgotten when all of them have it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "roles/logsaver/deliver/delivery.hpp"
#include "roles/logsaver/follow/follower.hpp"

namespace consort::logsaver {

/// Of all followed files, in bytes.
struct FileSums {
  std::uint64_t unread_bytes = 0;  ///< by some destination
  std::uint64_t unsafe_bytes = 0;  ///< of deleted files: neither settled nor in the spool
  std::uint64_t spool_bytes = 0;
};

class Saver final : private TailReaders {
 public:
  Saver(const Follower::World& world, const Selection& selection, FollowSettings settings)
      : follower_(world, selection, settings, *this) {}

  /// Before start().
  void add(std::unique_ptr<Delivery> delivery) {
    delivery->set_follower(follower_);
    deliveries_.push_back(std::move(delivery));
  }
  Result<> start();

  Follower& follower() { return follower_; }
  const Follower& follower() const { return follower_; }
  const std::vector<std::unique_ptr<Delivery>>& deliveries() const { return deliveries_; }
  bool is_idle() const;
  bool is_settled() const;
  /// Bytes of that tail that not every destination has confirmed.
  std::uint64_t settled_of(const Tail& tail) const { return settled_to(tail); }
  std::uint64_t read_of(const Tail& tail) const;
  /// Linear in tails.
  FileSums file_sums() const;
  /// The same, of the file with that identity (its generation aside); what is lost counts as
  /// settled. Nothing when it is not followed. Linear in tails.
  std::optional<std::uint64_t> settled_of(const io::FileIdentity& identity) const;

 private:
  void on_new(Tail& tail) override;
  void on_bytes(Tail& tail) override;
  void on_dropped(Tail& tail) override;
  Progress read_most(const Tail& tail) const override;
  std::uint64_t settled_to(const Tail& tail) const override;
  bool is_settled(const Tail& tail) const override;

  std::vector<std::unique_ptr<Delivery>> deliveries_;
  Follower follower_;  // before the deliveries in death: it tells them of dropped tails
};

}  // namespace consort::logsaver
