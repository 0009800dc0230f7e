// SPDX-License-Identifier: Apache-2.0
//
// DTMF digits of a call: in RTP (RFC 4733), where a whole row is the media engine's; or in INFO
// requests, one after the other, each when the one before has been answered, so that they arrive in
// order.
#include "ua/core_impl.hpp"
#include "wire/sip/dtmf.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::ua {
namespace {

/// Digits in one command, and waiting in one call: longer than any number or code.
constexpr std::size_t kMaxDigits = 64;
constexpr std::chrono::milliseconds kDigitDuration{160};

}  // namespace

Result<RequestId> Core::Impl::send_dtmf(CallId id, const std::string& digits, DtmfMethod method,
                                        TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if ((*call)->state != CallState::Confirmed || (*call)->ending) {
    return fail(ErrorCode::WrongState, "only an established call can carry digits");
  }
  if (method == DtmfMethod::Rtp && !takes_events(**call)) {
    return fail(ErrorCode::Unsupported, "the other side takes no digits in RTP");
  }
  if (digits.empty() || digits.size() > kMaxDigits) {
    return fail(ErrorCode::InvalidArgument,
                "1 to 64 digits can be sent at a time, not " + std::to_string(digits.size()));
  }
  std::string clean;
  for (const char text : digits) {
    const auto digit = wire::dtmf_digit(text);
    if (!digit) {
      return fail(ErrorCode::InvalidArgument,
                  "digits are 0 to 9, *, # and A to D, not \"" + digits + "\"");
    }
    clean += *digit;
  }
  if ((*call)->dtmf.size() >= kMaxDtmfRows) {
    return fail(ErrorCode::Busy, "too many digits wait to be sent already");
  }
  const RequestId request{++last_request_};
  (*call)->dtmf.push_back({request, std::move(clean), 0, method});
  send_next_digit(**call, now);
  touch(id);
  settle(now);
  return request;
}

bool Core::Impl::takes_events(const Call& call) {
  return call.agreed && call.agreed->telephone_event.has_value();
}

void Core::Impl::on_digits_sent(Call& call, const media::DigitsSent& outcome, TimePoint now) {
  if (call.dtmf.empty() || call.dtmf.front().request.value() != outcome.token) return;
  call.dtmf_in_flight = false;
  DtmfRow& row = call.dtmf.front();
  row.sent += outcome.sent;
  const bool whole = row.sent >= row.digits.size();
  if (!whole && row.method == DtmfMethod::Auto) {
    row.method = DtmfMethod::Info;  // What the peer has stopped taking in RTP.
    return send_next_digit(call, now);
  }
  emit(DtmfResult{row.request, call.id, 0,
                  whole ? "sent in RTP"
                        : "the other side has stopped taking digits in RTP after " +
                              std::to_string(row.sent) + " of " + std::to_string(row.digits.size()),
                  whole});
  call.dtmf.pop_front();
  send_next_digit(call, now);
}

void Core::Impl::send_next_digit(Call& call, TimePoint now) {
  if (call.dtmf.empty() || call.dtmf_in_flight || call.suspended || call.move_pending) return;
  const DtmfRow& row = call.dtmf.front();
  if (row.method == DtmfMethod::Rtp || (row.method == DtmfMethod::Auto && takes_events(call))) {
    call.dtmf_in_flight = true;
    instruct(call, media::SendDigits{row.request.value(), row.digits.substr(row.sent)});
    return;
  }
  sip::OwnRequest info;
  info.token = row.request.value();
  info.method = wire::Method::Info;
  info.content_type = "application/dtmf-relay";
  info.body = wire::to_dtmf_relay({row.digits[row.sent], kDigitDuration});
  const auto sent = call.session->send_request(std::move(info), now);
  if (sent) {
    call.dtmf_in_flight = true;
    return;
  }
  emit(DtmfResult{row.request, call.id, 0, sent.error().detail, false});
  call.dtmf.pop_front();
}

void Core::Impl::on_dtmf_info_answered(Call& call, const sip::RequestAnswered& answered,
                                       TimePoint now) {
  call.dtmf_in_flight = false;
  if (call.dtmf.empty()) return;
  DtmfRow& row = call.dtmf.front();
  const bool ok = answered.status / 100 == 2;
  if (ok && ++row.sent < row.digits.size()) return send_next_digit(call, now);
  // Whether a digit whose answer is missing was heard is not known, and it must not be heard twice:
  // the rest of the row stays unsent too, for a number with a hole is another number.
  std::string reason = answered.reason;
  if (!ok) {
    reason += answered.in_doubt ? "; digit " : "; refused digit ";
    reason += std::to_string(row.sent + 1) + " of " + std::to_string(row.digits.size());
    if (answered.in_doubt) reason += " may have arrived";
  }
  emit(DtmfResult{row.request, call.id, answered.status, reason, ok});
  call.dtmf.pop_front();
  send_next_digit(call, now);
}

int Core::Impl::on_info(Call& call, const wire::Message& message) {
  // RFC 6086 §4.2.2: an INFO without an Info-Package is an old usage; an empty one asks whether the
  // dialog lives. We have indicated no package (§5.2.3: 469 for an unknown one).
  if (message.first_named("Info-Package")) return 469;
  if (message.body().empty()) return 200;
  std::optional<wire::DtmfSignal> signal;
  if (wire::has_content_type(message, "application/dtmf-relay")) {
    signal = wire::parse_dtmf_relay(message.body());
  } else if (wire::has_content_type(message, "application/dtmf")) {
    signal = wire::parse_dtmf(message.body());
  } else {
    return 415;
  }
  if (!signal) return 400;
  emit(DtmfReceived{call.id, signal->digit, signal->duration, DtmfMethod::Info});
  return 200;
}

}  // namespace godwit::ua
