// One request at all of its leaves: the machine in the middle of gather-root.
//
//   per shard:  call --ok-----------------------------------------------> done (part is merged)
//                |  \--late--> hedge: a second call elsewhere; first good one wins, the other is
//                |             given up
//                |--refused, reset, 502, 503, 504--> next replica, now (attempts, retry budget)
//                +--else, or nothing left to try---> done (failed, timed out, unavailable)
//
//   request:    ends when all shards are done; when the mode or the merge has enough; when coverage
//               suffices and the adaptive wait is over; when all are needed and one has failed (of
//               a read); or at the deadline. Whatever is under way then is given up: its connection
//               closes.
//
// The adaptive wait is Vespa's (AdaptiveTimeoutHandler): once min_coverage is reached the last
// shards get `least` of the time left when one is missing, up to `most` of it when as many are
// missing as may be. Each further answer makes it shorter. A leaf that is itself a root counts as
// what is behind it, as far as that is known.
//
// One timer per request, whatever its width: the earliest of deadline, wait's end and hedges. A
// call costs no allocation beside its body, but for a shard's second. Belongs to the role's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/event.hpp"
#include "async/timer.hpp"
#include "base/byte_arena.hpp"
#include "base/mostly_one.hpp"
#include "net/http_pool.hpp"
#include "roles/gather/backend.hpp"
#include "roles/gather/coverage.hpp"
#include "roles/gather/leaf_request.hpp"
#include "roles/gather/merge/merge.hpp"
#include "roles/gather/outcome.hpp"
#include "roles/gather/route.hpp"

namespace consort::gather {

/// How an attempt ended, for the timeline.
enum class AttemptEnd : std::uint8_t { none, won, failed, superseded, timed_out };
std::string_view to_string(AttemptEnd end);

class Fanout final : private http::Call::Owner {
 public:
  struct Leaf;

  /// One call, or one that waits for a place at its replica.
  struct Attempt final : http::Call, Backend::Waiter {
    Attempt(Fanout& of, Leaf& leaf, Backend& backend);
    void on_place() override;

    Fanout& fanout;
    Leaf& leaf;
    Backend& backend;
    std::uint32_t replica = 0;
    std::uint32_t number = 1;
    bool is_hedge = false;
    bool is_running = false;
    AttemptEnd end = AttemptEnd::none;
    std::uint64_t asked_ns = 0;    ///< when it was decided on
    std::uint64_t started_ns = 0;  ///< when it had its place
    std::uint64_t ended_ns = 0;
    int status_seen = 0;
    std::uint64_t body_bytes = 0;  ///< that memory is accounted for
    std::string why;               ///< it failed
  };

  /// One shard of the request, and in the end what came of it.
  struct Leaf {
    std::uint32_t index = 0;  ///< in the topology
    Shard* shard = nullptr;
    bool is_done = false;
    bool is_hedged = false;
    LeafVerdict verdict = LeafVerdict::skipped;
    int status = 0;
    std::optional<ProxyError> error;
    std::string details;
    std::string content_type;
    http1::Headers refusal_headers;   ///< of a 4xx: what its status demands
    std::string body;                 ///< unless a built-in merge has it
    std::optional<Coverage> covered;  ///< what a leaf says that is itself a root
    std::uint64_t hedge_at_us = UINT64_MAX;
    std::string_view hedge_note;  ///< why there was no hedge, or not yet
    std::uint64_t ended_ns = 0;
    MostlyOne<Attempt> attempts;

    std::string_view id() const { return shard->spec->id; }
  };

  struct Plan {
    RouteState& route;
    std::size_t route_index = 0;  ///< in the generation
    std::shared_ptr<Generation> generation;
    std::vector<std::uint32_t> shards;
    const LeafRequest& request;
    std::uint64_t deadline_ms = 0;     ///< for the leaves, on the loop's clock
    bool deadline_is_clients = false;  ///< shorter than the route's: no replica's fault
    bool accepts_partial = false;      ///< the client takes less than min_coverage
    double min_coverage = 100;
    Merge* merge = nullptr;  ///< fed as parts arrive; null: bodies stay in the leaves
  };

  Fanout(RootState& root, Plan plan);
  Fanout(const Fanout&) = delete;
  Fanout& operator=(const Fanout&) = delete;
  ~Fanout();

  /// Sends everything. Call once, then wait for done().
  void start();
  Event::Wait done() { return done_.wait(); }

  // Once it is done:
  const std::vector<Leaf>& leaves() const { return leaves_; }
  std::vector<Leaf>& leaves() { return leaves_; }
  std::vector<LeafResult> results() const;
  Coverage coverage() const;
  /// The mode has as many good answers as it asked for.
  bool is_satisfied() const;
  LimitHit limit_hit() const { return limit_hit_; }
  bool saw_loop() const { return saw_loop_; }
  std::uint64_t started_ns() const { return started_ns_; }

 private:
  // fanout.cc: the request
  void on_timer();
  void arm_timer();
  void settle();
  bool is_hopeless() const;
  bool suffices() const;
  void adapt_wait();
  void expire();
  void leave_lines();
  void finish();
  void end_leaf(Leaf& leaf, LeafVerdict verdict);
  void fail_leaf(Leaf& leaf, ProxyError error, std::string details);
  void lose_leaf(Leaf& leaf, LeafVerdict verdict, std::string details);
  std::uint32_t needed() const;
  static Coverage coverage_by(const Leaf& leaf, LeafVerdict verdict);

  // fanout_calls.cc: the calls
  void on_response(http::Call& call) override;
  void on_call_failed(http::Call& call, http::CallFailure failure) override;
  bool on_body_bytes(http::Call& call, std::size_t more) override;
  void start_attempt(Leaf& leaf, std::uint32_t replica, bool is_hedge);
  bool start_next(Leaf& leaf);
  std::optional<std::uint32_t> pick(Leaf& leaf, ReplicaChoice::For what);
  std::optional<std::uint32_t> pick_busy(Leaf& leaf) const;
  void begin_call(Attempt& attempt);
  std::string_view head_of(const Attempt& attempt, std::uint64_t left_us);
  void end_attempt(Attempt& attempt, AttemptEnd end);
  void teach(const Attempt& attempt);
  void give_up(Attempt& attempt, AttemptEnd end, bool is_replicas_fault);
  void take_good(Attempt& attempt, LeafVerdict verdict);
  void take_refusal(Attempt& attempt);
  void take_bad_status(Attempt& attempt);
  bool feed(Attempt& attempt);
  void forget_body(Attempt& attempt);
  bool try_next(Leaf& leaf);
  void hedge_late();
  void hedge(Leaf& leaf, std::uint64_t delay_us, std::uint32_t late);
  bool has_running(const Leaf& leaf) const;
  std::uint64_t elapsed_us(const Attempt& attempt) const;
  std::string_view deadline_lines(std::uint64_t left_us);

  RootState& root_;
  Plan plan_;
  RouteShards& shards_;
  ByteArena heads_;  ///< of requests, before the calls that send them
  std::vector<Leaf> leaves_;
  Event done_;
  Timer timer_;
  std::uint64_t started_ns_ = 0;
  std::uint64_t now_ns_ =
      0;  ///< of the event under way: reading the clock costs more than a call's books
  std::uint64_t told_left_us_ = 0;
  std::string deadline_lines_;                ///< for leaves with told_left_us_
  std::uint64_t wait_until_ms_;               ///< the deadline, or the end of the adaptive wait
  std::optional<std::uint64_t> adaptive_ms_;  ///< what was left when coverage first sufficed
  bool has_children_ = false;                 ///< some leaf is itself a root
  bool is_finished_ = false;
  bool saw_loop_ = false;
  LimitHit limit_hit_ = LimitHit::none;
  std::uint32_t pending_;
  std::uint32_t good_ = 0;
  std::uint32_t refusals_ = 0;       ///< 4xx
  std::uint64_t arrived_bytes_ = 0;  ///< of all bodies of this request
  std::uint64_t held_bytes_ = 0;     ///< of them, what is in memory as the budget knows it
  std::uint64_t merge_bytes_ = 0;    ///< of that, what the merge holds
};

}  // namespace consort::gather
