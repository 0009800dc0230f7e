// SPDX-License-Identifier: Apache-2.0
#include "sip/dialog.hpp"

#include <algorithm>
#include <utility>

#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {
namespace {

/// Option tags remembered of one peer; a real one lists about ten.
constexpr std::size_t kMaxOptionTags = 32;

/// From or To without the tag: `"Bob" <sip:bob@example.org>`. A URI outside brackets gets them, for
/// the tag that we add must not become part of it.
std::string party_of(const std::optional<wire::NameAddr>& address) {
  if (!address) return {};
  std::string party;
  if (!address->display.empty()) {
    party += address->display;
    party += ' ';
  }
  party += '<';
  party += address->uri.text;
  party += '>';
  return party;
}

std::string as_route(std::string_view element) {
  const auto address = wire::NameAddr::parse(element);
  if (!address || address->bracketed) return std::string(element);
  return "<" + std::string(element) + ">";
}

Result<std::vector<std::string>> routes_of(const wire::Message& message, Dialog::Role role) {
  std::vector<std::string> routes;
  for (const std::string_view element : message.values(wire::HeaderId::RecordRoute)) {
    if (routes.size() == kMaxRoutes) return fail(ErrorCode::TooLarge, "too many Record-Routes");
    if (!wire::NameAddr::parse(element)) return fail(ErrorCode::Malformed, "bad Record-Route");
    routes.push_back(as_route(element));
  }
  // RFC 3261 §12.1.2: the UAC takes them in reverse order, the UAS (§12.1.1) as they are.
  if (role == Dialog::Role::Uac) std::reverse(routes.begin(), routes.end());
  return routes;
}

std::string with_tag(const std::string& party, const std::string& tag) {
  return tag.empty() ? party : party + ";tag=" + tag;
}

/// RFC 3261 §12.2.1.1: a strict router is one whose URI lacks lr.
bool is_loose(const std::string& route) {
  const auto address = wire::NameAddr::parse(route);
  return !address || address->uri.params.has("lr");
}

bool is_target_refresh(wire::Method method) {
  using enum wire::Method;
  return method == Invite || method == Update || method == Subscribe || method == Notify ||
         method == Refer;
}

void set_target(const Dialog& dialog, wire::RequestDraft& draft) {
  if (dialog.route_set.empty() || is_loose(dialog.route_set.front())) {
    draft.request_uri = dialog.remote_target;
    for (const std::string& route : dialog.route_set)
      draft.headers.emplace_back(wire::HeaderId::Route, route);
    return;
  }
  // RFC 3261 §12.2.1.1: a strict router wants its own URI in the request line; ours goes last.
  draft.request_uri = wire::NameAddr::parse(dialog.route_set.front())->uri.text;
  for (std::size_t i = 1; i < dialog.route_set.size(); ++i)
    draft.headers.emplace_back(wire::HeaderId::Route, dialog.route_set[i]);
  draft.headers.emplace_back(wire::HeaderId::Route, "<" + dialog.remote_target + ">");
}

wire::RequestDraft draft_with_cseq(const Dialog& dialog, wire::Method method, std::uint32_t cseq) {
  wire::RequestDraft draft;
  draft.method = method;
  set_target(dialog, draft);
  draft.headers.emplace_back(wire::HeaderId::From,
                             with_tag(dialog.local_party, dialog.id.local_tag));
  draft.headers.emplace_back(wire::HeaderId::To,
                             with_tag(dialog.remote_party, dialog.id.remote_tag));
  draft.headers.emplace_back(wire::HeaderId::CallId, dialog.id.call_id);
  draft.headers.emplace_back(wire::HeaderId::CSeq,
                             std::to_string(cseq) + " " + std::string(wire::to_string(method)));
  return draft;
}

}  // namespace

std::optional<DialogId> dialog_id_of_request(const wire::Message& request) {
  const std::string_view to_tag = wire::to_tag_of(request);
  if (to_tag.empty()) return std::nullopt;
  return DialogId{std::string(wire::call_id_of(request)), std::string(to_tag),
                  std::string(wire::from_tag_of(request))};
}

Result<Dialog> Dialog::as_uac(const Seed& seed, std::string_view request_uri,
                              const wire::Message& response) {
  const std::string_view tag = wire::to_tag_of(response);
  if (tag.empty()) return fail(ErrorCode::Malformed, "a response without a To tag");
  auto routes = routes_of(response, Role::Uac);
  if (!routes) return tl::unexpected(routes.error());
  const auto contact = wire::contact_of(response);
  if (!contact && response.status() >= 200)
    return fail(ErrorCode::Malformed, "a 2xx without a Contact");

  Dialog dialog;
  dialog.id = DialogId{seed.call_id, seed.local_tag, std::string(tag)};
  dialog.role = Role::Uac;
  dialog.phase = response.status() >= 200 ? Phase::Confirmed : Phase::Early;
  dialog.local_party = seed.local_party;
  dialog.remote_party = seed.remote_party;
  dialog.remote_target = contact ? contact->uri.text : request_uri;
  dialog.route_set = std::move(*routes);
  dialog.local_cseq = seed.cseq;
  dialog.secure = seed.secure;
  dialog.learn_capabilities(response);
  return dialog;
}

Result<Dialog> Dialog::as_uas(const wire::Message& request, std::string local_tag) {
  const auto contact = wire::contact_of(request);
  if (!contact) return fail(ErrorCode::Malformed, "an INVITE without a Contact");
  const auto cseq = wire::cseq_of(request);
  if (!cseq) return fail(ErrorCode::Malformed, "a request without a CSeq");
  auto routes = routes_of(request, Role::Uas);
  if (!routes) return tl::unexpected(routes.error());

  Dialog dialog;
  dialog.id = DialogId{std::string(wire::call_id_of(request)), std::move(local_tag),
                       std::string(wire::from_tag_of(request))};
  dialog.role = Role::Uas;
  dialog.phase = Phase::Early;
  dialog.local_party = party_of(wire::to_of(request));
  dialog.remote_party = party_of(wire::from_of(request));
  dialog.remote_target = contact->uri.text;
  dialog.route_set = std::move(*routes);
  dialog.remote_cseq = cseq->number;
  const auto target = wire::Uri::parse(request.request_uri());
  dialog.secure = target && target->scheme == wire::Scheme::Sips;
  dialog.learn_capabilities(request);
  return dialog;
}

wire::RequestDraft Dialog::make_request(wire::Method method) {
  wire::RequestDraft draft = draft_with_cseq(*this, method, ++local_cseq);
  draft.contact.wanted = is_target_refresh(method);
  return draft;
}

wire::RequestDraft Dialog::make_ack(std::uint32_t invite_cseq) const {
  return draft_with_cseq(*this, wire::Method::Ack, invite_cseq);
}

std::string_view Dialog::next_hop() const {
  if (route_set.empty()) return remote_target;
  const auto address = wire::NameAddr::parse(route_set.front());
  return address ? address->uri.text : std::string_view(remote_target);
}

Dialog::Order Dialog::check_request_cseq(std::uint32_t cseq) {
  if (remote_cseq && cseq <= *remote_cseq) return Order::OutOfOrder;
  remote_cseq = cseq;
  return Order::Next;
}

bool Dialog::refresh_target(const wire::Message& message) {
  learn_capabilities(message);
  const auto contact = wire::contact_of(message);
  if (!contact || contact->uri.text == remote_target) return false;
  remote_target = contact->uri.text;
  return true;
}

void Dialog::learn_capabilities(const wire::Message& message) {
  if (message.has(wire::HeaderId::Allow)) peer_allow = wire::allow_of(message);
  if (message.has(wire::HeaderId::Supported)) {
    peer_supported.clear();
    for (const std::string_view tag : message.values(wire::HeaderId::Supported)) {
      if (peer_supported.size() == kMaxOptionTags) break;
      peer_supported.emplace_back(tag);
    }
  }
}

bool Dialog::confirm(const wire::Message& response) {
  // RFC 3261 §13.2.2.4: "the route set of the dialog MUST be recomputed based on the 2xx", for RFC
  // 2543 proxies mirror Record-Route in no other response. A broken one leaves what we have.
  if (role == Role::Uac && phase == Phase::Early) {
    if (auto routes = routes_of(response, Role::Uac)) route_set = std::move(*routes);
  }
  phase = Phase::Confirmed;
  return refresh_target(response);
}

bool Dialog::peer_supports(std::string_view option_tag) const {
  return std::any_of(
      peer_supported.begin(), peer_supported.end(),
      [option_tag](const std::string& tag) { return wire::lex::iequals(tag, option_tag); });
}

}  // namespace godwit::sip
