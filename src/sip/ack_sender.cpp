// SPDX-License-Identifier: Apache-2.0
#include "sip/ack_sender.hpp"

#include <algorithm>
#include <utility>

#include "sip/routing.hpp"
#include "wire/sip/builder.hpp"

namespace godwit::sip {
namespace {

constexpr Duration kT1 = std::chrono::milliseconds(500);
constexpr Duration kT2 = std::chrono::seconds(4);

}  // namespace

AckSender::AckSender(UsageContext context, Owner owner, std::uint32_t timer_kind)
    : context_(context), owner_(owner), timer_kind_(timer_kind) {}

AckSender::~AckSender() { context_.timers.cancel(timer_); }

void AckSender::send(const Dialog& dialog, AckContent content, const Flow& flow, TimePoint now) {
  forget_old(now);
  flow_ = flow;
  Ack ack{dialog, std::move(content), now, {}, {}, {}, {}};
  transmit(ack);
  remember(std::move(ack));
}

bool AckSender::repeat(const std::string& remote_tag, std::uint32_t invite_cseq, const Flow& flow,
                       TimePoint now) {
  forget_old(now);
  flow_ = flow;
  const auto ack = find(remote_tag, invite_cseq);
  if (ack == acks_.end()) return false;
  transmit(*ack);
  return true;
}

void AckSender::start_blind(const Dialog& dialog, AckContent content, const Flow& flow,
                            TimePoint now) {
  forget_old(now);
  flow_ = flow;
  Ack ack{dialog, std::move(content), now, {}, {}, {}, {}};
  start_schedule(ack, now);
  remember(std::move(ack));
  rearm();
}

void AckSender::resend_newest(const Flow& flow, TimePoint now) {
  forget_old(now);
  flow_ = flow;
  if (acks_.empty()) return;
  start_schedule(acks_.back(), now);
  rearm();
}

void AckSender::stop() {
  for (Ack& ack : acks_) ack.next.reset();
  rearm();
}

void AckSender::stop(const std::string& remote_tag) {
  for (Ack& ack : acks_) {
    if (ack.dialog.id.remote_tag == remote_tag) ack.next.reset();
  }
  rearm();
}

bool AckSender::is_fresh(TimePoint now) const {
  return !acks_.empty() && now - acks_.back().first_sent < kLifetime;
}

void AckSender::on_timer(TimePoint now) {
  timer_ = {};
  for (Ack& ack : acks_) {
    if (!ack.next || *ack.next > now) continue;
    transmit(ack);
    // The peer retransmits its 2xx no longer than this, and ends the call then.
    ack.interval = std::min(2 * ack.interval, kT2);
    ack.next = *ack.next + ack.interval;
    if (*ack.next >= ack.first_sent + kLifetime) ack.next.reset();
  }
  forget_old(now);
  rearm();
}

void AckSender::start_schedule(Ack& ack, TimePoint now) {
  transmit(ack);
  ack.interval = kT1;
  ack.next = now + kT1;
}

void AckSender::transmit(Ack& ack) {
  const Flow flow = towards(flow_, ack.dialog.next_hop(), ack.dialog.secure);
  if (ack.bytes.empty() || ack.sent_on != flow) {
    // RFC 3261 §17.1.1.3 keeps a branch for the same message only; from another address it is
    // another one, and its Via must lead back to where we are.
    wire::RequestDraft draft = ack.dialog.make_ack(ack.content.invite_cseq);
    // RFC 3261 §22.1: the ACK carries the credentials of its INVITE. They are for the hop that
    // asked for them: without its Record-Route this goes to where the peer's Contact says.
    const bool same_hop = flow.remote.address == flow_.remote.address;
    for (const AuthorizationHeader& header : ack.content.credentials) {
      if (same_hop) draft.headers.emplace_back(header.name, header.value);
    }
    if (!ack.content.sdp.empty()) {
      draft.content_type = "application/sdp";
      draft.body = ack.content.sdp;
    }
    ack.bytes = wire::serialise(draft, context_.transactions.make_via(flow), {});
    ack.sent_on = flow;
  }
  // A full queue is as good as a lost datagram: the next 2xx, or the schedule, asks again.
  if (const auto sent = context_.transactions.transmit(flow, ack.bytes); !sent)
    context_.log.warn("sip", "ACK not sent: " + sent.error().detail);
}

std::vector<AckSender::Ack>::iterator AckSender::find(const std::string& remote_tag,
                                                      std::uint32_t invite_cseq) {
  return std::find_if(acks_.begin(), acks_.end(), [&](const Ack& ack) {
    return ack.dialog.id.remote_tag == remote_tag && ack.content.invite_cseq == invite_cseq;
  });
}

void AckSender::remember(Ack ack) {
  const auto same = find(ack.dialog.id.remote_tag, ack.content.invite_cseq);
  if (same != acks_.end()) acks_.erase(same);
  if (acks_.size() == kMaxRemembered) acks_.erase(acks_.begin());
  acks_.push_back(std::move(ack));
}

void AckSender::forget_old(TimePoint now) {
  std::erase_if(acks_, [now](const Ack& ack) { return now - ack.first_sent >= kLifetime; });
}

void AckSender::rearm() {
  context_.timers.cancel(timer_);
  timer_ = {};
  std::optional<TimePoint> first;
  for (const Ack& ack : acks_) {
    if (ack.next && (!first || *ack.next < *first)) first = ack.next;
  }
  if (first) timer_ = context_.timers.schedule(*first, UsageTimer{owner_, timer_kind_});
}

}  // namespace godwit::sip
