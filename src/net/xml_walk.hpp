// The small XML documents that S3, STS and their like answer with, walked without a tree.
//
//   walk_xml("<A><B>x &lt; y</B></A>", visit)   // visit("A/B", "x < y"); visit("A", "")
//
// Strict and bounded, for what comes from a peer: one root, tags that match, five entities and
// character references, no document type (and so no entities of one's own). Attributes, comments
// and processing instructions are read and forgotten; CDATA is text. Namespaces are not known: a
// prefix is part of the name. Linear in the document; source: XML 1.0 (W3C), fifth edition.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort {

inline constexpr std::size_t kMaxXmlDepth = 16;
inline constexpr std::size_t kMaxXmlNameBytes = 128;
/// Of one element's own text, after decoding.
inline constexpr std::size_t kMaxXmlTextBytes = 64 * 1024;

/// Told of each element at its end: its path from the root and its own text, with the blanks around
/// it cut off where it has child elements. The views last until it returns.
using XmlVisitor = std::function<void(std::string_view path, std::string_view text)>;

/// Errc::protocol for what is no such document, Errc::limit beyond the limits; what was visited
/// before stays visited. White space may stand before the declaration: S3 sends it to keep a
/// connection alive.
Result<> walk_xml(std::string_view document, const XmlVisitor& visit);

/// The text with what is special in XML escaped.
std::string xml_escape(std::string_view text);

}  // namespace consort
