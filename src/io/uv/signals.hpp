// The process's signals, delivered on a UvLoop.
#pragma once

#include <map>
#include <memory>

#include "io/signals.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

/// One per process is enough. Also ignores SIGPIPE: a peer that left is an error of a write.
class UvSignals final : public Signals {
 public:
  explicit UvSignals(UvLoop& loop);
  ~UvSignals() override;
  UvSignals(const UvSignals&) = delete;
  UvSignals& operator=(const UvSignals&) = delete;

  Result<> watch(int number, SignalHandler& handler) override;
  void unwatch(int number) override;

 private:
  struct Watch;
  struct Closer {
    void operator()(Watch* watch) const;
  };

  UvLoop& loop_;
  std::map<int, std::unique_ptr<Watch, Closer>> watches_;
};

}  // namespace consort::io
