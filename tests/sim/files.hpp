// Files in memory, and their watches in virtual time.
//
//   files.set("servers.txt", "10.0.0.1:11211\n");   // watches are told after the burst
//   files.remove("servers.txt");  files.touch("servers.txt");
//   CHECK(files.reads("servers.txt") == 1);  CHECK(files.is_watched("servers.txt"));
//   files.degrade("no inotify");                     // what watches made from now on say
#pragma once

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/options.hpp"
#include "io/burst.hpp"
#include "io/files.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

class SimFiles final : public io::Files {
 public:
  explicit SimFiles(SimLoop& loop) : loop_(loop) {}

  void set(const std::string& path, std::string text) {
    texts_[path] = std::move(text);
    touch(path);
  }
  void remove(const std::string& path) {
    texts_.erase(path);
    touch(path);
  }
  /// An event without another content.
  void touch(const std::string& path) {
    auto [first, last] = watches_.equal_range(path);
    for (auto each = first; each != last; ++each) each->second->burst.add();
  }
  int reads(const std::string& path) const {
    auto found = reads_.find(path);
    return found == reads_.end() ? 0 : found->second;
  }
  bool is_watched(const std::string& path) const { return watches_.contains(path); }
  void degrade(std::string why) { degraded_ = std::move(why); }

  Result<std::string> read(const std::string& path, std::size_t bytes_max) override {
    ++reads_[path];
    auto found = texts_.find(path);
    if (found == texts_.end()) return fail(Error::from_errno(ENOENT, path));
    if (found->second.size() > bytes_max) {
      return fail(Errc::limit, path + ": larger than " + Text<ByteSize>::print({bytes_max}));
    }
    return found->second;
  }
  std::unique_ptr<io::FileWatch> watch(const std::string& path, io::FileHandler& handler) override {
    return std::make_unique<Watch>(*this, path, handler);
  }

 private:
  struct Watch final : io::FileWatch {
    Watch(SimFiles& owner, const std::string& path, io::FileHandler& told)
        : files(owner),
          handler(told),
          why(owner.degraded_),
          burst(
              owner.loop_, [](void* self) { static_cast<Watch*>(self)->handler.on_file_changed(); },
              this),
          place(owner.watches_.emplace(path, this)) {
      burst.tell_soon();
    }
    ~Watch() override { files.watches_.erase(place); }
    std::string degraded() const override { return why; }

    SimFiles& files;
    io::FileHandler& handler;
    std::string why;
    io::Burst burst;
    std::multimap<std::string, Watch*>::iterator place;
  };

  SimLoop& loop_;
  std::string degraded_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, int> reads_;
  std::multimap<std::string, Watch*> watches_;
};

}  // namespace consort::sim
