// What the kernel alone costs a gather root: a raw epoll loop that asks every leaf, waits for all
// answers and begins again. No clients, no HTTP library, no merge: nobody who calls leaves over
// HTTP/1.1, one connection each, can spend less per call.
//
//   bench_gather_floor SECONDS GROUPS ADDRESS...     ADDRESS is IPV4:PORT or unix:PATH
//
// GROUPS fan-outs are under way at a time, each with one connection to each leaf; all sends of a
// fan-out go out before anything is read. Prints processor microseconds per leaf call and how many
// calls that was. The leaves must always give the same answer: its length is learned from the
// first one, and afterwards bytes are only counted.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: leaf\r\n\r\n";
constexpr std::string_view kUnix = "unix:";
constexpr int kEventsMax = 256;
constexpr std::size_t kAnswerBytesMax = 65536;
constexpr double kWarmUpSeconds = 0.3;

struct Leaf {
  int fd = -1;
  std::size_t group = 0;
  std::size_t received = 0;
};

double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "bench_gather_floor: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    errno = EINVAL;
    die("\"" + std::string(text) + "\" is not a number");
  }
  return value;
}

int connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) die(path + " is too long");
  std::copy(path.begin(), path.end(), address.sun_path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die(path);
  return fd;
}

int connect_tcp(const std::string& text) {
  const std::size_t colon = std::min(text.rfind(':'), text.size());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(number(text.substr(colon + 1))));
  if (::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    errno = EINVAL;
    die(text);
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die(text);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

int connect_to(const std::string& address) {
  if (address.starts_with(kUnix)) return connect_unix(address.substr(kUnix.size()));
  return connect_tcp(address);
}

void ask(const Leaf& leaf) {
  // A request of 30 bytes always fits an idle connection's buffer.
  if (::write(leaf.fd, kRequest.data(), kRequest.size()) != static_cast<ssize_t>(kRequest.size())) {
    die("write");
  }
}

std::size_t answer_bytes(const Leaf& leaf) {
  ask(leaf);
  std::string answer;
  std::array<char, kAnswerBytesMax> buffer{};
  while (true) {
    const ssize_t bytes = ::read(leaf.fd, buffer.data(), buffer.size());
    if (bytes <= 0) die("the first answer");
    answer.append(buffer.data(), static_cast<std::size_t>(bytes));
    const std::size_t head = answer.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    constexpr std::string_view kLength = "Content-Length: ";
    const std::size_t at = answer.find(kLength);
    if (at > head) die("the leaf's answer has no Content-Length");
    const std::size_t begin = at + kLength.size();
    return head + 4 + number(answer.substr(begin, answer.find('\r', begin) - begin));
  }
}

class Floor {
 public:
  Floor(std::size_t groups, const std::vector<std::string>& addresses) : width_(addresses.size()) {
    for (std::size_t group = 0; group < groups; ++group) {
      for (const std::string& address : addresses) {
        leaves_.push_back({.fd = connect_to(address), .group = group});
      }
    }
    answer_bytes_ = answer_bytes(connect_once(addresses.front()));
    for (Leaf& leaf : leaves_) {
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &leaf}};
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, leaf.fd, &event) != 0) die("epoll_ctl");
    }
    open_.assign(groups, 0);
    for (std::size_t group = 0; group < groups; ++group) ask_all(group);
  }

  void run(double for_seconds) {
    const double until = seconds(CLOCK_MONOTONIC) + for_seconds;
    while (seconds(CLOCK_MONOTONIC) < until) {
      const int count = ::epoll_wait(epoll_, events_.data(), kEventsMax, 1000);
      for (int i = 0; i < count; ++i) {
        take(*static_cast<Leaf*>(events_[static_cast<std::size_t>(i)].data.ptr));
      }
    }
  }

  std::uint64_t calls() const { return calls_; }

 private:
  static Leaf connect_once(const std::string& address) { return {.fd = connect_to(address)}; }

  void ask_all(std::size_t group) {
    open_[group] = width_;
    for (std::size_t i = 0; i < width_; ++i) ask(leaves_[group * width_ + i]);
  }

  void take(Leaf& leaf) {
    const ssize_t bytes = ::read(leaf.fd, buffer_.data(), buffer_.size());
    if (bytes <= 0) die("read");
    leaf.received += static_cast<std::size_t>(bytes);
    if (leaf.received < answer_bytes_) return;
    leaf.received = 0;
    ++calls_;
    if (--open_[leaf.group] == 0) ask_all(leaf.group);
  }

  int epoll_ = ::epoll_create1(0);
  std::size_t width_;
  std::size_t answer_bytes_ = 0;
  std::uint64_t calls_ = 0;
  std::vector<Leaf> leaves_;
  std::vector<std::size_t> open_;
  std::array<epoll_event, kEventsMax> events_{};
  std::array<char, kAnswerBytesMax> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) {
    std::fputs("usage: bench_gather_floor SECONDS GROUPS ADDRESS...\n", stderr);
    return 64;
  }
  Floor floor(number(words[1]), {words.begin() + 2, words.end()});
  floor.run(kWarmUpSeconds);
  const std::uint64_t calls = floor.calls();
  const double used = seconds(CLOCK_PROCESS_CPUTIME_ID);
  floor.run(static_cast<double>(number(words[0])));
  const auto done = static_cast<double>(floor.calls() - calls);
  std::printf("%.3f us per leaf call, %.0f calls\n",
              (seconds(CLOCK_PROCESS_CPUTIME_ID) - used) * 1e6 / done, done);
  return 0;
}
