// SPDX-License-Identifier: Apache-2.0
//
// Registration: the extensions that it asks for, and what a 200 grants of them.
#include "sip/registration.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {
namespace {

using wire::HeaderId;

/// A GRUU longer than this would fill every message.
constexpr std::size_t kMaxGruu = 512;
/// Seconds; beyond a day it asks for nothing.
constexpr std::uint32_t kMaxFlowTimer = 86'400;

/// RFC 5627 §3.1: a GRUU is a SIP URI with the "gr" parameter.
std::string gruu_of(const wire::NameAddr& contact, std::string_view parameter) {
  const auto value = contact.params.get(parameter);
  if (!value || value->size() > kMaxGruu) return {};
  std::string text = value->starts_with('"') ? wire::unquote(*value) : std::string(*value);
  const auto uri = wire::Uri::parse(text);
  if (!uri || !uri->is_sip() || !uri->params.has("gr")) return {};
  return text;
}

/// The binding of this instance and flow; registrars may have changed its URI.
bool is_of_instance(const wire::NameAddr& contact, std::string_view instance,
                    std::uint32_t reg_id) {
  const auto given = contact.params.get("+sip.instance");
  if (!given || instance.empty()) return false;
  std::string text = given->starts_with('"') ? wire::unquote(*given) : std::string(*given);
  if (text.size() < 2 || text.front() != '<' || text.back() != '>') return false;
  if (!wire::lex::iequals(text.substr(1, text.size() - 2), instance)) return false;
  const auto flow = contact.params.get("reg-id");
  return !flow || *flow == std::to_string(reg_id);
}

}  // namespace

void Registration::add_extensions(wire::RequestDraft& draft) const {
  // RFC 3327 §5.1: a proxy may add itself to the way to us only where we say so.
  std::string supported = "path";
  if (asks_outbound()) supported += ", outbound";
  // RFC 5627 §4.1
  if (config_.ask_gruu && !config_.instance_id.empty()) supported += ", gruu";
  draft.headers.emplace_back(HeaderId::Supported, std::move(supported));
  // RFC 3261 §8.2.2.3: a registrar that does not know it answers 420.
  if (asks_outbound() && config_.outbound == Outbound::Require)
    draft.headers.emplace_back(HeaderId::Require, "outbound");
}

void Registration::take_grant(const wire::Message& response) {
  RegistrationGrant grant;
  // RFC 5626 §6: the registrar says with Require that it follows it for this binding.
  grant.outbound = asks_outbound() && wire::has_token(response, HeaderId::Require, "outbound");
  if (config_.ask_gruu) {
    for (const std::string_view element : response.values(HeaderId::Contact)) {
      const auto contact = wire::NameAddr::parse(element);
      if (!contact || !is_of_instance(*contact, config_.instance_id, config_.reg_id)) continue;
      grant.pub_gruu = gruu_of(*contact, "pub-gruu");
      grant.temp_gruu = gruu_of(*contact, "temp-gruu");
      break;
    }
  }
  std::size_t bytes = 0;
  for (const std::string_view element : response.values(HeaderId::ServiceRoute)) {
    bytes += element.size();
    const auto route = wire::NameAddr::parse(element);
    const bool loose = route && route->uri.is_sip() && route->uri.params.has("lr");
    if (!loose || grant.service_route.size() == kMaxServiceRoutes ||
        bytes > kMaxServiceRouteBytes) {
      context_.log.warn("sip", "the Service-Route of " + config_.aor + " cannot be followed");
      grant.service_route.clear();
      break;
    }
    grant.service_route.emplace_back(element);
  }
  if (const auto text = response.first(HeaderId::FlowTimer)) {
    const auto number = wire::lex::number(wire::lex::trim(*text), kMaxFlowTimer);
    if (number && *number > 0) grant.flow_timer = std::chrono::seconds(*number);
  }
  if (const auto via = wire::top_via_of(response); via && config_.ask_keep) {
    const auto value = via->params.get("keep");
    const auto number = value ? wire::lex::number(*value, kMaxFlowTimer) : std::nullopt;
    if (number && *number > 0) grant.keep = std::chrono::seconds(*number);
  }
  for (std::size_t i = 0; asks_push() && i < response.header_count(); ++i) {
    const wire::HeaderView header = response.header(i);
    if (header.id == HeaderId::Unknown && wire::lex::iequals(header.name, "Feature-Caps") &&
        header.value.find("+sip.pns") != std::string_view::npos) {
      grant.push = true;
    }
  }
  grant_ = std::move(grant);
}

}  // namespace godwit::sip
