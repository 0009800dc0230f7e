// SPDX-License-Identifier: Apache-2.0
//
// What a message says beyond what its transaction, session or registration has put there: the
// account's and the call's own headers, identity, the reason of an end, and the application's hook.
#include <exception>

#include "ua/core_impl.hpp"
#include "ua/header_rules.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/reason.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::ua {
namespace {

using wire::HeaderId;

bool is_within_dialog(const wire::DraftHeaders& headers) {
  const std::string* to = wire::find_header(headers, HeaderId::To);
  const auto parsed = to == nullptr ? std::nullopt : wire::NameAddr::parse(*to);
  return parsed && parsed->tag();
}

/// Somebody else has sent the call to another host than the account's: what the application says to
/// those that it knows is not for that one.
bool is_for_strangers(const Call& call, const Account& account) {
  if (!call.aimed_by_peer) return false;
  const auto target = wire::Uri::parse(call.target);
  return !target || !wire::lex::iequals(target->host, account.aor.host);
}

/// Is the response with these headers one to a request within the call's dialog?
bool is_in_dialog_of(const Call& call, const wire::DraftHeaders& headers) {
  const sip::Dialog* dialog = call.session ? call.session->dialog() : nullptr;
  const std::string* call_id = wire::find_header(headers, HeaderId::CallId);
  return dialog != nullptr && call_id != nullptr && dialog->id.call_id == *call_id;
}

}  // namespace

void Core::Impl::shape_request(sip::Owner sender, wire::RequestDraft& draft) {
  const auto id = static_cast<std::uint32_t>(sender.value() >> 3U);
  const auto kind = static_cast<OwnerKind>(sender.value() & 7U);
  const Account* account = nullptr;
  const Call* call = nullptr;
  if (kind == OwnerKind::Registration) {
    account = find_account(AccountId{id});
  } else if (kind == OwnerKind::Session) {
    call = find_session(id).call;
    if (call != nullptr) account = find_account(call->account);
  }
  const bool known = call == nullptr || account == nullptr || !is_for_strangers(*call, *account);
  if (account != nullptr && known) append_headers(draft.headers, account->config.extra_headers);
  if (call != nullptr && draft.method == wire::Method::Invite && !is_within_dialog(draft.headers)) {
    if (known) append_headers(draft.headers, call->options.headers);
    if (call->options.hide_identity) {
      draft.headers.emplace_back(HeaderId::Privacy, "id");  // RFC 3325 §9.3.
      // RFC 3325 §9.2: only to a server of ours, never to the callee itself.
      if (!call->first_hop) {
        draft.headers.emplace_back(HeaderId::PPreferredIdentity, "<" + account->aor.uri() + ">");
      }
    }
  }
  const bool ends = draft.method == wire::Method::Bye || draft.method == wire::Method::Cancel;
  if (call != nullptr && ends && call->reason_to_give) {  // RFC 3326 §2.
    draft.headers.emplace_back(HeaderId::Reason, wire::to_string(*call->reason_to_give));
  }
  if (!config_.message_hook) return;
  SignallingMessage shown;
  if (account != nullptr) shown.account = account->id;
  if (call != nullptr) shown.call = call->id;
  shown.method = draft.method == wire::Method::Unknown ? draft.method_text
                                                       : std::string(wire::to_string(draft.method));
  shown.request_uri = draft.request_uri;
  show_draft(std::move(shown), draft.headers);
}

void Core::Impl::shape_response(sip::ServerTransactionId transaction, wire::ResponseDraft& draft) {
  if (!config_.message_hook) return;
  SignallingMessage shown;
  shown.status = draft.status;
  if (const std::string* cseq = wire::find_header(draft.headers, HeaderId::CSeq)) {
    const std::size_t space = cseq->find_last_of(" \t");
    if (space != std::string::npos) shown.method = cseq->substr(space + 1);
  }
  for (const auto& [id, call] : calls_) {
    const bool whose = transaction && call->session && call->session->owns(transaction);
    if (!whose && !is_in_dialog_of(*call, draft.headers)) continue;
    shown.call = id;
    shown.account = call->account;
    break;
  }
  show_draft(std::move(shown), draft.headers);
}

void Core::Impl::show_draft(SignallingMessage shown, wire::DraftHeaders& headers) {
  shown.outgoing = true;
  shown.headers = ua::shown(headers);
  const std::string complaint = apply_edits(headers, ask_hook(shown));
  if (complaint.empty()) return;
  if (const auto more = hook_log_.admit(last_input_)) {
    warn("the message hook may not do that: " + complaint + *more);
  }
}

void Core::Impl::show_arrived(const sip::TransactionEvent& event, TimePoint now) {
  last_input_ = now;
  const wire::Message* message = nullptr;
  SignallingMessage shown;
  const auto belongs_to = [&](const Call* call) {
    if (call == nullptr) return;
    shown.call = call->id;
    shown.account = call->account;
  };
  const auto by_dialog = [&](const wire::Message& request) {
    message = &request;
    if (const auto id = sip::dialog_id_of_request(request)) belongs_to(find_session(*id).call);
  };
  if (const auto* request = std::get_if<sip::RequestArrived>(&event)) {
    by_dialog(*request->request);
  } else if (const auto* ack = std::get_if<sip::AckArrived>(&event)) {
    by_dialog(*ack->ack);
  } else if (const auto* cancel = std::get_if<sip::CancelArrived>(&event)) {
    by_dialog(*cancel->cancel);
  } else if (const auto* response = std::get_if<sip::ResponseArrived>(&event)) {
    message = response->response.get();
    const auto id = static_cast<std::uint32_t>(response->owner.value() >> 3U);
    const auto kind = static_cast<OwnerKind>(response->owner.value() & 7U);
    if (kind == OwnerKind::Session) belongs_to(find_session(id).call);
    if (kind == OwnerKind::Registration) shown.account = AccountId{id};
  }
  if (message == nullptr) return;
  if (message->is_request()) {
    shown.method = message->method_text();
    shown.request_uri = message->request_uri();
  } else {
    shown.status = message->status();
    if (const auto cseq = wire::cseq_of(*message)) shown.method = cseq->method_text;
  }
  shown.headers = ua::shown(*message);
  static_cast<void>(ask_hook(shown));
}

std::vector<HeaderEdit> Core::Impl::ask_hook(const SignallingMessage& message) {
  try {
    return config_.message_hook(message);
  } catch (const std::exception& error) {
    log_.warn("ua", std::string("the message hook threw: ") + error.what());
  } catch (...) {
    log_.warn("ua", "the message hook threw");
  }
  return {};
}

}  // namespace godwit::ua
