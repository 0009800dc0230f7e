// SPDX-License-Identifier: Apache-2.0
//
// MESSAGE (RFC 3428) and OPTIONS, within calls and outside, and what a peer asks within a call that
// is not the session's own business.
#include "ua/core_impl.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"

namespace godwit::ua {
namespace {

/// Of a message, either way. RFC 3428 §8 has 1300 bytes where congestion is not controlled; what a
/// peer sends in fragments all the same is taken up to here.
constexpr std::size_t kMaxMessageBody = 16'384;

/// As application text it becomes a header: a media type and parameters, in one line.
bool is_content_type(std::string_view text) {
  const auto value = wire::ValueWithParams::parse(text);
  if (!value || text.size() > 256 || !value->params.well_formed()) return false;
  const std::size_t slash = value->value.find('/');
  return slash != std::string_view::npos && wire::lex::is_token(value->value.substr(0, slash)) &&
         wire::lex::is_token(value->value.substr(slash + 1));
}

Result<void> check(const MessageContent& content) {
  if (!is_content_type(content.content_type)) {
    return fail(ErrorCode::InvalidArgument,
                "\"" + content.content_type + "\" is no content type such as text/plain");
  }
  if (content.body.size() > kMaxMessageBody) {
    return fail(ErrorCode::TooLarge,
                "a message may have 16384 bytes, not " + std::to_string(content.body.size()));
  }
  return {};
}

std::string joined(const wire::Message& message, wire::HeaderId id) {
  constexpr std::size_t kMost = 1'024;  // Of what a stranger lists; a real one has 200.
  std::string text;
  for (const std::string_view value : message.values(id)) {
    if (text.size() + value.size() > kMost) break;
    if (!text.empty()) text += ", ";
    text += value;
  }
  return text;
}

}  // namespace

Result<RequestId> Core::Impl::send_message(AccountId id, const std::string& target,
                                           const MessageContent& content, TimePoint now) {
  const auto account = require_account(id);
  if (!account) return tl::unexpected<Error>(account.error());
  if (const auto fine = check(content); !fine) return tl::unexpected<Error>(fine.error());
  auto where = usage_target(**account, target, "recipient");
  if (!where) return tl::unexpected<Error>(where.error());
  sip::OutgoingRequest request;
  request.method = wire::Method::Message;
  request.content_type = content.content_type;
  request.body = content.body;
  return send_standalone(id, std::move(*where), std::move(request), now);
}

Result<RequestId> Core::Impl::ask_options(AccountId id, const std::string& target, TimePoint now) {
  const auto account = require_account(id);
  if (!account) return tl::unexpected<Error>(account.error());
  UsageTarget where;
  if (target.empty()) {
    where.uri = (*account)->first_hop.domain_uri();
  } else {
    auto found = usage_target(**account, target, "whom to ask");
    if (!found) return tl::unexpected<Error>(found.error());
    where = std::move(*found);
  }
  sip::OutgoingRequest request;
  request.method = wire::Method::Options;
  request.headers.emplace_back(wire::HeaderId::Accept, "application/sdp");
  return send_standalone(id, std::move(where), std::move(request), now);
}

Result<RequestId> Core::Impl::send_in_call(CallId id, sip::OwnRequest request, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if ((*call)->state != CallState::Confirmed || (*call)->ending) {
    return fail(ErrorCode::WrongState, "only an established call can carry that");
  }
  if ((*call)->suspended) {
    return fail(ErrorCode::WrongState,
                "call " + std::to_string(id.value()) + " waits for a network");
  }
  const RequestId request_id{++last_request_};
  request.token = request_id.value();
  const auto sent = (*call)->session->send_request(std::move(request), now);
  touch(id);
  settle(now);
  if (!sent) return tl::unexpected<Error>(sent.error());
  return request_id;
}

Result<RequestId> Core::Impl::send_message(CallId call, const MessageContent& content,
                                           TimePoint now) {
  if (const auto fine = check(content); !fine) return tl::unexpected<Error>(fine.error());
  sip::OwnRequest request;
  request.method = wire::Method::Message;
  request.content_type = content.content_type;
  request.body = content.body;
  return send_in_call(call, std::move(request), now);
}

Result<RequestId> Core::Impl::ask_options(CallId call, TimePoint now) {
  sip::OwnRequest request;
  request.method = wire::Method::Options;
  request.headers.emplace_back(wire::HeaderId::Accept, "application/sdp");
  return send_in_call(call, std::move(request), now);
}

void Core::Impl::emit_options(RequestId id, AccountId account, CallId call, int status,
                              const std::string& reason, const wire::Message* response) {
  OptionsResult result{id, account, call, status, reason, {}, {}};
  if (response != nullptr) {
    result.allow = joined(*response, wire::HeaderId::Allow);
    result.supported = joined(*response, wire::HeaderId::Supported);
  }
  emit(std::move(result));
}

void Core::Impl::on_request_outcome(OtherUsage& usage, const sip::RequestOutcome& outcome) {
  usage.finished = true;
  touched_usages_.insert(usage.number);
  if (usage.draft.method == wire::Method::Options) {
    emit_options(usage.request_id, usage.account, {}, outcome.status, outcome.reason,
                 outcome.response.get());
  } else {
    emit(MessageResult{
        usage.request_id, usage.account, {}, outcome.status, outcome.reason, outcome.in_doubt});
  }
}

void Core::Impl::on_own_request_answered(Call& call, const sip::RequestAnswered& answered,
                                         TimePoint now) {
  const RequestId id{answered.token};
  switch (answered.method) {
    case wire::Method::Message:
      emit(MessageResult{id, call.account, call.id, answered.status, answered.reason,
                         answered.in_doubt});
      break;
    case wire::Method::Options: {
      // A question changes nothing: it is asked once more where the flow has died under it.
      if (answered.flow_died && !call.suspended && !call.ending &&
          call.asked_again.insert(answered.token).second) {
        sip::OwnRequest again;
        again.token = answered.token;
        again.method = wire::Method::Options;
        again.headers.emplace_back(wire::HeaderId::Accept, "application/sdp");
        if (call.session->send_request(std::move(again), now)) break;
      }
      call.asked_again.erase(answered.token);
      emit_options(id, call.account, call.id, answered.status, answered.reason,
                   answered.response.get());
      break;
    }
    case wire::Method::Info: on_dtmf_info_answered(call, answered, now); break;
    case wire::Method::Refer: on_refer_answered(call, answered, now); break;
    case wire::Method::Notify: on_notify_answered(call, answered, now); break;
    case wire::Method::Update: on_target_told(call, answered, now); break;
    case wire::Method::Invite:
    case wire::Method::Ack:
    case wire::Method::Bye:
    case wire::Method::Cancel:
    case wire::Method::Register:
    case wire::Method::Prack:
    case wire::Method::Subscribe:
    case wire::Method::Publish:
    case wire::Method::Unknown: break;
  }
}

std::optional<int> Core::Impl::objection_to_message(const wire::Message& message) const {
  if (message.body().size() > kMaxMessageBody) return 413;
  if (message.has(wire::HeaderId::ContentEncoding)) return 415;
  const auto type = message.first(wire::HeaderId::ContentType);
  // RFC 3428 §5: a type that we cannot show would be 415; showing is the application's, so that any
  // is taken that is one. A body without a type is against RFC 3261 §20.15.
  if (!type && !message.body().empty()) return 400;
  if (type && !is_content_type(*type)) return 400;
  return std::nullopt;
}

void Core::Impl::emit_message(AccountId account, CallId call, const wire::Message& message) {
  MessageReceived received;
  received.account = account;
  received.call = call;
  if (const auto from = wire::from_of(message)) {
    received.from = std::string(from->uri.text);
    received.from_display_name = from->display_name();
  }
  received.content_type = std::string(message.first(wire::HeaderId::ContentType).value_or(""));
  received.body = std::string(message.body());
  emit(std::move(received));
}

void Core::Impl::on_message(const sip::RequestArrived& event, TimePoint now) {
  const wire::Message& message = *event.request;
  const Account* account = account_for(message);
  if (account == nullptr) return refuse(event, 404, now);
  if (shutting_down_) return refuse(event, 480, now);
  if (const auto status = objection_to_message(message)) return refuse(event, *status, now);
  // RFC 3428 §7: 200 says that the user has it; without a Contact and a body.
  respond(event, 200, {}, now);
  emit_message(account->id, {}, message);
}

void Core::Impl::on_in_dialog_request(Call& call, const sip::InDialogRequest& request,
                                      TimePoint now) {
  const wire::Message& message = *request.request;
  int status = 405;
  switch (message.method()) {
    case wire::Method::Options: status = 200; break;
    case wire::Method::Message:
      status = objection_to_message(message).value_or(200);
      if (status == 200) emit_message(call.account, call.id, message);
      break;
    case wire::Method::Info: status = on_info(call, message); break;
    case wire::Method::Notify: status = on_refer_notify(call, message, now); break;
    case wire::Method::Refer: return on_refer(call, request, now);
    case wire::Method::Invite:
    case wire::Method::Ack:
    case wire::Method::Bye:
    case wire::Method::Cancel:
    case wire::Method::Register:
    case wire::Method::Update:
    case wire::Method::Prack:
    case wire::Method::Subscribe:
    case wire::Method::Publish:
    case wire::Method::Unknown: break;
  }
  (void)call.session->respond(request.transaction, status, now);
}

}  // namespace godwit::ua
