#include "manage/config_watch.hpp"

#include <algorithm>
#include <utility>

namespace consort {

class ConfigWatch::Entry final : public io::FileHandler {
 public:
  Entry(Parts& parts, const SourceFile& file)
      : parts_(parts), file_(file), watch_(parts.files.watch(file.path, *this)) {}

  const std::string& path() const { return file_.path; }
  std::string degraded() const { return watch_->degraded(); }
  void set_read(std::uint64_t content) { file_.content = content; }

 private:
  void on_file_changed() override {
    if (content_of(parts_.read_file(file_.path)) != file_.content) parts_.on_changed(file_.path);
  }

  Parts& parts_;
  SourceFile file_;
  std::unique_ptr<io::FileWatch> watch_;
};

ConfigWatch::ConfigWatch(Parts parts)
    : parts_(std::move(parts)),
      polled_(parts_.metrics.gauge("consort_config_files_polled",
                                   "Files of the configuration whose changes the kernel does not "
                                   "tell, as of the last reading.")) {}

ConfigWatch::~ConfigWatch() = default;

void ConfigWatch::set_read(const std::vector<SourceFile>& read) {
  for (const SourceFile& file : read) {
    const auto known = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const auto& entry) { return entry->path() == file.path; });
    if (known != entries_.end()) {
      (*known)->set_read(file.content);
      continue;
    }
    entries_.push_back(std::make_unique<Entry>(parts_, file));
    tell_degraded(*entries_.back());
  }
  polled_.set(std::count_if(entries_.begin(), entries_.end(),
                            [](const auto& entry) { return !entry->degraded().empty(); }));
}

void ConfigWatch::tell_degraded(const Entry& entry) {
  const std::string why = entry.degraded();
  if (why.empty()) return;
  parts_.log.warn("config.watch_degraded",
                  {{"file", entry.path()},
                   {"why", why},
                   {"hint", "changes are noticed some seconds late; SIGHUP takes them at once"}});
}

}  // namespace consort
