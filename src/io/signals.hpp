// Signals as events of the loop, so that handlers may do anything.
#pragma once

#include "base/error.hpp"

namespace consort::io {

class SignalHandler {
 public:
  /// On the loop's thread, some time after the signal arrived. Signals of one number that come
  /// close together may arrive as one.
  virtual void on_signal(int number) = 0;

 protected:
  ~SignalHandler() = default;
};

/// Destroying it gives the signals their default effect back.
class Signals {
 public:
  virtual ~Signals() = default;
  /// One handler per number; a second call replaces it. SIGKILL and SIGSTOP are errors.
  virtual Result<> watch(int number, SignalHandler& handler) = 0;
  virtual void unwatch(int number) = 0;
};

}  // namespace consort::io
