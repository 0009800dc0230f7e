// SPDX-License-Identifier: Apache-2.0
//
// Requests that belong to no dialog of ours: new calls, capability questions, and what must be
// refused.
#include <algorithm>
#include <iterator>

#include "ua/core_impl.hpp"
#include "ua/incoming_headers.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::ua {
namespace {

/// RFC 3261 §12.1.1: "If the request that initiated the dialog contained a SIPS URI in the
/// Request-URI or in the top Record-Route header field value, if there was any, or the Contact
/// header field if there was no Record-Route header field", our Contact is one, too.
bool asks_for_sips(const wire::Message& request) {
  const auto is_sips = [](std::string_view text) {
    const auto address = wire::NameAddr::parse(text);
    return address && address->uri.scheme == wire::Scheme::Sips;
  };
  if (is_sips_uri(request.request_uri())) return true;
  if (const auto route = request.first(wire::HeaderId::RecordRoute)) return is_sips(*route);
  const auto contact = request.first(wire::HeaderId::Contact);
  return contact && is_sips(*contact);
}

/// RFC 3891 §3 lets the user agent decide whether the new dialog may take the old one's place: not
/// in the clear what was secure (RFC 3261 §26.2.2).
bool is_as_secure(const Call& replaced, const sip::Flow& flow, const wire::Message& invite) {
  if (replaced.secure && !asks_for_sips(invite)) return false;
  return flow.transport == sip::Transport::Tls ||
         (!replaced.secure && replaced.session->flow().transport != sip::Transport::Tls);
}

/// What this user agent understands, said in OPTIONS and in refusals: all that a session of ours
/// may say in its own messages.
std::string allowed_methods() {
  wire::MethodSet allow = sip::SessionConfig::default_allow();
  allow.insert(wire::Method::Prack);
  return allow.to_string();
}

}  // namespace

bool Core::Impl::needs_no_transaction(const sip::Flow& flow, const wire::Message& request) {
  if (!wire::to_tag_of(request).empty()) return false;
  // RFC 3261 §8.2.7: what strangers may send in any number leaves nothing behind. A refused INVITE
  // gets no 100 either, so that its sender repeats it should the refusal be lost.
  if (request.method() == wire::Method::Options) return true;
  return request.method() == wire::Method::Invite && invite_refusal(flow, request).has_value();
}

bool Core::Impl::breaks_sips(const sip::Flow& flow, const wire::Message& request) {
  const auto uri = wire::Uri::parse(request.request_uri());
  return uri && uri->scheme == wire::Scheme::Sips && flow.transport != sip::Transport::Tls;
}

std::optional<int> Core::Impl::invite_refusal(const sip::Flow& flow, const wire::Message& request) {
  if (breaks_sips(flow, request)) return 480;
  const Account* account = account_for(request);
  if (account == nullptr) return 404;
  if (shutting_down_) return 480;
  Call* replaced = nullptr;
  if (const auto status = find_replaced(request, &replaced)) return status;
  if (replaced != nullptr && !is_as_secure(*replaced, flow, request)) return 403;
  if (offers_lost_family(*account, flow, request)) return 488;
  // It takes a place that is taken already.
  if (replaced != nullptr) return std::nullopt;
  if (calls_.size() >= config_.max_calls) return 486;
  // Everybody calls through the account's own servers; any other host gets few of our places.
  const std::vector<Account*> flows = flows_of(*account);
  const bool may_fill_them = std::any_of(flows.begin(), flows.end(), [&](const Account* each) {
    return each->trusts(flow.remote.address);
  });
  std::uint32_t unanswered = 0;
  for (const auto& [id, call] : calls_) {
    if (call->state == CallState::Ended) continue;
    if (!config_.call_waiting) return 486;
    const bool waits = !call->outgoing && call->state != CallState::Confirmed;
    if (waits && call->session->flow().remote.address == flow.remote.address) ++unanswered;
  }
  if (!may_fill_them && unanswered >= config_.max_unanswered_per_source) return 486;
  return std::nullopt;
}

void Core::Impl::refuse(const sip::RequestArrived& event, int status, TimePoint now) {
  wire::DraftHeaders headers;
  if (status == 405 || status == 200) {
    headers.emplace_back(wire::HeaderId::Allow, allowed_methods());
  }
  if (status == 200) {
    // RFC 3261 §11.2.
    headers.emplace_back(wire::HeaderId::Accept, "application/sdp");
    const Account* account = account_for(*event.request);
    std::string supported;
    for (const std::string& tag : supported_tags()) {
      supported += (supported.empty() ? "" : ", ") + tag;
    }
    const CallPolicy policy = account == nullptr ? CallPolicy{} : account->config.calls;
    if (policy.reliable_provisional != ExtensionUse::Off) supported += ", 100rel";
    if (policy.session_timer != ExtensionUse::Off) supported += ", timer";
    headers.emplace_back(wire::HeaderId::Supported, std::move(supported));
  }
  if (status == 489) headers.emplace_back("Allow-Events", "");
  if (status == 480 && breaks_sips(event.flow, *event.request)) {
    // RFC 5630 §8: what is wrong with the scheme is said in a Warning.
    headers.emplace_back(wire::HeaderId::Warning,
                         "380 " + event.flow.local.to_string() + " \"SIPS Not Allowed\"");
  }
  if (status == 488) {
    // RFC 3261 §20.43: the only 488 from here is for the family of the offer's address.
    headers.emplace_back(wire::HeaderId::Warning, "301 " + event.flow.local.to_string() +
                                                      " \"Incompatible network address formats\"");
  }
  respond(event, status, std::move(headers), now);
}

void Core::Impl::respond(const sip::RequestArrived& event, int status, wire::DraftHeaders headers,
                         TimePoint now) {
  headers.emplace_back(wire::HeaderId::Server, config_.user_agent);
  Result<void> sent;
  if (event.transaction) {
    const std::string tag = random_.token(12);
    wire::ResponseDraft response =
        wire::make_response(*event.request, status, {.to_tag = tag, .reason = {}, .source = {}});
    std::move(headers.begin(), headers.end(), std::back_inserter(response.headers));
    sent = transactions_.respond(event.transaction, response, "", now);
  } else {
    sent = transactions_.respond_statelessly(event, status, std::move(headers));
  }
  if (!sent) log_.debug("ua", "an answer was not sent: " + sent.error().detail);
}

void Core::Impl::on_request(const sip::RequestArrived& event, TimePoint now) {
  const wire::Message& request = *event.request;
  if (const auto id = sip::dialog_id_of_request(request)) {
    if (const SessionRef found = find_session(*id)) {
      found.session->on_request(event, now);
      touch(found.call->id);
    } else if (!to_subscription(event, now)) {
      refuse(event, 481, now);
    }
    return;
  }
  if (request.method() != wire::Method::Ack && breaks_sips(event.flow, request)) {
    refuse(event, 480, now);
    return;
  }
  switch (request.method()) {
    case wire::Method::Invite: on_invite(event, now); break;
    case wire::Method::Options: on_options(event, now); break;
    case wire::Method::Message: on_message(event, now); break;
    case wire::Method::Bye:
    case wire::Method::Update:
    case wire::Method::Prack:
    case wire::Method::Notify: refuse(event, 481, now); break;
    case wire::Method::Ack:
    case wire::Method::Cancel: break;  // The transaction layer's.
    case wire::Method::Register:
    case wire::Method::Info:
    case wire::Method::Subscribe:
    case wire::Method::Publish: refuse(event, 405, now); break;
    // Known, but from strangers not taken (RFC 3515 §2.4.2 leaves it to policy).
    case wire::Method::Refer: refuse(event, 403, now); break;
    case wire::Method::Unknown: refuse(event, 501, now); break;
  }
}

void Core::Impl::on_options(const sip::RequestArrived& event, TimePoint now) {
  // RFC 3261 §11.2: as an INVITE would be answered.
  const bool alone = config_.call_waiting || std::all_of(calls_.begin(), calls_.end(), [](auto& e) {
                       return e.second->state == CallState::Ended;
                     });
  const bool busy = calls_.size() >= config_.max_calls || !alone;
  refuse(event, busy ? 486 : 200, now);
}

Account* Core::Impl::account_for(const wire::Message& request) {
  const auto uri = wire::Uri::parse(request.request_uri());
  if (!uri) return nullptr;
  const std::string user = wire::percent_decode(uri->user);
  Account* found = nullptr;
  for (const auto& [id, account] : accounts_) {
    if (account->removed || account->is_further() || account->aor.user != user) continue;
    // The same user name at two providers: To tells which.
    const auto to = wire::to_of(request);
    if (to && to->uri.host == account->aor.host) return account.get();
    if (found == nullptr) found = account.get();
  }
  return found;
}

void Core::Impl::on_invite(const sip::RequestArrived& event, TimePoint now) {
  const wire::Message& request = *event.request;
  for (const auto& [id, call] : calls_) {
    if (call->state == CallState::Ended || call->outgoing) continue;
    if (call->session->is_merged(request)) {
      refuse(event, 482, now);  // RFC 3261 §8.2.2.2.
      return;
    }
  }
  if (const auto status = invite_refusal(event.flow, request)) {
    refuse(event, *status, now);
    return;
  }
  // The room may have been found just after the transaction was passed over: the next copy gets it.
  if (!event.transaction) return;
  Account* account = account_for(request);
  Call* replaced = nullptr;
  (void)find_replaced(request, &replaced);
  const mobility::Path path = path_of(event.flow);
  if (!mobility::permits(path_policy(*account), path, event.flow.remote.address)) {
    refuse(event, 480, now);  // The account may not be used here; another one brought us here.
    return;
  }
  if (!first_media_path(*account, path, event.flow.remote.address, false)) {
    warn("a call to " + account->config.aor + " was refused: its " +
         pin_trouble("media", account->config.media_pin, event.flow.remote.address));
    refuse(event, 480, now);
    return;
  }
  Call& call = make_call(account->id, false);
  for (const Account* flow : flows_of(*account)) {
    const auto& registered = flow->registration->flow();
    if (registered && registered->listener == event.flow.listener &&
        registered->remote == event.flow.remote) {
      call.way = flow->id;
    }
  }
  call.state = CallState::Incoming;
  call.announced = true;
  call.path = path;
  call.started = true;
  call.secure = asks_for_sips(request);
  call.origin.address = path.local;
  const bool trusted = way_of(call).trusts(event.flow.remote.address);
  call.session->answer_challenges(trusted);
  call.session->incoming(event, dialog_contact_for(call, event.flow), now);
  outputs_.push_back(CreateMedia{call.id});
  remotes_changed_ = true;
  drain(call, now);
  if (call.state == CallState::Ended) return;  // The session has refused it.

  IpAddress towards = event.flow.remote.address;
  // A caller elsewhere cannot mean our own loopback: there only our own services listen.
  if (const auto address = offered_address(call.peer_offer);
      address && (!address->is_loopback() || towards.is_loopback())) {
    towards = *address;
  }
  // Towards the peer, if it can be reached; towards the server it can.
  auto media = first_media_path(*account, path, towards, false);
  if (!media) media = first_media_path(*account, path, event.flow.remote.address, false);
  call.media = open_media_path(call, *media);
  IncomingCall incoming;
  incoming.call = call.id;
  incoming.account = account->id;
  // RFC 3325 §5: an identity is worth what the element that asserts it is.
  read_caller(request, account->config.trust_asserted_identity && trusted, incoming);
  if (replaced != nullptr) {
    // RFC 3891 §3: accepted at once, for the user has taken that call already.
    incoming.replaces = replaced->id;
    call.replaces = replaced->id;
    call.answering = true;
    // Nobody asks the user, who therefore stays as heard, and hears as much, as before.
    call.hold_wanted = replaced->hold_wanted;
    call.muted = replaced->muted;
    if (call.muted) instruct(call, media::SetMuted{true});
  }
  emit(std::move(incoming));
  touch(call.id);
}

}  // namespace godwit::ua
