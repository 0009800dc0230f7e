// SPDX-License-Identifier: Apache-2.0
#include "wire/event/pidf.hpp"

#include "wire/xml/xml.hpp"

namespace godwit::wire {
namespace {

constexpr std::string_view kSpace = "urn:ietf:params:xml:ns:pidf";
constexpr std::size_t kMaxText = 256;

std::string cut(std::string_view text) { return std::string(text.substr(0, kMaxText)); }

/// Follows where in the document it is: by depth, for only direct children count.
class Reader final : public XmlHandler {
 public:
  void on_start(const XmlElement& element) override {
    ++depth_;
    const bool ours = element.name().space == kSpace;
    const std::string_view name = element.name().local;
    if (depth_ == 1) {
      if (!ours || name != "presence") return;
      entity = element.attribute("entity").has_value();
      presence.entity = cut(element.attribute("entity").value_or(""));
    } else if (depth_ == 2 && ours && name == "tuple") {
      in_tuple_ = presence.tuples.size() < kMaxTuples;
      if (!in_tuple_) return;
      presence.tuples.emplace_back();
      presence.tuples.back().id = cut(element.attribute("id").value_or(""));
    } else if (depth_ == 3 && ours && name == "status") {
      in_status_ = true;
    }
  }
  void on_end(const XmlName& name, std::string_view text) override {
    const bool ours = name.space == kSpace;
    if (ours && depth_ == 2 && name.local == "note" && presence.note.empty()) {
      presence.note = cut(text);
    } else if (ours && in_tuple_) {
      Presence::Tuple& tuple = presence.tuples.back();
      if (depth_ == 3 && name.local == "contact") tuple.contact = cut(text);
      if (depth_ == 3 && name.local == "note" && tuple.note.empty()) tuple.note = cut(text);
      if (depth_ == 4 && in_status_ && name.local == "basic") {
        if (text == "open") tuple.open = true;
        if (text == "closed") tuple.open = false;
      }
    }
    if (depth_ == 3) in_status_ = false;
    if (depth_ == 2) in_tuple_ = false;
    --depth_;
  }

  Presence presence;
  bool entity = false;

 private:
  int depth_ = 0;
  bool in_tuple_ = false;
  bool in_status_ = false;
};

}  // namespace

Result<Presence> parse_pidf(std::string_view document) {
  Reader reader;
  if (const auto read = parse_xml(document, reader); !read)
    return tl::unexpected<Error>(read.error());
  // RFC 3863 §4.1.1: "The entity attribute is REQUIRED" on <presence>.
  if (!reader.entity) return fail(ErrorCode::Malformed, "no presence document");
  return std::move(reader.presence);
}

}  // namespace godwit::wire
