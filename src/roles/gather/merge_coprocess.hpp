// The merge that keeps running: long-lived children, one line out and one line back per request
// (specification 7.3, `coprocess`).
//
//   out   the document of merge_payload.hpp on one line, with an id of ours
//   back  merge_answer_line.hpp, in any order
//
//   request --> child with the fewest open requests --line back--> answer
//      |           |--deadline--> timed out; a child that said nothing since is killed
//      |           \--child ends--> failed at once, in the words of its end
//      \--> every child is down: waits for a restart that is due within 100 ms, else fails
//
// A child that is killed for its silence times out its other requests too. One that has been silent
// for less than its patience is left alone until then, so that clients with deadlines of their own
// cannot have it killed. A request whose task is dropped is forgotten; its late answer is thrown
// away, as is any answer with an unknown id. A line that is no answer kills the child.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "manage/role.hpp"
#include "roles/gather/coprocess.hpp"
#include "roles/gather/external_merge.hpp"

namespace consort::gather {

struct CoprocessMergeOptions {
  std::string command;  ///< see command_argv() in command_run.hpp
  std::uint32_t processes = 1;
  std::size_t waiting_max = 1024;  ///< requests that wait for a restart
  /// A child that is silent for less is busy, not stuck, whatever a client's deadline: the route's
  /// timeout.
  Millis patience{0};
};

/// Its children start when it is made. It may be destroyed by a merge's task.
class CoprocessMerge final : public ExternalMerge, CoprocessHandler {
 public:
  static constexpr std::uint64_t kPatienceMs = 100;  ///< at least

  CoprocessMerge(const Services& services, CoprocessMergeOptions options);
  ~CoprocessMerge() override;
  CoprocessMerge(const CoprocessMerge&) = delete;
  CoprocessMerge& operator=(const CoprocessMerge&) = delete;

  Task<MergeResult> merge(MergeRequest request, Deadline deadline) override;
  std::string describe() const override { return "coprocess " + options_.command; }
  const MergeStats& stats() const override;

 private:
  struct Pending;
  struct Slot;

  void on_line(Coprocess& child, std::string_view line) override;
  void on_lines_end() override { wake(); }
  void on_up(Coprocess& child) override;
  void on_down(Coprocess& child, const std::string& why) override;
  void on_deadline(Pending& pending);
  void look_for_silence(Slot& slot);

  void place(Pending& pending);
  void send(Slot& slot, Pending& pending);
  void finish(Pending& pending, MergeResult result);
  void fail_waiting();
  void wake();
  Slot& slot_of(const Coprocess& child);
  Slot* least_loaded();
  bool restarts_soon() const;

  const Services services_;
  const CoprocessMergeOptions options_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::size_t next_slot_ = 0;
  std::uint64_t next_number_ = 1;
  std::string last_why_ = "it has not started yet";
  std::deque<Pending*> waiting_;   ///< for a child
  std::deque<Pending*> finished_;  ///< to be resumed at the end of the event under way
  bool* gone_ = nullptr;           ///< set by the destructor while wake() runs
  mutable MergeStats stats_;
};

}  // namespace consort::gather
