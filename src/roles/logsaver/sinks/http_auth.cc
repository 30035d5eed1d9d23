#include "roles/logsaver/sinks/http_auth.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/base64.hpp"

namespace consort::logsaver {

HttpAuth::HttpAuth(io::Files& files, HttpAuthSettings settings)
    : files_(files), settings_(std::move(settings)) {}

Result<std::string> HttpAuth::header() {
  if (path().empty()) return std::string();
  if (!watch_) watch_ = files_.watch(path(), *this);
  if (known_) return *known_;
  Result<std::string> made = read();
  if (made) known_ = *made;
  return made;
}

bool HttpAuth::refresh() {
  const std::optional<std::string> before = std::exchange(known_, std::nullopt);
  const Result<std::string> now = header();
  return now && (!before || *before != *now) && !now->empty();
}

const std::string& HttpAuth::path() const {
  return settings_.token_file.empty() ? settings_.password_file : settings_.token_file;
}

Result<std::string> HttpAuth::read() {
  Result<std::string> text = files_.read(path(), kSecretBytesMax);
  if (!text) return text;
  // Editors end files with a line end, which is no part of a secret.
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  if (text->empty()) return fail(Errc::invalid, path() + " is empty: put the secret into it");
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(text->begin(), text->end(), is_control)) {
    return fail(Errc::invalid, path() + " must hold one line of text");
  }
  if (!settings_.token_file.empty()) return "Bearer " + *text;
  std::string value = "Basic ";
  append_base64(value, settings_.user + ":" + *text);
  return value;
}

}  // namespace consort::logsaver
