// Handlers that write down what they are told; for the tests of sockets and of the simulator alike.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.hpp"
#include "io/dns.hpp"
#include "io/stream.hpp"

namespace consort::test {

/// Writes down what a stream told, and can destroy the stream from within a call.
struct Recorder final : io::StreamHandler {
  void on_open() override {
    log += "open;";
    if (drop_on_open) stream.reset();
  }
  void on_data(std::string_view bytes) override {
    data.append(bytes);
    ++deliveries;
    if (drop_on_data) stream.reset();
  }
  void on_writable() override {
    log += "writable;";
    if (drop_on_writable) stream.reset();
  }
  void on_end(const Error& why) override {
    sys = why.sys();
    log += "end:" + std::string(to_string(why.code())) + ";";
    if (drop_on_end) stream.reset();
  }
  std::unique_ptr<io::Stream> stream;
  std::string log;
  std::string data;
  int deliveries = 0;
  int sys = 0;
  bool drop_on_open = false;
  bool drop_on_data = false;
  bool drop_on_writable = false;
  bool drop_on_end = false;
};

struct Acceptor final : io::AcceptHandler {
  void on_accept(std::unique_ptr<io::Stream> stream) override {
    handler.stream = std::move(stream);
    handler.stream->set_handler(handler);
  }
  void on_accept_paused(const Error& why) override {
    ++pauses;
    sys = why.sys();
  }
  Recorder handler;
  int pauses = 0;
  int sys = 0;
};

inline Address at(std::string_view text) {
  return *Address::parse(text);
}

template <class T>
struct Answer final : io::DnsHandler<T> {
  void on_resolved(Result<std::vector<T>> answer) override {
    ++answers;
    if (answer) {
      records = *answer;
    } else {
      error = answer.error().code();
    }
  }
  std::vector<T> records;
  std::optional<Errc> error;
  int answers = 0;
};

}  // namespace consort::test
