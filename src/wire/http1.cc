#include "wire/http1.hpp"

#include "base/check.hpp"
#include "wire/http1_engine.hpp"

namespace consort::http1 {

std::string_view find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

RequestParser::RequestParser(const Limits& limits)
    : engine_(std::make_unique<detail::Engine>(limits, detail::Kind::request)) {}
RequestParser::~RequestParser() = default;

Step RequestParser::parse(std::string_view bytes) {
  return engine_->parse(bytes);
}
Message RequestParser::take() {
  return engine_->take();
}
bool RequestParser::idle() const {
  return engine_->idle();
}
bool RequestParser::wants_continue() const {
  return engine_->wants_continue();
}
const Error& RequestParser::error() const {
  return engine_->error();
}
int RequestParser::status() const {
  return engine_->status();
}

ResponseParser::ResponseParser(const Limits& limits, std::string_view request_method)
    : engine_(std::make_unique<detail::Engine>(limits, request_method == "HEAD"
                                                           ? detail::Kind::response_to_head
                                                           : detail::Kind::response)) {}
ResponseParser::~ResponseParser() = default;

Step ResponseParser::parse(std::string_view bytes) {
  return engine_->parse(bytes);
}
Progress ResponseParser::finish() {
  return engine_->finish();
}
Message ResponseParser::take() {
  return engine_->take();
}
const Error& ResponseParser::error() const {
  return engine_->error();
}

}  // namespace consort::http1
