#include "app/sources.hpp"

#include "io/own_process.hpp"
#include "io/read_file.hpp"

namespace consort {

ConfigSources process_sources(std::vector<Flag> flags) {
  ConfigSources sources;
  sources.flags = std::move(flags);
  sources.environment = io::environment;
  sources.read_file = [](const std::string& path) {
    return io::read_file(path, kMaxDocumentBytes);
  };
  return sources;
}

}  // namespace consort
