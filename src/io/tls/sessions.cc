#include "io/tls/sessions.hpp"

#include <utility>

namespace consort::io {

void TlsSessions::add(const std::string& name, SessionPtr session) {
  if (names_.size() >= kNamesMax && !names_.contains(name)) names_.erase(names_.begin());
  auto& sessions = names_[name];
  if (sessions.size() >= kPerNameMax) sessions.erase(sessions.begin());
  sessions.push_back(std::move(session));
}

SessionPtr TlsSessions::take(const std::string& name) {
  auto found = names_.find(name);
  if (found == names_.end()) return nullptr;
  auto& sessions = found->second;
  SessionPtr newest = std::move(sessions.back());
  sessions.pop_back();
  if (SSL_SESSION_get_protocol_version(newest.get()) < TLS1_3_VERSION) {
    SSL_SESSION_up_ref(newest.get());
    sessions.emplace_back(newest.get());
  }
  if (sessions.empty()) names_.erase(found);
  return newest;
}

}  // namespace consort::io
