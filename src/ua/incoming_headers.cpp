// SPDX-License-Identifier: Apache-2.0
#include "ua/incoming_headers.hpp"

#include "wire/sip/headers.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::ua {
namespace {

using wire::HeaderId;

/// Of the headers that the library knows, those that it only passes on.
bool is_for_the_application(HeaderId id) {
  static constexpr HeaderId kPassedOn[] = {
      HeaderId::Unknown,        HeaderId::AlertInfo,    HeaderId::CallInfo,  HeaderId::Subject,
      HeaderId::Priority,       HeaderId::Organization, HeaderId::Date,      HeaderId::UserAgent,
      HeaderId::InReplyTo,      HeaderId::ReplyTo,      HeaderId::ErrorInfo, HeaderId::ReferredBy,
      HeaderId::AcceptLanguage, HeaderId::Privacy,      HeaderId::Warning,
  };
  for (const HeaderId each : kPassedOn) {
    if (each == id) return true;
  }
  return false;
}

void read_headers(const wire::Message& invite, IncomingCall& event) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < invite.header_count(); ++i) {
    const wire::HeaderView header = invite.header(i);
    if (!is_for_the_application(header.id)) continue;
    const std::string_view name = header.id == HeaderId::Unknown ? header.name : name_of(header.id);
    bytes += name.size() + header.value.size();
    if (event.headers.size() == kMaxShownHeaders || bytes > kMaxShownBytes) return;
    event.headers.push_back({std::string(name), std::string(header.value)});
  }
}

void read_diversions(const wire::Message& invite, IncomingCall& event) {
  // RFC 5806 §4.1: the most recent first.
  for (const std::string_view value : invite.values(HeaderId::Diversion)) {
    const auto parsed = wire::NameAddr::parse(value);
    if (!parsed) continue;
    if (event.diversions.size() == kMaxDiversions) return;
    event.diversions.push_back(
        {std::string(parsed->uri.text),
         wire::unquote(parsed->params.get("reason").value_or(std::string_view()))});
  }
}

void read_history(const wire::Message& invite, IncomingCall& event) {
  // RFC 7044 §5: the order of the entries is that of the retargeting.
  for (const std::string_view value : invite.values(HeaderId::HistoryInfo)) {
    const auto parsed = wire::NameAddr::parse(value);
    if (!parsed) continue;
    if (event.history.size() == kMaxDiversions) return;
    event.history.push_back(
        {std::string(parsed->uri.text), std::string(parsed->params.get("index").value_or(""))});
  }
}

}  // namespace

void read_caller(const wire::Message& invite, bool trusted, IncomingCall& event) {
  if (const auto from = wire::from_of(invite)) {
    event.from = std::string(from->uri.text);
    event.from_display_name = from->display_name();
  }
  if (const auto to = wire::to_of(invite)) event.to = std::string(to->uri.text);
  if (trusted) {
    for (const std::string_view value : invite.values(HeaderId::PAssertedIdentity)) {
      const auto parsed = wire::NameAddr::parse(value);
      if (!parsed) continue;
      event.asserted_identity = std::string(parsed->uri.text);
      event.asserted_display_name = parsed->display_name();
      break;
    }
  }
  read_diversions(invite, event);
  read_history(invite, event);
  read_headers(invite, event);
}

}  // namespace godwit::ua
