#include "roles/logsaver/verify/destination.hpp"

#include <string_view>
#include <utility>

#include "base/options.hpp"
#include "roles/logsaver/sinks/path_template.hpp"
#include "roles/logsaver/sinks/sink_url.hpp"
#include "roles/logsaver/verify/file_destination.hpp"
#include "roles/logsaver/verify/s3_destination.hpp"

namespace consort::logsaver {
namespace {

bool is_url(std::string_view target) {
  return target.starts_with("s3:") || target.starts_with("file:") ||
         target.find("://") != target.npos;
}

Result<SinkUrl> parse_url(const std::string& target) {
  if (target.starts_with("s3:") || target.starts_with("file:")) return SinkUrl::parse(target);
  const std::string_view scheme = std::string_view(target).substr(0, target.find(':'));
  return fail(Errc::invalid, in_quotes(scheme) +
                                 " is nothing that can be verified (there are s3://BUCKET/PREFIX, "
                                 "file:///PATH, and paths)");
}

}  // namespace

Result<std::unique_ptr<Destination>> make_destination(const std::string& target,
                                                      const SinkWorld& world,
                                                      VerifySettings settings) {
  if (!is_url(target)) return std::make_unique<FileDestination>(world, target, settings);
  Result<SinkUrl> url = parse_url(target);
  if (!url) return fail(std::move(url.error()));
  if (url->kind() == SinkKind::s3) return S3Destination::create(world, *url, settings);
  Result<PathTemplate> path = PathTemplate::parse(url->path());
  if (!path) return fail(std::move(path.error()).in(url->name()));
  std::string where = path->is_fixed() ? path->path({.host = world.host}) : path->fixed_directory();
  return std::make_unique<FileDestination>(world, std::move(where), settings);
}

Result<> check_target(const std::string& target) {
  if (target.empty()) return fail(Errc::invalid, "a target is missing (try s3://bucket/prefix)");
  if (!is_url(target)) return {};
  const Result<SinkUrl> url = parse_url(target);
  if (!url) return fail(url.error().clone());
  return {};
}

}  // namespace consort::logsaver
