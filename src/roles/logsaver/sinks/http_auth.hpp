// Who we are to an HTTP destination: a bearer token, or a user and a password, from files.
//
// The files are read when they are needed first, and again when they have changed or the server
// said 401: credentials rotate without a restart. Nothing here puts a secret into an error.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "io/files.hpp"

namespace consort::logsaver {

struct HttpAuthSettings {
  std::string token_file;
  std::string user;
  std::string password_file;  ///< with `user`
};

class HttpAuth final : private io::FileHandler {
 public:
  static constexpr std::size_t kSecretBytesMax = 16 * 1024;

  HttpAuth(io::Files& files, HttpAuthSettings settings);
  HttpAuth(const HttpAuth&) = delete;
  HttpAuth& operator=(const HttpAuth&) = delete;

  /// The value of Authorization; empty for none. Errors name the file and what is wrong with it.
  Result<std::string> header();
  /// Reads again. True when there is something else to show than before.
  bool refresh();

 private:
  void on_file_changed() override { known_.reset(); }
  const std::string& path() const;
  Result<std::string> read();

  io::Files& files_;
  const HttpAuthSettings settings_;
  std::optional<std::string> known_;
  std::unique_ptr<io::FileWatch> watch_;
};

}  // namespace consort::logsaver
