// Fuzzes the JSON scanner: its verdict is that of another parser, the readers find what that parser
// finds, the inner loops are the same with and without wide registers, and whatever the bytes are,
// nothing is read outside them and every reader ends.
//
// The input is one text.
#include "wire/json_scan.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "support/json_oracle.hpp"
#include "wire/json_pointer.hpp"
#include "wire/json_scan_blocks.hpp"

namespace {

using namespace consort;
using namespace consort::json_blocks;

/// Bytes in an allocation of exactly their size, so that one byte too far is seen.
class Exact {
 public:
  explicit Exact(std::string_view bytes)
      : bytes_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

void require(bool condition) {
  if (!condition) std::abort();
}

void compare_loops(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  for (const char* at = begin; at <= end; at += 61) {
    require(Fastest::find_quote(at, end) == Scalar::find_quote(at, end));
    require(Fastest::find_special(at, end) == Scalar::find_special(at, end));
    require(BracketWalker<Fastest>::find_end(at, end) == BracketWalker<Scalar>::find_end(at, end));
    if (static_cast<std::size_t>(end - at) < kWideBytes) continue;
    require(Fastest::find_special_wide(at) == Scalar::find_special_wide(at));
    const char* const last = end - static_cast<unsigned char>(*at) % (kWideBytes + 1);
    require(Fastest::find_special_back(last, end) == Scalar::find_special_back(last, end));
  }
}

/// Of any bytes; each value has one at least, so there cannot be more of them than bytes.
void read_unchecked(std::string_view text) {
  JsonArrayReader elements(text);
  std::size_t count = 0;
  std::string_view last;
  for (std::string_view element; elements.next(element); ++count) {
    require(!element.empty() && element.data() > text.data());
    require(element.data() + element.size() <= text.data() + text.size());
    require((compare_json(element, last) < 0) == (compare_json(last, element) > 0));
    const bool is_sorted = compare_json(last, element) <= 0;
    require(!is_sorted || json_order_prefix(last) <= json_order_prefix(element));
    last = element;
  }
  require(count <= text.size());
  JsonObjectReader members(text);
  count = 0;
  std::string_view key;
  for (std::string_view value; members.next(key, value); ++count) {
    require(key.data() > text.data() && value.data() > key.data() + key.size());
    require(value.data() + value.size() <= text.data() + text.size());
    require(unescape_json_string(key).size() <= key.size());
    require(json_string_equals(key, unescape_json_string(key)));
  }
  require(count <= text.size());
  canonical_json(text);
}

/// Scalars are equal in the order when they are equal as keys.
void compare_orders(std::string_view array) {
  JsonArrayReader elements(array);
  std::string_view last = "0";
  for (std::string_view element; elements.next(element); last = element) {
    if (json_kind(element) >= JsonKind::array || json_kind(last) >= JsonKind::array) continue;
    require((compare_json(element, last) == 0) ==
            (canonical_json(element) == canonical_json(last)));
  }
}

/// Between brackets, as most documents are: check_json() reads those in its own way.
void compare_enclosed(std::string_view text) {
  const std::string inside(text);
  for (const std::string& document : {"[" + inside + "]", "{\"a\":" + inside + "}"}) {
    const Exact bytes(document);
    require(check_json(bytes.view()).has_value() == test::oracle_accepts(document));
  }
}

void compare_parsers(std::string_view text) {
  const Result<std::string_view> checked = check_json(text);
  require(checked.has_value() == test::oracle_accepts(text));
  if (!checked) return;
  const Result<std::string_view> trimmed = trim_json(text);
  require(trimmed && trimmed->data() == checked->data() && trimmed->size() == checked->size());
  compare_orders(*checked);
  const Exact undisputed(test::without_disputes(text));
  const Result<std::string_view> value = check_json(undisputed.view());
  require(value && test::same_value(*value, nlohmann::json::parse(*value)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Exact bytes({reinterpret_cast<const char*>(data), size});
  const std::string_view text = bytes.view();
  compare_parsers(text);
  compare_enclosed(text);
  compare_loops(text);
  read_unchecked(text);
  if (const Result<JsonPointer> pointer = JsonPointer::parse(text)) {
    require(JsonPointer::parse(pointer->text())->tokens() == pointer->tokens());
    pointer->find(text);
  }
  return 0;
}
