// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: the messages it sends, and what it finds unacceptable in those it gets.
#include "sip/session_messages.hpp"

#include <algorithm>

#include "sip/invite_session.hpp"
#include "sip/routing.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/reason.hpp"

namespace godwit::sip {
namespace {

using wire::HeaderId;

bool has_tag(const std::vector<std::string>& tags, std::string_view tag) {
  return std::any_of(tags.begin(), tags.end(),
                     [tag](const std::string& t) { return wire::lex::iequals(t, tag); });
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += ", ";
    text += part;
  }
  return text;
}

}  // namespace

wire::MethodSet SessionConfig::default_allow() {
  wire::MethodSet allow;
  for (const wire::Method method :
       {wire::Method::Invite, wire::Method::Ack, wire::Method::Cancel, wire::Method::Bye,
        wire::Method::Update, wire::Method::Options, wire::Method::Info, wire::Method::Message,
        wire::Method::Notify, wire::Method::Refer})
    allow.insert(method);
  return allow;
}

std::optional<std::uint32_t> rseq_of(const wire::Message& response) {
  const auto value = response.first(HeaderId::RSeq);
  const auto number = value ? wire::parse_delta_seconds(*value) : std::nullopt;
  if (!number || number->count() <= 0) return std::nullopt;
  return static_cast<std::uint32_t>(number->count());
}

std::string sdp_of(const wire::Message& message) {
  return wire::has_content_type(message, kSdpType) ? std::string(message.body()) : std::string();
}

Ended ended_by_peer(int status, std::string what, const wire::Message& message) {
  Ended ended{status, std::move(what), EndedBy::Peer};
  ended.cause = wire::reason_of(message);
  if (ended.cause && !ended.cause->text.empty()) ended.reason += ": " + ended.cause->text;
  return ended;
}

void InviteSession::add_identity(wire::DraftHeaders& headers, HeaderId software) const {
  wire::MethodSet allow = config_.allow;
  std::vector<std::string> supported = config_.supported;
  if (config_.reliable != ExtensionUse::Off) {
    allow.insert(wire::Method::Prack);
    supported.emplace_back(kReliableTag);
  }
  if (config_.timer.use != ExtensionUse::Off) supported.emplace_back(kTimerTag);
  headers.emplace_back(HeaderId::Allow, allow.to_string());
  if (!supported.empty()) headers.emplace_back(HeaderId::Supported, joined(supported));
  if (!config_.user_agent.empty()) headers.emplace_back(software, config_.user_agent);
}

wire::RequestDraft InviteSession::draft_invite(const InviteRequest& request) const {
  wire::RequestDraft draft;
  draft.method = wire::Method::Invite;
  draft.request_uri = request.target;
  for (const std::string& route : config_.route_set)
    draft.headers.emplace_back(HeaderId::Route, route);
  draft.headers.emplace_back(HeaderId::From, seed_.local_party + ";tag=" + seed_.local_tag);
  draft.headers.emplace_back(HeaderId::To, seed_.remote_party);
  draft.headers.emplace_back(HeaderId::CallId, seed_.call_id);
  draft.headers.emplace_back(HeaderId::CSeq, std::to_string(seed_.cseq) + " INVITE");
  // RFC 3262 §4: whoever insists says so in the INVITE.
  if (config_.reliable == ExtensionUse::Required)
    draft.headers.emplace_back(HeaderId::Require, std::string(kReliableTag));
  if (!request.replaces.empty()) {
    draft.headers.emplace_back(HeaderId::Replaces, request.replaces);
    // RFC 3891 §6.1: a peer that does not know it must refuse, not ring.
    draft.headers.emplace_back(HeaderId::Require, "replaces");
  }
  if (!request.referred_by.empty())
    draft.headers.emplace_back(HeaderId::ReferredBy, request.referred_by);
  add_identity(draft.headers, HeaderId::UserAgent);
  ask_for_timer(draft.headers, config_.timer, asked_interval_, std::nullopt);
  draft.contact.wanted = true;
  if (request.offer) {
    draft.content_type = kSdpType;
    draft.body = *request.offer;
  }
  return draft;
}

wire::RequestDraft InviteSession::draft_refresh(const RefreshRequest& request) {
  wire::RequestDraft draft = dialog_->make_request(request.method);
  add_identity(draft.headers, HeaderId::UserAgent);
  if (dialog_->phase == Dialog::Phase::Confirmed) {
    // A recovery's refresh, too, keeps interval and refresher (RFC 4028 §7.4).
    if (session_timer_) asked_interval_ = std::max(asked_interval_, session_timer_->interval);
    ask_for_timer(
        draft.headers, config_.timer,
        session_timer_ && interval_raises_ == 0 ? session_timer_->interval : asked_interval_,
        session_timer_);
  }
  if (request.offer) {
    draft.content_type = kSdpType;
    draft.body = *request.offer;
  }
  return draft;
}

Result<ClientTransactionId> InviteSession::send(wire::RequestDraft draft, DigestAttempt& attempt,
                                                std::vector<AuthorizationHeader>* credentials,
                                                TimePoint now) {
  std::string_view hop = draft.request_uri;
  if (const std::string* route = wire::find_header(draft.headers, HeaderId::Route)) {
    if (const auto address = wire::NameAddr::parse(*route)) hop = address->uri.text;
  }
  const Flow flow = towards(flow_, hop, dialog_ ? dialog_->secure : seed_.secure);
  auto headers =
      digest_.authorization(wire::to_string(draft.method), draft.request_uri, flow.remote, attempt);
  for (const AuthorizationHeader& header : headers)
    draft.headers.emplace_back(header.name, header.value);
  if (credentials != nullptr) *credentials = std::move(headers);
  return context_.transactions.send_request(draft, contact_value(), flow, owner_, timers_, now);
}

bool InviteSession::has_new_credentials(const ResponseArrived& event, DigestAttempt& attempt) {
  if (!answers_challenges_) return false;
  const auto server = context_.transactions.client_flow(event.transaction).value_or(flow_).remote;
  // It is our first hop that is trusted. Without a Record-Route of its the dialog's requests go to
  // where the peer's Contact says, and the peer may ask with a nonce of our registrar's.
  if (server.address != flow_.remote.address) return false;
  return digest_.on_challenge(*event.response, server, attempt).verdict == ChallengeVerdict::Retry;
}

wire::ResponseDraft InviteSession::draft_response(const wire::Message& request, const Flow& flow,
                                                  int code, const std::string& sdp) const {
  const std::string& tag = dialog_ ? dialog_->id.local_tag : seed_.local_tag;
  wire::ResponseDraft draft =
      wire::make_response(request, code, {.to_tag = tag, .source = flow.remote});
  const bool targets =
      request.method() == wire::Method::Invite || request.method() == wire::Method::Update;
  // RFC 3261 §12.1.1 and §12.2.2: what forms or refreshes a dialog gives our Contact.
  draft.contact.wanted = targets && code > 100 && code < 300;
  if (targets || code == 405 || code == 420) {
    add_identity(draft.headers, HeaderId::Server);
  } else if (!config_.user_agent.empty()) {
    draft.headers.emplace_back(HeaderId::Server, config_.user_agent);
  }
  if (targets && code >= 200 && code < 300) {
    if (const auto timer = timer_for(request)) write_granted(draft.headers, request, *timer);
  }
  if (!sdp.empty()) {
    draft.content_type = kSdpType;
    draft.body = sdp;
  }
  return draft;
}

Result<void> InviteSession::answer(const PeerRequest& to, int code, const std::string& sdp,
                                   TimePoint now) {
  const wire::ResponseDraft draft = draft_response(*to.request, to.flow, code, sdp);
  if (draft.contact.wanted && dialog_) dialog_->local_contact = contact_;
  auto sent = context_.transactions.respond(to.transaction, draft, contact_value(), now);
  const wire::Method method = to.request->method();
  const bool refreshes =
      method == wire::Method::Invite ||
      (method == wire::Method::Update && dialog_ && dialog_->phase == Dialog::Phase::Confirmed);
  if (sent && code >= 200 && code < 300 && refreshes)
    start_session_timer(timer_for(*to.request), now);
  return sent;
}

std::optional<SessionTimer> InviteSession::timer_for(const wire::Message& request) const {
  // In an early dialog an UPDATE does not start what only the 2xx to the INVITE does.
  const bool early_update = request.method() == wire::Method::Update &&
                            (!dialog_ || dialog_->phase == Dialog::Phase::Early);
  if (early_update) return std::nullopt;
  return grant_timer(request, config_.timer, session_timer_);
}

bool InviteSession::raise_interval(const wire::Message& response) {
  if (config_.timer.use == ExtensionUse::Off || interval_raises_ == kMaxIntervalRaises)
    return false;
  const auto longer = longer_interval(response, asked_interval_);
  if (!longer) return false;
  ++interval_raises_;
  asked_interval_ = *longer;
  // RFC 4028 §7.3: the largest Min-SE seen goes into the next request.
  config_.timer.min = std::max(config_.timer.min, *longer);
  return true;
}

void InviteSession::refuse(const RequestArrived& event, int code, wire::DraftHeaders extra,
                           TimePoint now) {
  wire::ResponseDraft draft = draft_response(*event.request, event.flow, code, {});
  for (wire::DraftHeader& header : extra) draft.headers.push_back(std::move(header));
  // The transaction may have ended meanwhile; then nobody waits for this.
  static_cast<void>(context_.transactions.respond(event.transaction, draft, {}, now));
}

std::optional<std::pair<int, wire::DraftHeaders>> InviteSession::objection(
    const wire::Message& request) const {
  // RFC 3261 §8.2.2.3: "If a UAS does not understand an option-tag listed in a Require header
  // field, it MUST respond by generating a response with status code 420".
  std::vector<std::string> unsupported;
  for (const std::string_view tag : request.values(HeaderId::Require)) {
    const bool timer = wire::lex::iequals(tag, kTimerTag) && config_.timer.use != ExtensionUse::Off;
    // RFC 3262 §3 knows it in an INVITE only.
    const bool reliable = wire::lex::iequals(tag, kReliableTag) &&
                          config_.reliable != ExtensionUse::Off &&
                          request.method() == wire::Method::Invite;
    if (!timer && !reliable && !has_tag(config_.supported, tag)) unsupported.emplace_back(tag);
  }
  if (!unsupported.empty()) {
    wire::DraftHeaders headers;
    headers.emplace_back(HeaderId::Unsupported, joined(unsupported));
    return std::pair{420, std::move(headers)};
  }
  // RFC 3261 §21.4.15: a 421 "indicates that the UAS needs a particular extension", which it lists
  // in Require.
  if (config_.reliable == ExtensionUse::Required && request.method() == wire::Method::Invite &&
      wire::to_tag_of(request).empty() &&
      !wire::has_token(request, HeaderId::Supported, kReliableTag) &&
      !wire::has_token(request, HeaderId::Require, kReliableTag)) {
    wire::DraftHeaders headers;
    headers.emplace_back(HeaderId::Require, std::string(kReliableTag));
    return std::pair{421, std::move(headers)};
  }
  const bool refresh =
      request.method() == wire::Method::Invite || request.method() == wire::Method::Update;
  if (refresh && is_too_brief(request, config_.timer)) {
    wire::DraftHeaders headers;
    // RFC 4028 §9: 422, "containing a Min-SE header field with the minimum" interval.
    headers.emplace_back(HeaderId::MinSE,
                         std::to_string(std::max(config_.timer.min, kMinSessionInterval).count()));
    return std::pair{422, std::move(headers)};
  }
  // §8.2.3. A body that the sender marks as optional may be ignored.
  const bool targets =
      request.method() == wire::Method::Invite || request.method() == wire::Method::Update;
  if (targets && !request.body().empty() && !wire::has_content_type(request, kSdpType)) {
    const auto disposition = request.first(HeaderId::ContentDisposition);
    const auto parsed = disposition ? wire::ValueWithParams::parse(*disposition) : std::nullopt;
    const auto handling = parsed ? parsed->params.get("handling") : std::nullopt;
    if (!handling || !wire::lex::iequals(*handling, "optional")) {
      wire::DraftHeaders headers;
      headers.emplace_back(HeaderId::Accept, std::string(kSdpType));
      return std::pair{415, std::move(headers)};
    }
  }
  return std::nullopt;
}

}  // namespace godwit::sip
