#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "roles/logsaver/records/glob.hpp"

using namespace consort;
using namespace consort::logsaver;

namespace {

Glob made(std::string_view text) {
  Result<Glob> glob = Glob::compile(text);
  if (!glob) FAIL(glob.error().message());
  return std::move(*glob);
}

std::string refusal(std::string_view text) {
  const Result<Glob> glob = Glob::compile(text);
  return glob ? "" : glob.error().message();
}

struct Case {
  std::string_view pattern;
  std::vector<std::string_view> yes;
  std::vector<std::string_view> no;
};

}  // namespace

TEST_CASE("patterns match paths as shells do") {
  const Case table[] = {
      {"/var/log/*.log",
       {"/var/log/a.log", "/var//log/./a.log"},
       {"/var/log/a.txt", "/var/log/x/a.log", "/var/log/.a.log", "var/log/a.log", "/var/log"}},
      {"/var/log/.*", {"/var/log/.a"}, {"/var/log/a"}},
      {"a?c", {"abc", "a.c", "./abc"}, {"ac", "abbc", "a/c", "/abc"}},
      {"?a", {"xa"}, {".a"}},
      {"[a-cx]1", {"a1", "b1", "x1"}, {"d1", "1"}},
      {"[!a-c]1", {"d1", "-1"}, {"a1", ".1"}},
      {"[^a]", {"b"}, {"a"}},
      {"[]a]", {"]", "a"}, {"b"}},
      {"[a-]", {"-", "a"}, {"b"}},
      {"[\\]]", {"]"}, {"\\"}},
      {"[{]", {"{"}, {"["}},
      {"\\*\\[", {"*["}, {"x["}},
      {"/a/**/b", {"/a/b", "/a/x/b", "/a/x/y/b"}, {"/a/.x/b", "/a/xb", "/a/b/c"}},
      {"/a/**", {"/a/b", "/a/b/c"}, {"/a", "/a/.b", "/a/.b/c", "/b/c"}},
      {"**/x", {"x", "a/x", "a/b/x"}, {"/x", "x/y"}},
      {"/**/**/x", {"/x", "/a/b/c/x"}, {"x"}},
      {"a**b", {"ab", "axxb"}, {"a/b"}},
      {"/v/{a,b*}/{x,y}.log", {"/v/a/x.log", "/v/bcd/y.log"}, {"/v/c/x.log", "/v/a/z.log"}},
      {"{a,b/{c,d}}", {"a", "b/c", "b/d"}, {"b", "c"}},
      {"a{,.1,.2}", {"a", "a.1", "a.2"}, {"a.3"}},
      {"a{b}c", {"abc"}, {"a{b}c"}},
      {"a,b}", {"a,b}"}, {"a"}},
      {"{[a,b],c}", {"a", ",", "c"}, {"[a"}},
      {"\\{a,b\\}", {"{a,b}"}, {"a"}},
      {"*.log.*", {"a.log.1", "a.log.log.1"}, {"a.log", "a.log1"}},
      {"*a*b*c*", {"abc", "xaxbxcx", "aabbcc"}, {"acb", "ab"}},
      {"\xff*", {"\xff\xfe"}, {"\xfe"}},
  };
  for (const Case& one : table) {
    CAPTURE(one.pattern);
    const Glob glob = made(one.pattern);
    for (const std::string_view path : one.yes) {
      CAPTURE(path);
      CHECK(glob.matches(path));
    }
    for (const std::string_view path : one.no) {
      CAPTURE(path);
      CHECK_FALSE(glob.matches(path));
    }
    CHECK_FALSE(glob.matches(""));
    CHECK_FALSE(glob.matches("/"));
  }
}

TEST_CASE("the fixed directory is what is before the first wildcard") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"/var/log/*.log", "/var/log"},
      {"/var/log/app.log", "/var/log"},
      {"/var//log/./app.log", "/var/log"},
      {"/var/l?g/app.log", "/var"},
      {"/*", "/"},
      {"*.log", "."},
      {"logs/*.log", "logs"},
      {"/var/{log,lib}/x", "/var"},
      {"/var/log/{a,b}.log", "/var/log"},
      {"{/a/x,/b/y}", "/"},
      {"/var/{log/a,log/b/*}", "/var/log"},
      {"/a\\*b/c", "/a*b"},
      {"/a/**", "/a"},
      {"**/x", "."},
  };
  for (const auto& [pattern, directory] : table) {
    CAPTURE(pattern);
    CHECK(made(pattern).fixed_directory() == directory);
  }
}

TEST_CASE("a directory is worth watching when a path below it could match") {
  const Case table[] = {
      {"/var/log/{nginx,app-*}/**/*.log",
       {"/", "/var", "/var/log", "/var/log/", "/var/log/app-1/2026", "/var/log/nginx"},
       {"/var/log/mysql", "/var/log/nginx/.git", "/tmp", "var", "."}},
      {"/a/*.log", {"/", "/a"}, {"/a/b", "/a/x.log", "/b"}},
      {"logs/*/x", {".", "logs", "logs/a", "./logs"}, {"logs/a/x", "logs/.a", "/logs", "/"}},
      {"/a/**", {"/a", "/a/b", "/a/b/c"}, {"/a/.b", "/b"}},
      {"/{a/b,c}", {"/", "/a"}, {"/c", "/a/b"}},
  };
  for (const Case& one : table) {
    CAPTURE(one.pattern);
    const Glob glob = made(one.pattern);
    for (const std::string_view path : one.yes) {
      CAPTURE(path);
      CHECK(glob.may_match_below(path));
    }
    for (const std::string_view path : one.no) {
      CAPTURE(path);
      CHECK_FALSE(glob.may_match_below(path));
    }
  }
}

TEST_CASE("patterns that cannot be meant are refused in words") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"", "it is empty"},
      {"/var/log/", "names a directory"},
      {"/", "names a directory"},
      {".", "names no file"},
      {"a/../b", "without \"..\""},
      {"[a", "a [ is not closed"},
      {"[a/b]", "a [ is not closed before the next slash"},
      {"[b-a]", "the wrong way round"},
      {"[[:digit:]]", "write [0-9]"},
      {"{a,b", "a { is not closed"},
      {"a\\", "a backslash stands before nothing"},
      {"{/a,b}", "begins with /"},
      {"{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "more than 64 alternatives"},
  };
  for (const auto& [pattern, why] : table) {
    CAPTURE(pattern);
    CHECK(refusal(pattern).find(" is not a pattern for paths: ") != std::string::npos);
    CHECK(refusal(pattern).find(why) != std::string::npos);
  }
  CHECK(refusal(std::string(5000, 'a')).find("4096") != std::string::npos);
  CHECK(refusal(std::string(33, '{')).find("32 braces") != std::string::npos);
  std::string deep = "a";
  for (std::size_t i = 0; i < Glob::kNamesMax; ++i) deep += "/a";
  CHECK(refusal(deep).find("60 names") != std::string::npos);
  CHECK(refusal({"a\0b", 3}).find("NUL") != std::string::npos);
}

TEST_CASE("many stars and long names do not multiply") {
  std::string stars;
  for (int i = 0; i < 500; ++i) stars += "a*";
  CHECK_FALSE(made(stars + "b").matches(std::string(4000, 'a')));
  std::string directories = "/";
  std::string path;
  for (int i = 0; i < 28; ++i) directories += "**/a/";
  for (int i = 0; i < 2000; ++i) path += "/a";
  CHECK_FALSE(made(directories + "b").matches(path));
  CHECK(made(directories + "a").matches(path));
}
