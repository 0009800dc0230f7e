// SPDX-License-Identifier: Apache-2.0
#include "wire/xml/xml.hpp"

#include <expat.h>

#include <algorithm>
#include <memory>
#include <type_traits>

namespace godwit::wire {
namespace {

constexpr char kSeparator = ' ';  // Cannot stand in a namespace URI.

XmlName split(const char* name) {
  const std::string_view whole(name);
  const std::size_t at = whole.rfind(kSeparator);
  if (at == std::string_view::npos) return {{}, whole};
  return {whole.substr(0, at), whole.substr(at + 1)};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

struct Reader {
  XML_Parser parser;
  XmlHandler& handler;
  const XmlLimits& limits;
  std::vector<std::string> texts;  ///< One for each open element.
  std::size_t elements = 0;
  std::optional<Error> error;

  void stop(ErrorCode code, std::string detail) {
    if (error) return;
    error = Error{code, std::move(detail)};
    XML_StopParser(parser, XML_FALSE);
  }

  static void on_start(void* user, const XML_Char* name, const XML_Char** attributes) {
    auto& self = *static_cast<Reader*>(user);
    if (self.error) return;
    if (self.texts.size() >= self.limits.depth)
      return self.stop(ErrorCode::TooLarge, "XML is nested too deeply");
    if (++self.elements > self.limits.elements)
      return self.stop(ErrorCode::TooLarge, "XML has too many elements");
    self.texts.emplace_back();
    self.handler.on_start(XmlElement(split(name), attributes));
  }
  static void on_end(void* user, const XML_Char* name) {
    auto& self = *static_cast<Reader*>(user);
    if (self.error || self.texts.empty()) return;
    const std::string text = std::move(self.texts.back());
    self.texts.pop_back();
    self.handler.on_end(split(name), trimmed(text));
  }
  static void on_text(void* user, const XML_Char* text, int length) {
    auto& self = *static_cast<Reader*>(user);
    if (self.error || self.texts.empty()) return;
    std::string& into = self.texts.back();
    const auto room = self.limits.text - std::min(self.limits.text, into.size());
    into.append(text, std::min(room, static_cast<std::size_t>(length)));
  }
  static void on_doctype(void* user, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    static_cast<Reader*>(user)->stop(ErrorCode::Unsupported,
                                     "XML with a document type declaration is refused");
  }
};

}  // namespace

std::optional<std::string_view> XmlElement::attribute(std::string_view local) const {
  for (const char* const* at = attributes_; at != nullptr && *at != nullptr; at += 2) {
    if (local == *at) return std::string_view(at[1]);
  }
  return std::nullopt;
}

Result<void> parse_xml(std::string_view document, XmlHandler& handler, const XmlLimits& limits) {
  if (document.size() > limits.bytes) return fail(ErrorCode::TooLarge, "XML is too large");
  const std::unique_ptr<std::remove_pointer_t<XML_Parser>, decltype(&XML_ParserFree)> parser(
      XML_ParserCreateNS(nullptr, kSeparator), &XML_ParserFree);
  if (!parser) return fail(ErrorCode::Busy, "no memory for an XML parser");
  Reader reader{parser.get(), handler, limits, {}, 0, std::nullopt};
  XML_SetUserData(parser.get(), &reader);
  XML_SetElementHandler(parser.get(), &Reader::on_start, &Reader::on_end);
  XML_SetCharacterDataHandler(parser.get(), &Reader::on_text);
  XML_SetStartDoctypeDeclHandler(parser.get(), &Reader::on_doctype);
  const auto status =
      XML_Parse(parser.get(), document.data(), static_cast<int>(document.size()), 1);
  if (reader.error) return tl::unexpected<Error>(*reader.error);
  if (status != XML_STATUS_OK) {
    return fail(ErrorCode::Malformed,
                std::string("not XML: ") + XML_ErrorString(XML_GetErrorCode(parser.get())));
  }
  return {};
}

}  // namespace godwit::wire
