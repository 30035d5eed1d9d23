#include "io/uv/files.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/burst.hpp"
#include "io/read_file.hpp"
#include "io/uv/changed_elsewhere.hpp"
#include "io/uv/path_walk.hpp"

namespace consort::io {
namespace {

/// What may change the path's meaning: then it is walked again.
constexpr std::uint32_t kTurning =
    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;
constexpr std::uint32_t kMask = kTurning | IN_MODIFY | IN_CLOSE_WRITE | IN_ONLYDIR | IN_EXCL_UNLINK;

/// A directory that vanishes between two looks is walked again; one that keeps doing so is polled.
constexpr int kWalksMax = 3;

/// What a look at the path can see: another file or other content, to the file system's clock.
struct Look {
  bool exists = false;
  bool is_regular = false;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t changed_s = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(const Look&, const Look&) = default;

  static Look at(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return {};
    return {.exists = true,
            .is_regular = S_ISREG(found.st_mode),
            .device = found.st_dev,
            .inode = found.st_ino,
            .size = found.st_size,
            .changed_s = found.st_ctim.tv_sec,
            .changed_ns = found.st_ctim.tv_nsec};
  }
};

}  // namespace

class UvFiles::Watch final : public FileWatch {
 public:
  Watch(UvFiles& files, std::string path, FileHandler& handler)
      : files_(files),
        path_(std::move(path)),
        handler_(handler),
        burst_(
            files.loop_, [](void* self) { static_cast<Watch*>(self)->tell(); }, this),
        poll_(files.loop_.timers(), [](void* self) { static_cast<Watch*>(self)->poll(); }, this) {
    files_.watches_.push_back(this);
    seen_ = Look::at(path_);
    follow();
    burst_.tell_soon();
  }
  ~Watch() override {
    std::erase(files_.watches_, this);
    for (const Place& place : places_) files_.drop_if_unused(place.directory);
  }

  std::string degraded() const override { return trouble_; }
  bool uses(int directory) const {
    return std::any_of(places_.begin(), places_.end(),
                       [directory](const Place& place) { return place.directory == directory; });
  }
  void on_event(int directory, std::uint32_t mask, const std::string& name) {
    const bool is_ours =
        (mask & IN_Q_OVERFLOW) != 0 ||
        std::any_of(places_.begin(), places_.end(), [&](const Place& place) {
          return place.directory == directory && (name.empty() || name == place.name);
        });
    if (!is_ours) return;
    is_turned_ = is_turned_ || name.empty() || (mask & kTurning) != 0;
    burst_.add();
  }
  /// After a batch of events.
  void follow_if_turned() {
    if (is_turned_) follow();
  }

 private:
  struct Place {
    int directory;  ///< a watch descriptor
    std::string name;
  };

  /// Begins to watch where the path leads now, then lets go of where it led before.
  void follow() {
    is_turned_ = false;
    std::vector<Place> before = std::exchange(places_, {});
    trouble_ = files_.open();
    if (trouble_.empty()) {
      for (int walk = 0; walk < kWalksMax && !walk_once(); ++walk) {
        before.insert(before.end(), places_.begin(), places_.end());
        places_.clear();
      }
    }
    for (const Place& place : before) files_.drop_if_unused(place.directory);
    if (trouble_.empty() && is_changed_elsewhere(path_)) {
      trouble_ = "its file system may be changed by other machines";
    }
    if (!trouble_.empty() && !poll_.armed()) {
      poll_.arm_at(files_.loop_.now_ms() + files_.options_.poll_ms);
    }
  }
  /// False when the path changed under our feet.
  bool walk_once() {
    int failed = 0;
    walk_path(path_, [&](const std::string& directory, const std::string& name) {
      const int added = files_.add_directory(directory);
      if (added >= 0) {
        places_.push_back({added, name});
      } else {
        failed = errno;
      }
    });
    trouble_ = failed == 0 ? "" : "its directory cannot be watched: " + explain(failed);
    return failed != ENOENT && failed != ENOTDIR;
  }
  static std::string explain(int error) {
    if (error == ENOSPC) return "the limit fs.inotify.max_user_watches is reached";
    return std::strerror(error);
  }

  void poll() {
    const Look now = Look::at(path_);
    if (now != std::exchange(seen_, now)) burst_.add();
    follow();  // perhaps the kernel can tell by now
  }

  void tell() {
    const Look now = Look::at(path_);
    // Reading a pipe takes away what is in it, and may block.
    if (now.exists && !now.is_regular) return;
    handler_.on_file_changed();
  }

  UvFiles& files_;
  const std::string path_;
  FileHandler& handler_;
  std::vector<Place> places_;
  bool is_turned_ = false;
  std::string trouble_;
  Look seen_;  ///< by polling
  Burst burst_;
  Timer poll_;
};

UvFiles::UvFiles(UvLoop& loop, UvFilesOptions options)
    : loop_(loop),
      options_(options),
      readable_([](void* self, Readiness) { static_cast<UvFiles*>(self)->on_readable(); }, this) {}

UvFiles::~UvFiles() = default;

Result<std::string> UvFiles::read(const std::string& path, std::size_t bytes_max) {
  const Look found = Look::at(path);
  if (found.exists && !found.is_regular) return fail(Errc::invalid, path + ": no regular file");
  return read_file(path, bytes_max);
}

std::unique_ptr<FileWatch> UvFiles::watch(const std::string& path, FileHandler& handler) {
  return std::make_unique<Watch>(*this, path, handler);
}

std::string UvFiles::open() {
  if (inotify_) return {};
  if (!options_.inotify) return "inotify is switched off";
  Fd made(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!made && errno == EMFILE) {
    return "no inotify: the limit fs.inotify.max_user_instances or that of open files is reached";
  }
  if (!made) return std::string("no inotify: ") + std::strerror(errno);
  if (Result<> watched = readable_.open(loop_, made.get()); !watched) {
    return "no inotify: " + watched.error().message();
  }
  readable_.want({.readable = true});
  inotify_ = std::move(made);
  return {};
}

int UvFiles::add_directory(const std::string& directory) {
  return ::inotify_add_watch(inotify_.get(), directory.c_str(), kMask);
}

void UvFiles::drop_if_unused(int directory) {
  const bool is_used = std::any_of(watches_.begin(), watches_.end(),
                                   [directory](Watch* watch) { return watch->uses(directory); });
  // Refused for a directory that is gone: the kernel has let go of it already.
  if (!is_used) (void)::inotify_rm_watch(inotify_.get(), directory);
}

void UvFiles::on_readable() {
  // One batch per turn: the descriptor stays readable while there are more.
  alignas(inotify_event) std::array<char, 16 * 1024> batch{};
  const ssize_t got = ::read(inotify_.get(), batch.data(), batch.size());
  for (ssize_t at = 0; at < got;) {
    inotify_event event{};
    const char* begin = batch.data() + at;
    std::memcpy(&event, begin, sizeof event);
    // The name is padded with NULs; absent when the event is the directory's own.
    const std::string name(event.len > 0 ? begin + sizeof event : "");
    on_event(event.wd, event.mask, name);
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
  for (Watch* watch : watches_) watch->follow_if_turned();
}

void UvFiles::on_event(int directory, std::uint32_t mask, const std::string& name) {
  for (Watch* watch : watches_) watch->on_event(directory, mask, name);
}

}  // namespace consort::io
