#include "roles/logsaver/follow/watched_tree.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace consort::logsaver {
namespace {

std::string join(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.ends_with('/')) path += '/';
  return path += name;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

struct WatchedTree::Directory final : io::DirectoryHandler {
  Directory(WatchedTree& owner, std::string where, std::string really,
            const io::FileIdentity& which)
      : tree(owner), path(std::move(where)), real(std::move(really)), identity(which) {}

  void on_event(io::DirectoryEvent event, std::string_view name) override {
    tree.on_event(*this, event, name);
  }
  void on_moved(std::string_view from, std::string_view to) override {
    tree.on_moved(*this, from, to);
  }
  /// What went is only found out by a look at all there is.
  void on_overflow() override { tree.timer_.arm_at(tree.loop_.now_ms()); }
  void on_gone() override { tree.leave_soon(path); }

  WatchedTree& tree;
  const std::string path;
  const std::string real;  ///< without links
  const io::FileIdentity identity;
  std::unique_ptr<io::DirectoryWatch> watch;
};

WatchedTree::WatchedTree(io::Loop& loop, io::FileSystem& disk, const Selection& selection,
                         PollMode mode, TreeHandler& handler)
    : loop_(loop),
      disk_(disk),
      selection_(selection),
      mode_(mode),
      handler_(handler),
      timer_(loop.timers(), [](void* self) { static_cast<WatchedTree*>(self)->scan(); }, this) {}

WatchedTree::~WatchedTree() = default;

void WatchedTree::start() {
  if (mode_ == PollMode::always) poll_because("--poll always");
  enter_roots();
  arm();
}

void WatchedTree::scan() {
  denied_.clear();
  links_seen_.clear();
  enter_roots();
  std::vector<std::string> paths;
  paths.reserve(directories_.size());
  for (const auto& [path, directory] : directories_) paths.push_back(path);
  // Looked up again each time: listing one may end the watch of another.
  for (const std::string& path : paths) {
    auto found = directories_.find(path);
    if (found == directories_.end()) continue;
    list(*found->second);
    // Removed and made again: the watch is that of a directory without a name.
    auto stat = disk_.stat(path);
    if (stat && stat->identity != found->second->identity) leave_soon(path);
  }
  const std::map<std::string, std::string> known = link_targets_;
  for (const auto& [link, target] : known) {
    if (!links_seen_.contains(link) && !disk_.resolve(link)) forget_link(link);
  }
  handler_.on_scanned();
  poll_ms_ = std::min(poll_ms_ * 2, kPollMostMs);
  arm();
}

void WatchedTree::saw_change() {
  poll_ms_ = kPollLeastMs;
  if (is_polling_ && timer_.at() > loop_.now_ms() + poll_ms_) arm();
}

void WatchedTree::arm() {
  timer_.arm_at(loop_.now_ms() + (is_polling_ ? poll_ms_ : kScanMs));
}

void WatchedTree::enter_roots() {
  for (const std::string& root : selection_.roots()) {
    std::string path = root;
    for (;;) {
      auto stat = disk_.stat(path);
      if (stat && stat->kind == io::FileKind::directory) break;
      if (path == "/") break;
      path = parent_of(path);
    }
    enter(path);
  }
}

void WatchedTree::enter(const std::string& path) {
  if (directories_.contains(path)) return;
  if (directories_.size() >= kDirectoriesMax) {
    return poll_because("more than " + std::to_string(kDirectoriesMax) + " directories");
  }
  auto real = disk_.resolve(path);
  auto stat = disk_.stat(path);
  if (!real || !stat) return;  // gone again: its parent tells when it comes back
  auto made = std::make_unique<Directory>(*this, path, std::move(*real), stat->identity);
  Directory& directory = *made;
  directories_.emplace(path, std::move(made));
  if (mode_ != PollMode::always) {
    auto watch = disk_.watch(path, directory);
    if (watch) {
      directory.watch = std::move(*watch);
    } else if (watch.error().code() == Errc::not_found) {
      directories_.erase(path);
      return;
    } else {
      poll_because(watch.error().message());
    }
    if (mode_ == PollMode::automatic && disk_.needs_polling(path)) {
      poll_because(path + ": this file system does not tell of all changes");
    }
  }
  list(directory);
}

void WatchedTree::list(Directory& directory) {
  auto entries = disk_.list(directory.path);
  if (!entries && entries.error().code() == Errc::not_found) return leave_soon(directory.path);
  if (!entries) {
    denied_ = entries.error().message();
    return;
  }
  for (const io::DirectoryEntry& entry : *entries) look(directory, entry.name, entry.kind);
}

void WatchedTree::look(Directory& directory, const std::string& name, io::FileKind kind) {
  const std::string path = join(directory.path, name);
  const bool matches = selection_.matches(path);
  const bool may_enter = kind != io::FileKind::regular && selection_.wants_directory(path);
  if (!matches && !may_enter) return;
  const bool is_link = kind == io::FileKind::link;
  if (is_link && matches) links_seen_.insert(path);
  if (is_link || kind == io::FileKind::other) {
    auto stat = disk_.stat(path);
    if (!stat) return;
    kind = stat->kind;
  }
  if (kind == io::FileKind::directory) {
    if (may_enter) enter(path);
    return;
  }
  if (!matches) return;
  if (is_link) look_at_link(path);
  handler_.on_path(path);
}

void WatchedTree::look_at_link(const std::string& path) {
  auto target = disk_.resolve(path);
  if (!target) return;
  std::string& known = link_targets_[path];
  if (known != *target && !known.empty()) {
    links_[known].erase(path);
    if (links_[known].empty()) links_.erase(known);
  }
  known = *target;
  links_[*target].insert(path);
  enter(parent_of(*target));
}

void WatchedTree::forget_link(const std::string& path) {
  auto known = link_targets_.find(path);
  if (known == link_targets_.end()) return;
  auto links = links_.find(known->second);
  links->second.erase(path);
  if (links->second.empty()) links_.erase(links);
  link_targets_.erase(known);
}

void WatchedTree::on_event(Directory& directory, io::DirectoryEvent event, std::string_view name) {
  const std::string path = join(directory.path, name);
  if (event == io::DirectoryEvent::changed) {
    handler_.on_changed(path);
  } else if (event == io::DirectoryEvent::went) {
    forget_link(path);
    handler_.on_gone(path);
    // The kernel tells the directory itself only when nobody has a file of it open any more.
    if (directories_.contains(path)) leave_soon(path);
  } else if (selection_.matches(path)) {
    auto real = disk_.resolve(path);
    const bool is_link = real && *real != join(directory.real, name);
    look(directory, std::string(name), is_link ? io::FileKind::link : io::FileKind::other);
  } else if (selection_.wants_directory(path)) {
    look(directory, std::string(name), io::FileKind::other);
  } else {
    handler_.on_stranger(path);
  }
  if (!links_.empty()) tell_links(join(directory.real, name), event);
}

void WatchedTree::on_moved(Directory& directory, std::string_view from, std::string_view to) {
  const std::string path = join(directory.path, to);
  handler_.on_moved(join(directory.path, from), path);
  auto found = links_.find(join(directory.real, from));
  if (found == links_.end()) return;
  const std::set<std::string> links = found->second;
  for (const std::string& link : links) handler_.on_moved(link, path);
}

void WatchedTree::tell_links(const std::string& target, io::DirectoryEvent event) {
  auto found = links_.find(target);
  if (found == links_.end()) return;
  const std::set<std::string> paths = found->second;
  for (const std::string& path : paths) {
    auto now = disk_.resolve(path);
    if (!now) {
      // A link that leads nowhere: between a rotation and the new file, which we are to hear of.
      handler_.on_gone(path);
    } else if (*now != target) {
      handler_.on_gone(path);
      look_at_link(path);
      handler_.on_path(path);
    } else if (event == io::DirectoryEvent::changed) {
      handler_.on_changed(path);
    } else {
      handler_.on_path(path);
    }
  }
}

/// Not while events are told, or directories are listed.
void WatchedTree::leave_soon(const std::string& path) {
  loop_.post([this, alive = std::weak_ptr(alive_), path] {
    if (!alive.expired()) leave(path);
  });
}

void WatchedTree::leave(const std::string& path) {
  for (auto each = directories_.lower_bound(path); each != directories_.end();) {
    const bool is_below =
        each->first == path || (each->first.starts_with(path) && each->first[path.size()] == '/');
    if (!each->first.starts_with(path)) break;
    each = is_below ? directories_.erase(each) : std::next(each);
  }
  // Its files' names went with it, though no event said so.
  handler_.on_scanned();
  enter_roots();
  // It may have been made again before we heard that it went.
  auto stat = disk_.stat(path);
  if (stat && stat->kind == io::FileKind::directory) enter(path);
}

void WatchedTree::poll_because(std::string why) {
  if (mode_ == PollMode::never) {
    degraded_ = std::move(why);
    return;
  }
  if (mode_ == PollMode::automatic && degraded_.empty()) degraded_ = std::move(why);
  if (is_polling_) return;
  is_polling_ = true;
  arm();
}

}  // namespace consort::logsaver
