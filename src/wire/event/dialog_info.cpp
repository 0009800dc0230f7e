// SPDX-License-Identifier: Apache-2.0
#include "wire/event/dialog_info.hpp"

#include <algorithm>

#include "wire/sip/lex.hpp"
#include "wire/xml/xml.hpp"

namespace godwit::wire {
namespace {

constexpr std::string_view kSpace = "urn:ietf:params:xml:ns:dialog-info";
constexpr std::size_t kMaxText = 256;

std::string cut(std::string_view text) { return std::string(text.substr(0, kMaxText)); }

std::optional<DialogInfo::State> state_of(std::string_view text) {
  using enum DialogInfo::State;
  if (text == "trying") return Trying;
  if (text == "proceeding") return Proceeding;
  if (text == "early") return Early;
  if (text == "confirmed") return Confirmed;
  if (text == "terminated") return Terminated;
  return std::nullopt;
}

class Reader final : public XmlHandler {
 public:
  void on_start(const XmlElement& element) override {
    ++depth_;
    if (element.name().space != kSpace) return;
    const std::string_view name = element.name().local;
    if (depth_ == 1 && name == "dialog-info") {
      const auto version = lex::number(element.attribute("version").value_or(""), 0xffffffff);
      const auto state = element.attribute("state").value_or("");
      const auto entity = element.attribute("entity");
      if (!version || !entity || (state != "full" && state != "partial")) return;
      valid = true;
      info.version = *version;
      info.full = state == "full";
      info.entity = cut(*entity);
    } else if (depth_ == 2 && name == "dialog") {
      in_dialog_ = info.dialogs.size() < kMaxDialogs;
      if (!in_dialog_) return;
      info.dialogs.emplace_back();
      const auto id = element.attribute("id").value_or("");
      if (id.empty()) valid = false;
      info.dialogs.back().id = cut(id);
      info.dialogs.back().outgoing = element.attribute("direction").value_or("") == "initiator";
      has_state_ = false;
    } else if (depth_ == 3) {
      party_ = name == "local" ? Party::Local : name == "remote" ? Party::Remote : Party::None;
    } else if (depth_ == 4 && in_dialog_ && name == "target") {
      std::string& party = uri();
      if (party_ != Party::None && party.empty())
        party = cut(element.attribute("uri").value_or(""));
    }
  }
  void on_end(const XmlName& name, std::string_view text) override {
    if (name.space == kSpace && in_dialog_) {
      if (depth_ == 3 && name.local == "state") {
        const auto state = state_of(text);
        if (!state) valid = false;
        if (state) info.dialogs.back().state = *state;
        has_state_ = true;
      } else if (depth_ == 4 && name.local == "identity" && party_ != Party::None) {
        uri() = cut(text);
      } else if (depth_ == 2 && !has_state_) {
        valid = false;
      }
    }
    if (depth_ == 3) party_ = Party::None;
    if (depth_ == 2) in_dialog_ = false;
    --depth_;
  }

  DialogInfo info;
  bool valid = false;

 private:
  enum class Party { None, Local, Remote };
  std::string& uri() {
    return party_ == Party::Local ? info.dialogs.back().local : info.dialogs.back().remote;
  }

  int depth_ = 0;
  bool in_dialog_ = false;
  bool has_state_ = false;
  Party party_ = Party::None;
};

}  // namespace

const char* to_string(DialogInfo::State state) {
  switch (state) {
    case DialogInfo::State::Trying: return "Trying";
    case DialogInfo::State::Proceeding: return "Proceeding";
    case DialogInfo::State::Early: return "Early";
    case DialogInfo::State::Confirmed: return "Confirmed";
    case DialogInfo::State::Terminated: return "Terminated";
  }
  return "?";
}

Result<DialogInfo> parse_dialog_info(std::string_view document) {
  Reader reader;
  if (const auto read = parse_xml(document, reader); !read)
    return tl::unexpected<Error>(read.error());
  if (!reader.valid) return fail(ErrorCode::Malformed, "no dialog-info document");
  return std::move(reader.info);
}

bool DialogInfoState::apply(const DialogInfo& document) {
  // RFC 4235 §4.3: versions grow by one with each document of a subscription.
  if (known_ && document.version <= current_.version) return false;
  gap_ = !document.full && (!known_ || document.version != current_.version + 1);
  std::erase_if(current_.dialogs, [](const DialogInfo::Entry& entry) {
    return entry.state == DialogInfo::State::Terminated;
  });
  if (document.full) current_.dialogs.clear();
  for (const DialogInfo::Entry& entry : document.dialogs) {
    const auto known =
        std::find_if(current_.dialogs.begin(), current_.dialogs.end(),
                     [&](const DialogInfo::Entry& other) { return other.id == entry.id; });
    if (known != current_.dialogs.end()) {
      *known = entry;
    } else if (current_.dialogs.size() < kMaxDialogs) {
      current_.dialogs.push_back(entry);
    }
  }
  current_.version = document.version;
  current_.full = document.full;
  current_.entity = document.entity;
  known_ = true;
  return true;
}

}  // namespace godwit::wire
