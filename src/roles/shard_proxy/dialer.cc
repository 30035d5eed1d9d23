#include "roles/shard_proxy/dialer.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "roles/shard_proxy/upstream.hpp"

namespace consort::shard_proxy {
namespace {

// What servers say before they hang up on a connection that they will not serve.
bool turns_us_away(std::string_view line) {
  return line.starts_with("ERROR Too many open connections") ||
         line.starts_with("-ERR max number of clients") || line.starts_with("-DENIED ");
}

// What stands after this name in a flat list of names and values; empty when it is not there.
std::string_view value_after(std::string_view reply, std::string_view name) {
  std::string wanted;
  resp::append_bulk(wanted, name);
  std::size_t at = reply.find(wanted);
  return at == std::string_view::npos ? std::string_view() : reply.substr(at + wanted.size());
}

}  // namespace

std::string why_it_ended(const Error& why) {
  if (why.sys() != 0) return Error(why.code(), "", why.sys()).message();
  return why.code() == Errc::closed ? "connection closed by the server" : why.message();
}

Dialer::Dialer(Upstream& upstream, Lane lane, Owner& owner)
    : upstream_(upstream),
      lane_(lane),
      owner_(owner),
      timer_(
          upstream.context().services.loop.timers(),
          [](void* self) { static_cast<Dialer*>(self)->on_timer(); }, this) {}

void Dialer::dial() {
  const PoolContext& context = upstream_.context();
  started_ms_ = context.services.loop.now_ms();
  Millis limit = std::min(context.config.connect_timeout, context.config.timeout);
  timer_.arm_at(started_ms_ + static_cast<std::uint64_t>(limit.count()));
  const Address& address = upstream_.spec().address;
  if (address.is_unix() || is_ip_literal(address.host)) {
    connect(address);
  } else {
    stage_ = Stage::resolving;
    query_ = context.services.dns.resolve(address.host, limit, *this);
  }
}

void Dialer::on_resolved(Result<std::vector<io::DnsAddress>> answer) {
  // The query object is still on the stack of its own callback: it is dropped by the next one.
  if (!answer) {
    fail_with("cannot resolve \"" + upstream_.spec().address.host +
              "\": " + answer.error().message());
    return;
  }
  Address address = upstream_.spec().address;
  address.host = (*answer)[address_index_ % answer->size()].ip;
  connect(address);
}

void Dialer::connect(const Address& address) {
  stage_ = Stage::connecting;
  io::ConnectOptions options;
  options.keep_alive = upstream_.context().config.tcpkeepalive || keep_alive_;
  stream_ = upstream_.context().services.network.connect(address, *this, options);
}

void Dialer::on_open() {
  upstream_.metrics().connects.add();
  stage_ = Stage::greeting;
  resp_ = {};
  memcache_ = {};
  reply_.clear();
  answered_ = 0;
  out_.clear();
  make_greeting();
  auto limit = static_cast<std::uint64_t>(upstream_.context().config.timeout.count());
  timer_.arm_at(started_ms_ + limit);
  on_writable();
}

void Dialer::make_greeting() {
  const PoolConfig& config = upstream_.context().config;
  steps_.clear();
  auto add = [this](Step step, std::initializer_list<std::string_view> words) {
    out_.append(resp::request(words));
    steps_.push_back(step);
  };
  flushes_ = may_flush_ && upstream_.must_flush();
  if (lane_.dialect == Dialect::memcache) {
    out_.append(flushes_ ? "version\r\nflush_all\r\n" : "version\r\n");
    steps_.push_back(Step::version);
    if (flushes_) steps_.push_back(Step::flush);
    return;
  }
  if (!config.redis_auth.empty()) add(Step::auth, {"AUTH", config.redis_auth});
  add(Step::hello, {"HELLO", lane_.dialect == Dialect::resp3 ? "3" : "2"});
  if (lane_.database != 0) add(Step::select, {"SELECT", std::to_string(lane_.database)});
  if (flushes_) add(Step::flush, {"FLUSHALL", "ASYNC"});
}

void Dialer::on_writable() {
  auto written = stream_->try_write(out_.view());
  if (!written) {
    fail_with(written.error().message());
    return;
  }
  upstream_.metrics().bytes_sent.add(*written);
  out_.consume(*written);
  if (!out_.empty()) stream_->want_writable();
}

void Dialer::on_data(std::string_view bytes) {
  upstream_.metrics().bytes_received.add(bytes.size());
  while (!bytes.empty()) {
    if (answered_ == steps_.size()) {
      fail_with("sent a reply that nobody asked for");
      return;
    }
    std::string_view before = bytes;
    bool whole = scan(bytes);
    if (stage_ == Stage::none) return;  // the protocol was broken
    std::string_view part = before.substr(0, before.size() - bytes.size());
    reply_.append(part.substr(0, kMaxReplyBytes - std::min(kMaxReplyBytes, reply_.size())));
    if (!whole) continue;
    if (!take_reply(steps_[answered_], std::exchange(reply_, {}))) return;
    ++answered_;
  }
  if (answered_ == steps_.size()) succeed();
}

// Takes what belongs to the next reply off the front of `bytes`; true when the reply is whole.
bool Dialer::scan(std::string_view& bytes) {
  bool broken = false;
  bool whole = false;
  std::size_t used = 0;
  if (lane_.dialect == Dialect::memcache) {
    auto step = memcache_.scan(bytes);
    broken = step.progress == memcache::Progress::error;
    whole = step.progress == memcache::Progress::done;
    used = step.used;
  } else {
    auto step = resp_.scan(bytes);
    broken = step.progress == resp::Progress::error;
    whole = step.progress == resp::Progress::done;
    used = step.used;
  }
  bytes.remove_prefix(used);
  if (broken) fail_with("broke the protocol");
  return whole && !broken;
}

// False when the connection was given up.
bool Dialer::take_reply(Step step, std::string_view reply) {
  bool is_error = !reply.empty() && (reply.front() == '-' || reply.front() == '!');
  std::string_view line = reply.substr(0, reply.find('\r'));
  if (turns_us_away(line)) {
    fail_with("turned us away: " + std::string(line));
    return false;
  }
  switch (step) {
    case Step::version:
      // "VERSION 1.6.18"; anything else is alive too, and will speak for itself.
      if (line.starts_with("VERSION ")) upstream_.set_version(std::string(line.substr(8)));
      return true;
    case Step::hello:
      // RESP2 needs no HELLO: old servers do not know it, and NOAUTH is the client's business.
      if (!is_error) learn_from_hello(reply);
      if (!is_error || lane_.dialect == Dialect::resp2) return true;
      fail_with("HELLO 3 refused: " + std::string(line.substr(1)));
      return false;
    case Step::auth:
      if (is_error) fail_with("AUTH refused: " + std::string(line.substr(1)));
      return !is_error;
    case Step::select:
      if (is_error) fail_with("SELECT refused: " + std::string(line.substr(1)));
      return !is_error;
    case Step::flush:
      if (line != "OK" && line != "+OK") fail_with("flush refused: " + std::string(line));
      return stage_ != Stage::none;
  }
  return true;
}

void Dialer::learn_from_hello(std::string_view reply) {
  std::string_view version = value_after(reply, "version");
  std::size_t start = version.find("\r\n");
  if (version.starts_with('$') && start != std::string_view::npos) {
    version.remove_prefix(start + 2);
    upstream_.set_version(std::string(version.substr(0, version.find('\r'))));
  }
  std::string_view id = value_after(reply, "id");
  server_side_id_ = 0;
  if (id.starts_with(':')) {
    (void)std::from_chars(id.data() + 1, id.data() + id.size(), server_side_id_);
  }
}

void Dialer::on_end(const Error& why) {
  fail_with(why_it_ended(why));
}

void Dialer::on_timer() {
  query_.reset();
  if (stage_ == Stage::resolving) {
    fail_with("cannot resolve \"" + upstream_.spec().address.host + "\" in time");
  } else {
    fail_with(std::string(stage_ == Stage::greeting ? kNotGreeted : kNotConnected));
  }
}

void Dialer::cancel() {
  stage_ = Stage::none;
  timer_.cancel();
  query_.reset();
  stream_.reset();
}

void Dialer::succeed() {
  // The server may have been ejected while we greeted it.
  if (upstream_.must_flush() && !flushes_) {
    fail_with("has not been emptied yet");
    return;
  }
  stage_ = Stage::none;
  timer_.cancel();
  owner_.on_dialed(std::move(stream_));
}

void Dialer::fail_with(std::string reason) {
  if (stage_ == Stage::resolving || stage_ == Stage::connecting) ++address_index_;
  stage_ = Stage::none;
  timer_.cancel();
  stream_.reset();
  owner_.on_dial_failed(std::move(reason));
}

}  // namespace consort::shard_proxy
