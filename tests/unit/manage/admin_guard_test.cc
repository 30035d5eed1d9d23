#include "manage/admin_guard.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "manage/accept.hpp"

using namespace consort;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

http::Request local(Headers headers) {
  http::Request request;
  request.method = "POST";
  request.path = "/reload";
  request.headers = std::move(headers);
  request.peer = {.is_unix = false, .is_loopback = true, .text = "[::1]:80"};
  return request;
}

http::Request remote(Headers headers) {
  http::Request request = local(std::move(headers));
  request.peer = {.is_unix = false, .is_loopback = false, .text = "10.0.0.9:80"};
  return request;
}

/// A file that is rewritten and removed at the end.
class TempFile {
 public:
  explicit TempFile(std::string_view text) {
    const int fd = ::mkstemp(path_);
    REQUIRE(fd >= 0);
    ::close(fd);
    write(text);
  }
  ~TempFile() { std::remove(path_); }
  void write(std::string_view text) {
    std::FILE* file = std::fopen(path_, "w");
    REQUIRE(file != nullptr);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/consort-token-XXXXXX";
};

int status_of(AdminGuard& guard, const http::Request& request) {
  const auto refusal = guard.refuse(request);
  return refusal ? refusal->status : 200;
}

}  // namespace

TEST_CASE("local peers pass by addresses and names that are ours") {
  AdminGuard guard({}, {"box", "admin.example"});
  for (const char* host : {"127.0.0.1", "127.0.0.1:9853", "[::1]", "[::1]:9853", "localhost",
                           "LOCALHOST:1", "10.2.3.4:80", "box:9853", "Admin.Example"}) {
    CAPTURE(host);
    CHECK(status_of(guard, local({{"host", host}})) == 200);
  }
}

TEST_CASE("foreign Host headers are refused, as DNS rebinding sends them") {
  AdminGuard guard({}, {"box"});
  for (const char* host : {"evil.example", "evil.example:9853", "localhost.evil.example", "",
                           "127.0.0.1.evil.example", "[::1", "[]", ":80", "boxes"}) {
    CAPTURE(host);
    CHECK(status_of(guard, local({{"host", host}})) == 403);
  }
  CHECK(status_of(guard, local({})) == 403);
}

TEST_CASE("unix peers may use any Host header") {
  AdminGuard guard({}, {});
  http::Request request = local({{"host", "whatever"}});
  request.peer = {.is_unix = true, .is_loopback = false, .text = "unix"};
  CHECK(status_of(guard, request) == 200);
}

TEST_CASE("pages of other origins are refused") {
  AdminGuard guard({}, {});
  const std::string host = "127.0.0.1:9853";
  CHECK(status_of(guard, local({{"host", host}, {"origin", "http://127.0.0.1:9853"}})) == 200);
  CHECK(status_of(guard, local({{"host", host}, {"sec-fetch-site", "same-origin"}})) == 200);
  for (const char* origin : {"http://evil.example", "null", "http://127.0.0.1:80",
                             "http://127.0.0.1:9853.evil.example", "ftp://127.0.0.1:9853"}) {
    CAPTURE(origin);
    CHECK(status_of(guard, local({{"host", host}, {"origin", origin}})) == 403);
  }
  CHECK(status_of(guard, local({{"host", host}, {"sec-fetch-site", "cross-site"}})) == 403);
}

TEST_CASE("remote peers need the token") {
  TempFile file("s3cret\n");
  AdminGuard guard(file.path(), {});
  CHECK(status_of(guard, remote({{"host", "pod.example"}})) == 403);
  CHECK(status_of(guard, remote({{"authorization", "Bearer s3cret"}})) == 200);
  CHECK(status_of(guard, remote({{"authorization", "bearer s3cret"}})) == 200);
  for (const char* wrong : {"Bearer s3cre", "Bearer s3crets", "Bearer ", "Bearer S3CRET",
                            "Basic s3cret", "s3cret", "Bearer s3cret\n"}) {
    CAPTURE(wrong);
    CHECK(status_of(guard, remote({{"authorization", wrong}})) == 401);
  }
}

TEST_CASE("a wrong token is wrong for local peers too") {
  TempFile file("s3cret");
  AdminGuard guard(file.path(), {});
  CHECK(status_of(guard, local({{"host", "localhost"}, {"authorization", "Bearer x"}})) == 401);
  CHECK(status_of(guard, local({{"host", "localhost"}})) == 200);
}

TEST_CASE("without a token file no token is right") {
  AdminGuard guard({}, {});
  CHECK(status_of(guard, remote({{"authorization", "Bearer "}})) == 403);
  CHECK(status_of(guard, remote({{"authorization", "Bearer x"}})) == 403);
}

TEST_CASE("the token is read again when its file changes") {
  TempFile file("one");
  TokenFile token(file.path());
  CHECK(token.token() == "one");
  file.write("three  \n\n");
  CHECK(token.token() == "three");
  std::remove(file.path().c_str());
  CHECK(token.token().empty());
  file.write("five5");
  CHECK(token.token() == "five5");
}

TEST_CASE("an empty or oversized token file lets nobody in") {
  TempFile file("");
  AdminGuard guard(file.path(), {});
  CHECK(status_of(guard, remote({{"authorization", "Bearer "}})) == 401);
  CHECK(status_of(guard, remote({{"authorization", "Bearer x"}})) == 401);
  file.write(std::string(TokenFile::kMaxBytes + 1, 'x'));
  CHECK(TokenFile(file.path()).token().empty());
}

TEST_CASE("a token file that is a pipe or a folder lets nobody in, and does not block") {
  TempFile file("one");
  TokenFile token(file.path());
  std::remove(file.path().c_str());
  REQUIRE(::mkfifo(file.path().c_str(), 0600) == 0);
  CHECK(token.token().empty());
  CHECK(TokenFile("/tmp").token().empty());
}

TEST_CASE("a token file that could not be read is tried again") {
  TempFile file("one");
  TokenFile token(file.path());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const bool is_empty = token.token().empty();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(is_empty);
  CHECK(token.token() == "one");
}

TEST_CASE("the comparison is exact") {
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(equal_in_constant_time("abcabc", "abc"));
  CHECK_FALSE(equal_in_constant_time("ab", "abc"));
  CHECK_FALSE(equal_in_constant_time("", "abc"));
  CHECK_FALSE(equal_in_constant_time("", ""));
}

TEST_CASE("Accept headers are weighed by q and by how specific they are") {
  CHECK(accept_quality("", "text/plain") == 1000);
  CHECK(accept_quality("*/*", "text/plain") == 1000);
  CHECK(accept_quality("text/html", "text/plain") == 0);
  CHECK(accept_quality("text/*;q=0.5, text/plain;q=0.25", "text/plain") == 250);
  CHECK(accept_quality("*/*;q=0.1,text/*;q=0.7", "text/plain") == 700);
  CHECK(accept_quality("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain") == 500);
  CHECK(accept_quality("text/plain;q=x", "text/plain") == 0);
  CHECK(accept_quality(" , ;q=1,,text/plain ; q=1.0", "text/plain") == 1000);
}

TEST_CASE("only an explicit type is preferred") {
  const char* open = "application/openmetrics-text";
  const char* plain = "text/plain";
  // What Prometheus 2.42 sends.
  CHECK(
      prefers("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
              "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
              open, plain));
  CHECK_FALSE(prefers("*/*", open, plain));
  CHECK_FALSE(prefers("", open, plain));
  CHECK_FALSE(prefers("text/plain,application/openmetrics-text;q=0.9", open, plain));
  CHECK_FALSE(prefers("application/openmetrics-text;q=0", open, plain));
}
