#include "roles/gather/check_config.hpp"

#include <string_view>

#include "net/url.hpp"
#include "roles/gather/command_run.hpp"
#include "wire/http1_text.hpp"

namespace consort::gather {
namespace {

constexpr Millis kMaxTimeout{10 * 60 * 1000};

constexpr Option kTable[] = {
    option<&CheckConfig::leaf>("leaf", "the leaf to try out: http://, https:// or unix:/PATH"),
    option<&CheckConfig::merge>("merge",
                                "the merge to try out: an HTTP server (http://, https:// or "
                                "unix:/PATH), or a shell command, run once per request"),
    option<&CheckConfig::coprocess>(
        "coprocess", "the merge is a command that keeps running and answers line by line"),
    option<&CheckConfig::files>("merge-files",
                                "the merge finds the parts as files in $CONSORT_PARTS_DIR"),
    option<&CheckConfig::cgi>("merge-cgi", "what the merge writes begins with headers, as in CGI"),
    option<&CheckConfig::merge_format>("merge-format", "what a merge with a URL is sent"),
    option<&CheckConfig::path>("path", "what leaf and merge are asked for: a path, and a query"),
    option<&CheckConfig::sample>(
        "sample",
        "file with what one leaf answers, for the merge; default what --leaf answers, or a list "
        "of hits"),
    option<&CheckConfig::timeout>("timeout", "how long each request may take"),
    option<&CheckConfig::replay>(
        "replay",
        "file with what GET /requests or Consort-Explain said; its request is sent to --root "
        "once more; - is standard input",
        kFlagOnly),
    option<&CheckConfig::root>("root",
                               "the root that a replay asks: http://, https:// or "
                               "unix:/PATH"),
    option<&CheckConfig::request_id>(
        "request-id", "which request of GET /requests is replayed; default the slowest", kFlagOnly),
};

void check_url(const std::string& name, const std::string& url, Problems& problems) {
  if (url.empty()) return;
  if (auto parsed = http::Url::parse(url); !parsed) {
    problems.error(name + ": " + parsed.error().text());
  }
}

}  // namespace

std::vector<BoundTable> CheckConfig::tables() {
  return {{kTable, this}, {kTlsOptions, &tls}};
}

bool CheckConfig::merge_is_url() const {
  for (const std::string_view scheme : {"http://", "https://", "unix:"}) {
    if (std::string_view(merge).starts_with(scheme)) return true;
  }
  return false;
}

RouteConfig CheckConfig::merge_route() const {
  RouteConfig route;
  if (merge_is_url()) {
    route.merge_url = merge;
  } else if (coprocess) {
    route.merge_coprocess = merge;
  } else {
    route.merge_exec = merge;
  }
  route.merge_format = merge_format;
  route.merge_files = files;
  route.merge_cgi = cgi;
  route.connect_timeout = timeout;
  return route;
}

void CheckConfig::validate(Problems& problems) {
  if (replay.empty() && leaf.empty() && merge.empty()) {
    problems.error("nothing to check: give --leaf URL, --merge CMD|URL, or --replay FILE");
  }
  if (!replay.empty() && (!leaf.empty() || !merge.empty())) {
    problems.error("replay is a run of its own: leave out leaf and merge");
  }
  if (!replay.empty() && root.empty()) problems.error("replay needs --root URL");
  if (replay.empty() && (!root.empty() || !request_id.empty())) {
    problems.error("root and request_id go with --replay FILE");
  }
  check_url("leaf", leaf, problems);
  check_url("root", root, problems);
  if (merge_is_url()) {
    check_url("merge", merge, problems);
    if (coprocess || files || cgi) {
      problems.error("coprocess, merge_files and merge_cgi are for commands, not for a URL");
    }
  } else if (!merge.empty()) {
    if (command_argv(merge).empty()) problems.error("merge: empty; give a command or a URL");
    if (coprocess && (files || cgi)) {
      problems.error("merge_files and merge_cgi are for a command that is run once per request");
    }
  } else if (coprocess || files || cgi || !sample.empty()) {
    problems.error("coprocess, merge_files, merge_cgi and sample go with --merge");
  }
  if (!path.starts_with('/') || !http1::is_target(path)) {
    problems.error("path: " + in_quotes(path) +
                   " must begin with \"/\" and hold no blank or \"#\"; write %20 for a blank");
  }
  if (timeout.count() <= 0 || timeout > kMaxTimeout) {
    problems.error("timeout: must be between 1ms and 10m");
  }
}

}  // namespace consort::gather
