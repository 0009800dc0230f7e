// SPDX-License-Identifier: Apache-2.0
//
// Transfers: REFER (RFC 3515) sent and received within a call, with the implicit subscription by
// which its progress is told, and INVITE with Replaces (RFC 3891), as RFC 5589 puts them together.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/sipfrag.hpp"

namespace godwit::ua {
namespace {

using wire::HeaderId;

/// From an accepted REFER, and from each word of its progress, to giving up hearing more.
constexpr Duration kSilence = std::chrono::seconds(180);
/// For how long the user may think about a transfer that the peer asks for; then it is declined.
constexpr Duration kAskLimit = std::chrono::seconds(60);
constexpr std::size_t kMaxTarget = 1'024;

/// The value of one header of a URI, decoded; empty if it has none.
std::string header_of(const wire::Uri& uri, std::string_view name) {
  std::string_view rest = uri.headers;
  while (!rest.empty()) {
    const std::size_t end = wire::lex::find_or_end(rest, '&');
    const std::string_view one = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos) continue;
    if (wire::lex::iequals(one.substr(0, equals), name))
      return wire::percent_decode(one.substr(equals + 1));
  }
  return {};
}

std::string without_headers(const wire::Uri& uri) {
  return std::string(uri.text.substr(0, uri.text.find('?')));
}

}  // namespace

// --- we ask the peer to call somebody else ---

Result<RequestId> Core::Impl::transfer(CallId id, const std::string& target, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  const Account& account = *accounts_.at((*call)->account);
  const auto found = usage_target(account, target, "transfer target");
  if (!found) return tl::unexpected<Error>(found.error());
  return send_refer(**call, "<" + found->uri + ">", now);
}

Result<RequestId> Core::Impl::transfer(CallId id, CallId to, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  const auto other = require_call(to);
  if (!other) return tl::unexpected<Error>(other.error());
  const sip::Dialog* dialog = (*other)->session->dialog();
  if (id == to || dialog == nullptr || (*other)->state != CallState::Confirmed) {
    return fail(ErrorCode::WrongState,
                "a call can be transferred to another established call only");
  }
  // RFC 3891 §6.1 as the target will read it: its own tag is the to-tag.
  const std::string replaces =
      dialog->id.call_id + ";to-tag=" + dialog->id.remote_tag + ";from-tag=" + dialog->id.local_tag;
  const auto uri = wire::Uri::parse(dialog->remote_target);
  if (!uri) return fail(ErrorCode::WrongState, "the other call's party has no usable address");
  return send_refer(
      **call,
      "<" + without_headers(*uri) + "?Replaces=" + wire::percent_encode_header(replaces) + ">",
      now);
}

Result<RequestId> Core::Impl::send_refer(Call& call, std::string refer_to, TimePoint now) {
  if (call.transfer) return fail(ErrorCode::WrongState, "the call is being transferred already");
  OutgoingTransfer transfer;
  transfer.refer_to = std::move(refer_to);
  const auto sent = send_in_call(call.id, refer_request(call, transfer), now);
  if (!sent) return sent;
  transfer.request = *sent;
  call.transfer = std::move(transfer);
  return sent;
}

sip::OwnRequest Core::Impl::refer_request(const Call& call,
                                          const OutgoingTransfer& transfer) const {
  sip::OwnRequest refer;
  refer.token = transfer.request.value();
  refer.method = wire::Method::Refer;
  refer.headers.emplace_back(HeaderId::ReferTo, transfer.refer_to);
  if (!call.options.hide_identity) {
    refer.headers.emplace_back(HeaderId::ReferredBy,
                               "<" + accounts_.at(call.account)->aor.uri() + ">");
  }
  refer.headers.emplace_back(HeaderId::Supported, "replaces, norefersub");
  return refer;
}

void Core::Impl::on_refer_answered(Call& call, const sip::RequestAnswered& answered,
                                   TimePoint now) {
  if (!call.transfer || call.transfer->request.value() != answered.token) return;
  OutgoingTransfer& transfer = *call.transfer;
  if (answered.status / 100 == 2) {
    transfer.cseq = answered.cseq;
    const auto sub =
        answered.response ? answered.response->first(HeaderId::ReferSub) : std::nullopt;
    // RFC 4488 §4: without a subscription nothing more will be heard.
    if (sub && wire::lex::iequals(wire::lex::trim(*sub), "false"))
      return finish_transfer(call, answered.status, answered.reason);
    await_transfer(call, now);
    if (!transfer.accepted) {
      transfer.accepted = true;
      emit(TransferProgress{call.id, answered.status, answered.reason, false});
    }
    return;
  }
  // What the peer has told in the meantime says that the REFER did arrive.
  if (answered.in_doubt && transfer.accepted) return await_transfer(call, now);
  if (answered.flow_died && !std::exchange(transfer.repeated, true) && !call.ending) {
    // It leaves once more when the peer knows our new place; a user agent that has had it already
    // sees the same request and answers as before.
    transfer.to_repeat = true;
    touch(call.id);
    return;
  }
  finish_transfer(call, answered.status, answered.reason);
}

void Core::Impl::repeat_refer(Call& call, TimePoint now) {
  if (!call.transfer || !call.transfer->to_repeat || call.suspended || call.move_pending ||
      call.refresh_in_flight || call.wish.any()) {
    return;
  }
  call.transfer->to_repeat = false;
  if (call.transfer->accepted) return;  // A notification came first.
  if (const auto sent = call.session->send_request(refer_request(call, *call.transfer), now); !sent)
    finish_transfer(call, 503, sent.error().detail);
}

void Core::Impl::await_transfer(Call& call, TimePoint now) {
  timers_.cancel(call.transfer->limit);
  call.transfer->limit = schedule(call, CallTimer::Transfer, now + kSilence);
}

void Core::Impl::finish_transfer(Call& call, int status, const std::string& reason) {
  timers_.cancel(call.transfer->limit);
  call.transfer.reset();
  emit(TransferProgress{call.id, status, reason, true});
  // RFC 5589 §6.1: the transferor ends its call when the transfer has succeeded.
  if (status / 100 == 2) {
    call.transferred = true;
    touch(call.id);
  }
}

int Core::Impl::on_refer_notify(Call& call, const wire::Message& notify, TimePoint now) {
  const auto event = notify.first(HeaderId::Event);
  const auto package = event ? wire::ValueWithParams::parse(*event) : std::nullopt;
  if (!package) return 400;
  if (!wire::lex::iequals(package->value, "refer")) return 489;
  if (!call.transfer) return 481;  // RFC 6665 §4.1.3: no subscription of ours can be meant.
  OutgoingTransfer& transfer = *call.transfer;
  // RFC 3515 §2.4.6: the id is the CSeq of the REFER, and may be left out for the first one.
  const auto id = package->params.get("id");
  if (id && transfer.cseq != 0 && *id != std::to_string(transfer.cseq)) return 481;
  const auto header = notify.first(HeaderId::SubscriptionState);
  // The state alone counts: there are peers, linphone one of them, whose parameters are broken.
  const std::string_view state =
      wire::lex::trim(header.value_or("").substr(0, header.value_or("").find(';')));
  if (state.empty()) return 400;
  const bool over = wire::lex::iequals(state, "terminated");
  if (!notify.body().empty() && !wire::has_content_type(notify, "message/sipfrag")) return 415;
  const auto progress = wire::parse_sipfrag(notify.body());
  if (!progress && !notify.body().empty()) return 400;
  transfer.accepted = true;
  await_transfer(call, now);
  if (progress && (progress->status >= 200 || !over)) {
    if (progress->status >= 200) {
      finish_transfer(call, progress->status, progress->reason);
    } else if (progress->status > 100) {
      emit(TransferProgress{call.id, progress->status, progress->reason, false});
    }
  } else if (over) {
    finish_transfer(call, 0, "the other side tells no more of it");
  }
  return 200;
}

void Core::Impl::on_transfer_timer(Call& call) {
  if (call.transfer) finish_transfer(call, 408, "nothing more was heard of the transfer");
}

void Core::Impl::on_asked_timer(Call& call, TimePoint now) {
  const auto& asked = call.transfer_request;
  if (asked && !asked->accepted && !asked->new_call && asked->status < 200)
    decline_transfer(call, now);
}

// --- the peer asks us ---

void Core::Impl::on_refer(Call& call, const sip::InDialogRequest& request, TimePoint now) {
  const wire::Message& refer = *request.request;
  const auto answer = [&](int status) {
    wire::DraftHeaders headers;
    if (status == 202 && call.transfer_request && !call.transfer_request->notify)
      headers.emplace_back(HeaderId::ReferSub, "false");  // RFC 4488 §4
    (void)call.session->respond(request.transaction, status, std::move(headers), now);
  };
  // RFC 3515 §2.4.2: exactly one Refer-To, else 400.
  const auto header = refer.first(HeaderId::ReferTo);
  const auto target = header ? wire::NameAddr::parse(*header) : std::nullopt;
  if (!target || refer.line_count(HeaderId::ReferTo) != 1 || header->size() > kMaxTarget)
    return answer(400);
  if (!target->uri.is_sip()) return answer(416);
  const auto method = target->uri.params.get("method");
  if (method && !wire::lex::iequals(*method, "INVITE")) return answer(501);
  if (call.state != CallState::Confirmed || call.ending || shutting_down_ ||
      config_.transfers == TransferPolicy::Refuse) {
    return answer(603);
  }
  const auto cseq = wire::cseq_of(refer);
  if (call.transfer_request) {
    // The same one again: its sender has moved, and does not know that we had it.
    if (call.transfer_request->refer_to != *header) return answer(491);
    call.transfer_request->cseq = cseq ? cseq->number : 0;
    answer(202);
    call.transfer_request->to_tell = call.transfer_request->status;
    touch(call.id);
    return;
  }
  IncomingTransfer transfer;
  transfer.refer_to = std::string(*header);
  transfer.cseq = cseq ? cseq->number : 0;
  transfer.target = without_headers(target->uri);
  transfer.replaces = header_of(target->uri, "Replaces");
  const std::string_view by_whom = refer.first(HeaderId::ReferredBy).value_or("");
  if (by_whom.size() <= kMaxTarget) transfer.referred_by = std::string(by_whom);
  const auto sub = refer.first(HeaderId::ReferSub);
  transfer.notify = !sub || !wire::lex::iequals(wire::lex::trim(*sub), "false");
  TransferRequested requested;
  requested.call = call.id;
  requested.target = transfer.target;
  requested.replaces_a_call = !transfer.replaces.empty();
  if (const auto by = wire::NameAddr::parse(transfer.referred_by))
    requested.referred_by = std::string(by->uri.text);
  transfer.to_tell = 100;
  call.transfer_request = std::move(transfer);
  answer(202);
  touch(call.id);
  emit(std::move(requested));
  if (config_.transfers == TransferPolicy::Accept) {
    call.transfer_request->accepted = true;
  } else {
    call.transfer_request->limit = schedule(call, CallTimer::TransferAsked, now + kAskLimit);
  }
}

Result<Call*> Core::Impl::require_asked(CallId id) {
  const auto call = require_call(id);
  if (!call) return call;
  const auto& asked = (*call)->transfer_request;
  if (!asked || asked->new_call || asked->accepted || asked->status >= 200) {
    return fail(ErrorCode::WrongState,
                "the other side of call " + std::to_string(id.value()) + " asks for no transfer");
  }
  return call;
}

Result<void> Core::Impl::accept_transfer(CallId id, TimePoint now) {
  const auto call = require_asked(id);
  if (!call) return tl::unexpected<Error>(call.error());
  (*call)->transfer_request->accepted = true;
  touch(id);
  settle(now);
  return {};
}

Result<void> Core::Impl::reject_transfer(CallId id, TimePoint now) {
  const auto call = require_asked(id);
  if (!call) return tl::unexpected<Error>(call.error());
  decline_transfer(**call, now);
  settle(now);
  return {};
}

void Core::Impl::decline_transfer(Call& call, TimePoint) {
  call.transfer_request->status = 603;
  call.transfer_request->to_tell = 603;
  touch(call.id);
}

void Core::Impl::advance_transfers(Call& call, TimePoint now) {
  if (call.replaced_by && !call.ending) {
    // RFC 3891 §3: the replaced dialog is ended with BYE, or CANCEL while it is early.
    const std::string why = "replaced by call " + std::to_string(call.replaced_by.value());
    end_call(call, why, now);
    // At once, with its audio: the way that its BYE takes may be dead, which is why it was
    // replaced.
    if (call.state != CallState::Ended) tell_end(call, 0, why);
    return;
  }
  if (call.transferred && !call.ending) return end_call(call, "transferred", now);
  repeat_refer(call, now);
  if (!call.transfer_request) return;
  IncomingTransfer& asked = *call.transfer_request;
  if (asked.accepted && !asked.new_call && asked.status < 200) {
    timers_.cancel(asked.limit);
    // RFC 3892 §2.2: the transferor's own word on who refers is passed on.
    // Whoever hides from the peer hides from where the peer sends us, which may be the peer again.
    CallOptions options;
    options.hide_identity = call.options.hide_identity;
    const auto placed = place_call(call.account, asked.target, now, std::move(options),
                                   {call.id, asked.replaces, asked.referred_by});
    if (placed) {
      asked.new_call = *placed;
    } else {
      warn("call " + std::to_string(call.id.value()) +
           " could not be transferred: " + placed.error().detail);
      asked.status = 503;
      asked.to_tell = 503;
    }
  }
  tell_transfer(call, now);
}

void Core::Impl::tell_transfer(Call& call, TimePoint now) {
  IncomingTransfer& asked = *call.transfer_request;
  if (asked.to_tell == 0 || call.suspended || call.move_pending) return;
  const int status = std::exchange(asked.to_tell, 0);
  asked.status = status;
  const bool over = status >= 200;
  if (asked.notify) {
    sip::OwnRequest notify;
    notify.method = wire::Method::Notify;
    notify.headers.emplace_back(HeaderId::Event, "refer;id=" + std::to_string(asked.cseq));
    // RFC 3515 §2.4.7: the subscription ends with the final state.
    notify.headers.emplace_back(HeaderId::SubscriptionState,
                                over ? "terminated;reason=noresource" : "active;expires=180");
    notify.content_type = "message/sipfrag;version=2.0";
    notify.body = wire::to_sipfrag(status);
    if (const auto sent = call.session->send_request(std::move(notify), now); !sent)
      log_.info("ua", "the progress of a transfer was not told: " + sent.error().detail);
  }
  if (!over) return;
  timers_.cancel(asked.limit);
  call.told_transfer = status;
  call.told_transfer_cseq = asked.cseq;
  call.transfer_request.reset();
}

void Core::Impl::on_notify_answered(Call& call, const sip::RequestAnswered& answered,
                                    TimePoint now) {
  if (!answered.flow_died || call.ending || call.suspended) return;
  // Its state is told once more from the new place; the last one too. Once: a peer or server that
  // closes every connection on hearing it would have it as often as it likes.
  if (call.told_again == call.generation) return;
  call.told_again = call.generation;
  if (call.transfer_request) {
    call.transfer_request->to_tell = call.transfer_request->status;
  } else if (call.told_transfer != 0) {
    IncomingTransfer last;
    last.cseq = call.told_transfer_cseq;
    last.new_call = call.id;  // Nothing is placed any more.
    last.to_tell = std::exchange(call.told_transfer, 0);
    call.transfer_request = std::move(last);
  }
  touch(call.id);
  (void)now;
}

void Core::Impl::note_transferred_state(const Call& call, CallState state, int status) {
  Call* asked = find_call(call.ordered.by);
  if (asked == nullptr || !asked->transfer_request || asked->transfer_request->new_call != call.id)
    return;
  int tell = 0;
  switch (state) {
    case CallState::Ringing:
    case CallState::EarlyMedia: tell = status >= 101 ? status : 180; break;
    case CallState::Confirmed: tell = 200; break;
    case CallState::Ended: tell = status >= 300 ? status : 487; break;
    case CallState::Calling:
    case CallState::Incoming: return;
  }
  asked->transfer_request->to_tell = tell;
  touch(asked->id);
}

// --- a call that takes the place of another ---

std::optional<int> Core::Impl::find_replaced(const wire::Message& invite, Call** replaced) {
  const auto header = invite.first(HeaderId::Replaces);
  if (!header) return std::nullopt;
  // RFC 3891 §3: more than one Replaces is a 400; no match a 481.
  const auto replaces = wire::Replaces::parse(*header);
  if (!replaces || invite.line_count(HeaderId::Replaces) != 1) return 400;
  // The identifiers, of which ours is 60 random bits, are what only the parties of that call and
  // the proxies between them know: whoever names them is taken for authorised by the peer. §3 asks
  // for more where there is more, which between providers there is not.
  const SessionRef found =
      find_session(sip::DialogId{std::string(replaces->call_id), std::string(replaces->to_tag),
                                 std::string(replaces->from_tag)});
  if (!found || found.session != found.call->session.get()) return 481;
  Call& call = *found.call;
  // §3: a dialog that is over gets 603, and early-only does not fit an answered one (486).
  if (call.state == CallState::Ended || call.ending) return 603;
  const bool confirmed = call.state == CallState::Confirmed;
  if (confirmed && replaces->early_only) return 486;
  // §3: an early dialog that we did not begin cannot be replaced: 481.
  if (!confirmed && !call.outgoing) return 481;
  // Its place is taken at once and beyond all limits, hence by one call only: whoever knows the
  // identifiers could fill us with calls that wait for their ACK.
  const bool taken = std::any_of(calls_.begin(), calls_.end(), [&](const auto& entry) {
    return entry.second->replaces == call.id && entry.second->state != CallState::Ended;
  });
  if (taken) return 486;
  *replaced = &call;
  return std::nullopt;
}

}  // namespace godwit::ua
