#include "roles/logsaver/state/journal.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "base/check.hpp"
#include "roles/logsaver/state/journal_file.hpp"

namespace consort::logsaver {

class Journal::Impl {
 public:
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<> open(io::FileSystem& disk, std::string directory);
  Result<> append(Result<std::string> entry);
  Task<Result<>> commit();
  const Ledger& ledger() const { return ledger_; }
  const std::string& directory() const { return directory_; }

 private:
  struct Round;
  /// In the frame of each task that waits in commit().
  struct Waiter {
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();
    Round* round = nullptr;
    Event done;
    Result<> result;
  };
  /// Those who share one sync.
  struct Round {
    Round() = default;
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;
    ~Round();
    void end(const Result<>& result);
    std::vector<Waiter*> waiters;
    std::uint64_t appended = 0;  ///< when its sync began
  };
  /// Ends the round when the task that has it is gone. A task must not destroy the scope that it
  /// runs in, but those who waited may destroy the journal: so they go on when the task, whose
  /// parameter this is, has left the scope.
  class RoundEnd {
   public:
    explicit RoundEnd(Impl& journal) : journal_(&journal) {}
    RoundEnd(RoundEnd&& other) noexcept : journal_(std::exchange(other.journal_, nullptr)) {}
    RoundEnd& operator=(RoundEnd&&) = delete;
    ~RoundEnd() {
      if (journal_ != nullptr && result) journal_->end_round(*result);
    }
    std::optional<Result<>> result;  ///< none: the journal itself drops the task

   private:
    Impl* journal_;
  };

  void join(Waiter& waiter);
  void start_round();
  static Task<> run_round(Impl& self, RoundEnd end);
  void end_round(const Result<>& result);

  Ledger ledger_;
  std::string directory_;
  std::optional<JournalFile> file_;  ///< none for one in memory
  // What open() has read counts as not committed: it may be in the page cache only.
  std::uint64_t appended_ = 1;
  std::uint64_t committed_ = 0;
  std::unique_ptr<Round> waiting_;
  std::unique_ptr<Round> running_;
  TaskScope rounds_;
};

Result<std::unique_ptr<Journal>> Journal::open(io::FileSystem& disk, std::string directory,
                                               Random& random) {
  auto impl = std::make_unique<Impl>();
  if (auto opened = impl->open(disk, std::move(directory)); !opened) {
    return fail(std::move(opened.error()));
  }
  if (!impl->ledger().has_begun()) {
    if (auto begun = impl->append(impl->ledger().begin(random.next())); !begun) {
      return fail(std::move(begun.error()));
    }
  }
  return std::unique_ptr<Journal>(new Journal(std::move(impl)));  // tidy:allow private constructor
}

std::unique_ptr<Journal> Journal::volatile_one(Random& random) {
  auto impl = std::make_unique<Impl>();
  CHECK(impl->append(impl->ledger().begin(random.next())).has_value());
  return std::unique_ptr<Journal>(new Journal(std::move(impl)));  // tidy:allow private constructor
}

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

const Ledger& Journal::ledger() const {
  return impl_->ledger();
}

const std::string& Journal::directory() const {
  return impl_->directory();
}

Result<SinkIndex> Journal::add_sink(std::string_view name) {
  if (const auto known = ledger().find_sink(name)) return *known;
  if (auto added = impl_->append(ledger().add_sink(name)); !added) {
    return fail(std::move(added.error()));
  }
  return static_cast<SinkIndex>(ledger().sinks().size() - 1);
}

TailId Journal::next_tail_id() const {
  return ledger().next_tail_id();
}

Result<> Journal::put_tail(TailRecord record) {
  return impl_->append(ledger().put_tail(std::move(record)));
}

Result<> Journal::forget_tail(TailId id) {
  return impl_->append(ledger().forget_tail(id));
}

Result<> Journal::skip_to(SinkIndex sink, TailId tail, Progress progress) {
  return impl_->append(ledger().skip_to(sink, tail, progress));
}

Result<> Journal::plan(SinkIndex sink, Intent intent) {
  return impl_->append(ledger().plan(sink, std::move(intent)));
}

Result<> Journal::acknowledge(SinkIndex sink, BatchNumber number, const ManifestHash& manifest) {
  return impl_->append(ledger().acknowledge(sink, number, manifest));
}

Task<Result<>> Journal::commit() {
  return impl_->commit();
}

Result<> Journal::Impl::open(io::FileSystem& disk, std::string directory) {
  directory_ = directory;
  file_.emplace(disk, std::move(directory));
  return file_->open(ledger_);
}

Result<> Journal::Impl::append(Result<std::string> entry) {
  if (!entry) return fail(std::move(entry.error()));
  if (file_) {
    if (auto written = file_->append(*entry); !written) return written;
  }
  ++appended_;
  CHECK(ledger_.apply(*entry).has_value());
  return {};
}

Task<Result<>> Journal::Impl::commit() {
  if (!file_ || committed_ == appended_) co_return Result<>();
  Waiter waiter;
  join(waiter);
  co_await waiter.done.wait();
  co_return std::move(waiter.result);
}

void Journal::Impl::join(Waiter& waiter) {
  if (!running_ || running_->appended != appended_) {
    if (!waiting_) waiting_ = std::make_unique<Round>();
    waiter.round = waiting_.get();
  } else {
    waiter.round = running_.get();  // its sync covers all that there is
  }
  waiter.round->waiters.push_back(&waiter);
  if (!running_) start_round();
}

void Journal::Impl::start_round() {
  running_ = std::move(waiting_);
  running_->appended = appended_;
  rounds_.spawn(run_round(*this, RoundEnd(*this)));
}

Task<> Journal::Impl::run_round(Impl& self, RoundEnd end) {
  end.result = co_await self.file_->make_durable(self.ledger_);
}

void Journal::Impl::end_round(const Result<>& result) {
  const std::unique_ptr<Round> ended = std::move(running_);
  if (result) committed_ = ended->appended;
  if (waiting_) start_round();
  ended->end(result);  // last, for it may destroy the journal
}

Journal::Impl::Waiter::~Waiter() {
  if (round != nullptr) std::erase(round->waiters, this);
}

Journal::Impl::Round::~Round() {
  for (Waiter* waiter : waiters) waiter->round = nullptr;
}

void Journal::Impl::Round::end(const Result<>& result) {
  // Not a walk: each of them may drop others.
  while (!waiters.empty()) {
    Waiter& waiter = *waiters.front();
    waiters.erase(waiters.begin());
    waiter.round = nullptr;
    if (!result) waiter.result = fail(result.error().clone());
    waiter.done.set();
  }
}

}  // namespace consort::logsaver
