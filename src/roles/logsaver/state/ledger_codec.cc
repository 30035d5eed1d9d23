#include "roles/logsaver/state/ledger_codec.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

namespace consort::logsaver {

namespace {

/// The shortest extent: three numbers, the byte of flags, a check.
constexpr std::size_t kExtentBytesMin = 3 + 1 + 17;

/// Most entries are not longer: one allocation.
constexpr std::size_t kUsualBytes = 200;

class Writer {
 public:
  explicit Writer(std::size_t kind) {
    out_.reserve(kUsualBytes);
    out_ += static_cast<char>(kind);
  }
  template <class T>
  void number(T& value, std::uint64_t /*max*/ = 0) {
    put_number(value);
  }
  template <class T>
  void fixed(T& value) {
    auto bits = static_cast<std::uint64_t>(value);
    std::array<char, 8> bytes{};
    for (char& byte : bytes) {
      byte = static_cast<char>(bits);
      bits >>= 8;
    }
    out_.append(bytes.data(), bytes.size());
  }
  void hash(ManifestHash& value) {
    for (const std::uint8_t byte : value) out_ += static_cast<char>(byte);
  }
  void flag(bool& value) { out_ += value ? '\1' : '\0'; }
  void text(std::string& value, std::size_t /*bytes_max*/) {
    put_number(value.size());
    out_ += value;
  }
  void text_or_same(std::string& value, const std::string& other, std::size_t bytes_max) {
    bool is_same = value == other;
    flag(is_same);
    if (!is_same) text(value, bytes_max);
  }
  void list(std::vector<Extent>& extents) { put_number(extents.size()); }
  void end_after(std::uint64_t start, std::uint64_t& end) { put_number(end - start); }
  void may_be(std::optional<Progress>& value) { out_ += value ? '\1' : '\0'; }

  std::string take() && { return std::move(out_); }

 private:
  void put_number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }

  std::string out_;
};

/// Gives zeros once something was wrong: asked at the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  void number(T& value, std::uint64_t max = std::numeric_limits<T>::max()) {
    value = static_cast<T>(take_number(max));
  }
  template <class T>
  void fixed(T& value) {
    std::uint64_t bits = 0;
    const std::string_view bytes = take(8);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bits |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    }
    value = static_cast<T>(bits);
  }
  void hash(ManifestHash& value) {
    const std::string_view bytes = take(value.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) value[i] = static_cast<std::uint8_t>(bytes[i]);
  }
  void flag(bool& value) {
    const std::string_view byte = take(1);
    if (!byte.empty() && byte[0] != '\0' && byte[0] != '\1') is_good_ = false;
    value = byte == "\1";
  }
  void text(std::string& value, std::size_t bytes_max) { value = take(take_number(bytes_max)); }
  void text_or_same(std::string& value, const std::string& other, std::size_t bytes_max) {
    bool is_same = false;
    flag(is_same);
    if (is_same) {
      value = other;
      return;
    }
    text(value, bytes_max);
    if (value == other) is_good_ = false;
  }
  void list(std::vector<Extent>& extents) {
    const std::size_t room = rest_.size() / kExtentBytesMin;
    extents.resize(take_number(std::min(room, kMaxExtents)));
  }
  void end_after(std::uint64_t start, std::uint64_t& end) {
    end = start + take_number(std::numeric_limits<std::uint64_t>::max() - start);
  }
  void may_be(std::optional<Progress>& value) {
    bool is_there = false;
    flag(is_there);
    if (is_there) value.emplace();
  }
  bool is_done() const { return is_good_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t length) {
    is_good_ = is_good_ && length <= rest_.size();
    if (!is_good_) return {};
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }
  std::uint64_t take_number(std::uint64_t max) {
    std::uint64_t value = 0;
    for (unsigned int shift = 0;; shift += 7) {
      const std::string_view byte = take(1);
      if (byte.empty()) return 0;
      const std::uint64_t bits = static_cast<std::uint8_t>(byte[0]) & 0x7Fu;
      const bool is_last = (static_cast<std::uint8_t>(byte[0]) & 0x80u) == 0;
      // A zero at the end would be a second form, and only one bit is left for the tenth byte.
      is_good_ = shift < 63 || (bits <= 1 && is_last);
      if (is_last && bits == 0 && shift > 0) is_good_ = false;
      if (!is_good_) return 0;
      value |= bits << shift;
      if (is_last) break;
    }
    if (value > max) is_good_ = false;
    return is_good_ ? value : 0;
  }

  std::string_view rest_;
  bool is_good_ = true;
};

// One description of each entry for both ways, so that they cannot differ.

template <class Codec>
void code(Codec& codec, ContentCheck& check, std::uint32_t length_max) {
  codec.number(check.length, length_max);
  codec.fixed(check.hash.low);
  codec.fixed(check.hash.high);
}

template <class Codec>
void code(Codec& codec, Progress& progress) {
  codec.number(progress.offset);
  code(codec, progress.check, kEndCheckBytes);
}

template <class Codec>
void code(Codec& codec, Extent& extent) {
  codec.number(extent.tail);
  codec.number(extent.start);
  codec.end_after(extent.start, extent.end);
  codec.flag(extent.continues);
  code(codec, extent.check, kEndCheckBytes);
}

template <class Codec>
void code(Codec& codec, Intent& intent) {
  codec.number(intent.number);
  codec.fixed(intent.created_ms);
  codec.number(intent.position);
  codec.fixed(intent.settings);
  codec.list(intent.extents);
  for (Extent& extent : intent.extents) code(codec, extent);
}

template <class Codec>
void code(Codec& codec, entry::Begun& entry) {
  codec.fixed(entry.state_id);
}

template <class Codec>
void code(Codec& codec, entry::SinkAdded& entry) {
  codec.text(entry.name, kMaxSinkNameBytes);
}

template <class Codec>
void code(Codec& codec, entry::TailPut& entry) {
  TailRecord& record = entry.record;
  codec.number(record.id);
  codec.fixed(record.identity.file_system);
  codec.number(record.identity.inode);
  codec.fixed(record.identity.born_ns);
  codec.number(record.identity.generation);
  codec.number(record.base);
  code(codec, record.head, kHeadCheckBytes);
  codec.text(record.path, kMaxPathBytes);
  codec.text_or_same(record.origin, record.path, kMaxPathBytes);
}

template <class Codec>
void code(Codec& codec, entry::TailForgotten& entry) {
  codec.number(entry.id);
}

template <class Codec>
void code(Codec& codec, entry::Skipped& entry) {
  codec.number(entry.sink);
  codec.number(entry.tail);
  code(codec, entry.progress);
}

template <class Codec>
void code(Codec& codec, entry::Planned& entry) {
  codec.number(entry.sink);
  code(codec, entry.intent);
}

template <class Codec>
void code(Codec& codec, entry::Acknowledged& entry) {
  codec.number(entry.sink);
  codec.number(entry.number);
}

template <class Codec>
void code(Codec& codec, entry::TailsGiven& entry) {
  codec.number(entry.last);
}

template <class Codec>
void code(Codec& codec, entry::SinkNumbered& entry) {
  codec.number(entry.sink);
  codec.number(entry.next);
}

template <class Codec>
void code(Codec& codec, entry::ProgressKept& entry) {
  codec.number(entry.sink);
  codec.number(entry.tail);
  code(codec, entry.planned);
  codec.may_be(entry.settled);
  if (entry.settled) code(codec, *entry.settled);
}

template <class Codec>
void code(Codec& codec, entry::IntentKept& entry) {
  codec.number(entry.sink);
  code(codec, entry.intent);
}

template <class Codec>
void code(Codec& codec, entry::Manifested& entry) {
  codec.number(entry.sink);
  codec.number(entry.number);
  codec.hash(entry.manifest);
}

template <class Codec>
void code(Codec& codec, entry::ChainKept& entry) {
  codec.number(entry.sink);
  codec.hash(entry.chain);
}

template <std::size_t... kIndex>
bool choose(entry::Variant& value, std::size_t kind, std::index_sequence<kIndex...> /*all*/) {
  return ((kind == kIndex + 1 && (value.template emplace<kIndex>(), true)) || ...);
}

}  // namespace

std::string encode(entry::Any entry) {
  Writer writer(entry.value.index() + 1);
  std::visit([&writer](auto& value) { code(writer, value); }, entry.value);
  return std::move(writer).take();
}

Result<entry::Any> decode(std::string_view bytes) {
  entry::Any entry;
  constexpr auto kAll = std::make_index_sequence<std::variant_size_v<entry::Variant>>();
  if (bytes.empty()) return fail(Errc::io, "an entry without bytes");
  const std::size_t kind = static_cast<std::uint8_t>(bytes[0]);
  if (!choose(entry.value, kind, kAll)) {
    return fail(Errc::io, "an entry of the unknown kind " + std::to_string(kind));
  }
  Reader reader(bytes.substr(1));
  std::visit([&reader](auto& value) { code(reader, value); }, entry.value);
  if (!reader.is_done()) {
    return fail(Errc::io, "an entry of kind " + std::to_string(kind) + " that cannot be read");
  }
  return entry;
}

}  // namespace consort::logsaver
