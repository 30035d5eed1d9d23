// Fuzzes the readers of S3's answers: no input harms them, what they give is bounded and clean, and
// what they accept survives being written again.
#include "net/s3_xml.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/xml_walk.hpp"

namespace {

using namespace consort;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Element {
  std::string path;
  std::string text;
  friend bool operator==(const Element&, const Element&) = default;
};

/// What is told of a document; false when it is refused.
bool walk(std::string_view document, std::vector<Element>& out) {
  return walk_xml(document,
                  [&](std::string_view path, std::string_view text) {
                    require(text.size() <= kMaxXmlTextBytes && !path.empty());
                    out.push_back({std::string(path), std::string(text)});
                  })
      .has_value();
}

/// Each text alone in an element, escaped, is the text again.
void rewrite(const std::vector<Element>& elements) {
  for (const Element& element : elements) {
    std::vector<Element> again;
    require(walk("<A>" + xml_escape(element.text) + "</A>", again));
    require(again == std::vector<Element>{{"A", element.text}});
  }
}

void use_answers(std::string_view bytes) {
  if (const auto fault = s3::parse_fault(bytes)) {
    require(fault->code.size() <= 64 && fault->message.size() <= 300);
    for (const char c : fault->message) require(static_cast<unsigned char>(c) >= 0x20);
  }
  if (const auto listing = s3::parse_listing(bytes)) {
    require(listing->entries.size() <= s3::kMaxListed);
    for (const s3::Entry& entry : listing->entries) require(!entry.key.empty());
  }
  if (const auto uploads = s3::parse_uploads(bytes)) {
    require(uploads->uploads.size() <= s3::kMaxListed);
    for (const s3::Upload& upload : uploads->uploads) {
      require(!upload.key.empty() && !upload.id.empty());
    }
  }
  if (const auto id = s3::parse_upload_id(bytes)) require(!id->empty());
  // No body is both: an error under status 200 must never count as success.
  if (s3::parse_completed(bytes)) require(!s3::parse_fault(bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // An allocation of exactly its size, so that one byte too far is seen.
  const auto copy = std::make_unique<char[]>(size);
  if (size > 0) std::memcpy(copy.get(), data, size);
  const std::string_view bytes(copy.get(), size);

  std::vector<Element> elements;
  if (walk(bytes, elements)) {
    require(!elements.empty());
    rewrite(elements);
  }
  use_answers(bytes);

  std::vector<Element> complete;
  std::vector<std::string> etags;
  for (const Element& element : elements) etags.push_back(element.text);
  require(walk(s3::write_complete(etags), complete));
  std::size_t parts = 0;
  for (const Element& element : complete) {
    if (element.path == "CompleteMultipartUpload/Part/ETag") {
      require(element.text == etags[parts++]);
    }
  }
  require(parts == etags.size());
  return 0;
}
