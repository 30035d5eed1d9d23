#include "app/version.hpp"

#include <elf.h>
#include <link.h>

#include <cstring>

#include "base/json_writer.hpp"

namespace consort {
namespace {

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

// A note segment is a row of headers, each followed by a name and a descriptor, padded to 4 bytes.
std::string build_id_in(std::string_view notes) {
  auto padded = [](std::size_t size) { return (size + 3) & ~std::size_t{3}; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header{};
    std::memcpy(&header, notes.data(), sizeof header);
    notes.remove_prefix(sizeof header);
    const std::size_t name_size = padded(header.n_namesz);
    const std::size_t all = name_size + padded(header.n_descsz);
    if (all > notes.size()) return {};
    if (header.n_type == NT_GNU_BUILD_ID && notes.starts_with("GNU")) {
      return hex(notes.substr(name_size, header.n_descsz));
    }
    notes.remove_prefix(all);
  }
  return {};
}

// Called for each loaded object, the executable first; the return value ends the walk.
int visit_object(dl_phdr_info* object, std::size_t, void* found) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    // The loader maps notes at this address; there is no other way to name them.
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* start = reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr);
    std::string id = build_id_in({start, segment.p_memsz});
    if (id.empty()) continue;
    *static_cast<std::string*>(found) = std::move(id);
    break;
  }
  return 1;
}

}  // namespace

std::string version_text() {
  return std::string("consort ") + CONSORT_VERSION + "\n";
}

std::string version_json() {
  std::string build_id;
  ::dl_iterate_phdr(visit_object, &build_id);
  JsonWriter json;
  json.begin_object().key("version").value(CONSORT_VERSION);
  json.key("build_id").value(build_id);
  json.key("compiler").value(__VERSION__).end_object();
  return json.take() + "\n";
}

}  // namespace consort
