#include "base/error.hpp"

#include <cerrno>
#include <cstring>

namespace consort {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid:
      return "invalid";
    case Errc::not_found:
      return "not_found";
    case Errc::denied:
      return "denied";
    case Errc::refused:
      return "refused";
    case Errc::closed:
      return "closed";
    case Errc::timed_out:
      return "timed_out";
    case Errc::cancelled:
      return "cancelled";
    case Errc::limit:
      return "limit";
    case Errc::protocol:
      return "protocol";
    case Errc::unavailable:
      return "unavailable";
    case Errc::io:
      return "io";
    case Errc::internal:
      return "internal";
  }
  return "unknown";
}

namespace {
Errc code_of_errno(int sys) {
  switch (sys) {
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return Errc::denied;
    case ECONNREFUSED:
      return Errc::refused;
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
      return Errc::closed;
    case ETIMEDOUT:
      return Errc::timed_out;
    case ECANCELED:
      return Errc::cancelled;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return Errc::limit;
    case EINVAL:
      return Errc::invalid;
    case EAGAIN:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return Errc::unavailable;
    default:
      return Errc::io;
  }
}
}  // namespace

Error Error::from_errno(int sys, std::string text) {
  return Error(code_of_errno(sys), std::move(text), sys);
}

std::string Error::message() const {
  if (sys_ == 0) return *text_;
  // strerrordesc_np is thread-safe and never translated, unlike strerror.
  const char* words = strerrordesc_np(sys_);
  std::string out = *text_;
  if (!out.empty()) out += ": ";
  out += words != nullptr ? words : "unknown error";
  return out;
}

Error Error::in(std::string_view context) && {
  std::string text(context);
  if (!text_->empty()) text.append(": ").append(*text_);
  *text_ = std::move(text);
  return std::move(*this);
}

}  // namespace consort
