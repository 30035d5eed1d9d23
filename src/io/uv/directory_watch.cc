#include "io/uv/directory_watch.hpp"

#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace consort::io {
namespace {

constexpr std::uint32_t kCame = IN_CREATE | IN_MOVED_TO;
constexpr std::uint32_t kWent = IN_DELETE | IN_MOVED_FROM;
constexpr std::uint32_t kChanged = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;
constexpr std::uint32_t kOfItself = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t kMask = kCame | kWent | kChanged | kOfItself | IN_ONLYDIR | IN_EXCL_UNLINK;

constexpr std::size_t kEventBytesMax = sizeof(inotify_event) + NAME_MAX + 1;

}  // namespace

class DirectoryWatches::Watch final : public DirectoryWatch {
 public:
  Watch(DirectoryWatches& owner, int told_by, DirectoryHandler& told)
      : watches(owner), descriptor(told_by), handler(told) {}
  ~Watch() override { watches.end(*this); }

  DirectoryWatches& watches;
  int descriptor;  ///< -1 once the directory is gone
  DirectoryHandler& handler;
};

DirectoryWatches::DirectoryWatches(UvLoop& loop)
    : loop_(loop),
      readable_([](void* self, Readiness) { static_cast<DirectoryWatches*>(self)->on_readable(); },
                this),
      rested_(
          loop.timers(), [](void* self) { static_cast<DirectoryWatches*>(self)->on_rested(); },
          this) {}

DirectoryWatches::~DirectoryWatches() = default;

Result<std::unique_ptr<DirectoryWatch>> DirectoryWatches::watch(const std::string& directory,
                                                                DirectoryHandler& handler) {
  if (Result<> opened = open(); !opened) {
    return fail(std::move(opened.error()).in("watch " + directory));
  }
  const int descriptor = ::inotify_add_watch(inotify_.get(), directory.c_str(), kMask);
  if (descriptor < 0 && errno == ENOSPC) {
    return fail(Errc::limit, "watch " + directory +
                                 ": the limit is reached (raise fs.inotify.max_user_watches)");
  }
  if (descriptor < 0) return fail(Error::from_errno(errno, "watch " + directory));
  auto watch = std::make_unique<Watch>(*this, descriptor, handler);
  directories_[descriptor].watches.push_back(watch.get());
  return watch;
}

Result<> DirectoryWatches::open() {
  if (inotify_) return {};
  Fd made(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!made && errno == EMFILE) {
    return fail(Errc::limit,
                "no inotify left (raise fs.inotify.max_user_instances or the limit of open files)");
  }
  if (!made) return fail(Error::from_errno(errno, "no inotify"));
  if (Result<> watched = readable_.open(loop_, made.get()); !watched) return watched;
  readable_.want({.readable = true});
  batch_ = std::make_unique_for_overwrite<char[]>(kBatchBytes);
  inotify_ = std::move(made);
  return {};
}

void DirectoryWatches::on_readable() {
  readable_.want({});
  (void)read_events();
  rested_.arm_at(loop_.now_ms() + kRestMs);
}

void DirectoryWatches::on_rested() {
  if (read_events()) {
    rested_.arm_at(loop_.now_ms() + kRestMs);
  } else {
    readable_.want({.readable = true});
  }
}

/// False when there are none.
bool DirectoryWatches::read_events() {
  bool is_any = false;
  is_telling_ = true;
  for (int batch = 0; batch < kBatchesMax; ++batch) {
    const ssize_t got = ::read(inotify_.get(), batch_.get(), kBatchBytes);
    if (got <= 0) break;
    is_any = true;
    const auto bytes = static_cast<std::size_t>(got);
    tell_batch({batch_.get(), bytes});
    // There was room for another event: nothing was left.
    if (bytes + kEventBytesMax <= kBatchBytes) break;
  }
  is_telling_ = false;
  sweep();
  return is_any;
}

void DirectoryWatches::tell_batch(std::string_view batch) {
  while (batch.size() >= sizeof(inotify_event)) {
    inotify_event event{};
    std::memcpy(&event, batch.data(), sizeof event);
    // Padded with NULs; absent when the event is the directory's own.
    const std::string_view padded = batch.substr(sizeof event, event.len);
    const std::string_view name = padded.substr(0, padded.find('\0'));
    if ((event.mask & IN_MOVED_FROM) != 0) {
      moved_ = {event.wd, event.cookie, std::string(name)};
    } else if ((event.mask & IN_MOVED_TO) != 0 && event.cookie == moved_.cookie) {
      tell_moved(event.wd, name);
    }
    tell(event.wd, event.mask, name);
    batch.remove_prefix(std::min(batch.size(), sizeof event + event.len));
  }
}

void DirectoryWatches::tell(int descriptor, std::uint32_t mask, std::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) return tell_overflow();
  const auto found = directories_.find(descriptor);
  if (found == directories_.end() || found->second.is_gone) return;  // of a watch that has ended
  if ((mask & (kOfItself | IN_IGNORED | IN_UNMOUNT)) != 0) return tell_gone(found, mask);
  if (name.empty() || (mask & (kCame | kWent | kChanged)) == 0) return;
  const DirectoryEvent event = (mask & kCame) != 0   ? DirectoryEvent::came
                               : (mask & kWent) != 0 ? DirectoryEvent::went
                                                     : DirectoryEvent::changed;
  // By index: handlers may add watches. They hear from the next event on.
  std::vector<Watch*>& watches = found->second.watches;
  for (std::size_t i = 0, count = watches.size(); i < count; ++i) {
    if (watches[i] != nullptr) watches[i]->handler.on_event(event, name);
  }
}

void DirectoryWatches::tell_moved(int descriptor, std::string_view to) {
  const auto found = directories_.find(descriptor);
  if (descriptor != moved_.descriptor || found == directories_.end() || found->second.is_gone)
    return;
  std::vector<Watch*>& watches = found->second.watches;
  for (std::size_t i = 0, count = watches.size(); i < count; ++i) {
    if (watches[i] != nullptr) watches[i]->handler.on_moved(moved_.name, to);
  }
}

void DirectoryWatches::tell_gone(Directories::iterator found, std::uint32_t mask) {
  found->second.is_gone = true;
  is_untidy_ = true;
  // The kernel goes on watching what was moved, under a name that nobody here knows.
  if ((mask & IN_MOVE_SELF) != 0) (void)::inotify_rm_watch(inotify_.get(), found->first);
  std::vector<Watch*>& watches = found->second.watches;
  for (std::size_t i = 0, count = watches.size(); i < count; ++i) {
    if (watches[i] != nullptr) watches[i]->handler.on_gone();
  }
}

void DirectoryWatches::tell_overflow() {
  for (auto& [descriptor, directory] : directories_) {
    for (std::size_t i = 0, count = directory.watches.size(); i < count; ++i) {
      if (directory.is_gone || directory.watches[i] == nullptr) continue;
      directory.watches[i]->handler.on_overflow();
    }
  }
}

void DirectoryWatches::end(Watch& watch) {
  const auto found = directories_.find(watch.descriptor);
  if (found == directories_.end()) return;
  std::vector<Watch*>& watches = found->second.watches;
  std::replace(watches.begin(), watches.end(), &watch, static_cast<Watch*>(nullptr));
  is_untidy_ = true;
  if (!is_telling_) sweep();
}

/// Linear in directories, and only after a watch ended: fine below 10,000.
void DirectoryWatches::sweep() {
  if (!std::exchange(is_untidy_, false)) return;
  for (auto each = directories_.begin(); each != directories_.end();) {
    Directory& directory = each->second;
    std::erase(directory.watches, nullptr);
    if (directory.is_gone) {
      for (Watch* watch : directory.watches) watch->descriptor = -1;
    } else if (directory.watches.empty()) {
      (void)::inotify_rm_watch(inotify_.get(), each->first);
    }
    const bool is_over = directory.is_gone || directory.watches.empty();
    each = is_over ? directories_.erase(each) : std::next(each);
  }
}

}  // namespace consort::io
