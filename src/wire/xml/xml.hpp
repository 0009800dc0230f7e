// SPDX-License-Identifier: Apache-2.0
//
// Reads an XML document of a stranger's: one pass over bytes in memory, element by element, with
// namespaces resolved. A document type declaration is refused, and with it every entity but the
// five predefined ones, so that nothing expands and nothing outside is looked at. Depth, elements
// and text are bounded. Wraps libexpat (docs/adr/0002); builds no tree, keeps nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "godwit/result.hpp"

namespace godwit::wire {

struct XmlLimits {
  std::size_t bytes = 65'535;  ///< Of the document.
  std::size_t depth = 32;
  std::size_t elements = 4'096;
  std::size_t text = 4'096;  ///< Within one element; what is beyond is left out.
};

/// A name or attribute of an element; views live until the handler returns.
struct XmlName {
  std::string_view space;  ///< The namespace URI; empty: none.
  std::string_view local;
};

class XmlElement {
 public:
  XmlElement(XmlName name, const char* const* attributes) : name_(name), attributes_(attributes) {}
  const XmlName& name() const { return name_; }
  /// An attribute without namespace.
  std::optional<std::string_view> attribute(std::string_view local) const;

 private:
  XmlName name_;
  const char* const* attributes_;  ///< Name, value, …, nullptr.
};

class XmlHandler {
 public:
  virtual ~XmlHandler() = default;
  virtual void on_start(const XmlElement& element) = 0;
  /// `text`: what stood directly in the element, joined, without white space around it.
  virtual void on_end(const XmlName& name, std::string_view text) = 0;
};

/// Malformed if it is no well-formed document, Unsupported with a document type declaration,
/// TooLarge beyond a limit. What came before the error has been handed out.
Result<void> parse_xml(std::string_view document, XmlHandler& handler,
                       const XmlLimits& limits = {});

}  // namespace godwit::wire
