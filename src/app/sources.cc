#include "app/sources.hpp"

#include <cstdlib>

#include "io/read_file.hpp"

namespace consort {

ConfigSources process_sources(std::vector<Flag> flags) {
  ConfigSources sources;
  sources.flags = std::move(flags);
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  sources.read_file = [](const std::string& path) {
    return io::read_file(path, kMaxDocumentBytes);
  };
  return sources;
}

}  // namespace consort
