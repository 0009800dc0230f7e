// SPDX-License-Identifier: Apache-2.0
//
// STUN over the UDP flows of registrations (RFC 5626 §4.4.2), and how often the server wants it.
// Pings on connections are kept by Streams.
#include <algorithm>

#include "base/bytes.hpp"
#include "ua/core_impl.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::ua {
namespace {

/// What a server may make of the time between two keep-alives of ours.
constexpr Duration kMinKeep = std::chrono::seconds(10);
constexpr Duration kMaxKeep = std::chrono::seconds(900);

}  // namespace

void Core::Impl::keep_mapping(Account& account, const sip::RegistrationStatus& status,
                              TimePoint now) {
  const auto& flow = account.registration->flow();
  const bool registered = status.state == RegistrationState::Registered;
  // Refreshing is no reason to stop: the mapping is needed for the answer.
  if (status.state == RegistrationState::Registering) return;
  const sip::RegistrationGrant& grant = account.registration->grant();
  const Duration interval = keep_alive_interval(account);
  if (registered && flow && is_stream(flow->transport) && (grant.keep || grant.flow_timer)) {
    streams_.limit_pings(flow->listener, interval, now);
  }
  const bool over_udp = registered && flow && !is_stream(flow->transport);
  const Endpoint seen = status.mapped.value_or(flow ? flow->local : Endpoint{});
  // RFC 5626 §4.4: with Outbound the flow is all that leads to us, NAT or not.
  const bool wanted = over_udp && (seen != flow->local || grant.outbound || grant.keep);
  if (wanted && interval > Duration::zero()) {
    account.keep_alive.start(interval, seen, random_, now);
  } else {
    account.keep_alive.stop();
  }
  arm_keep_alive(account);
}

Duration Core::Impl::keep_alive_interval(const Account& account) const {
  const sip::RegistrationGrant& grant = account.registration->grant();
  // RFC 6223 §4.4: as often as the next hop wants it, even if we would not by ourselves.
  if (grant.keep) return std::clamp<Duration>(*grant.keep, kMinKeep, kMaxKeep);
  const auto& flow = account.registration->flow();
  const bool by_stream = flow && is_stream(flow->transport);
  const Duration ours = by_stream ? config_.stream_keep_alive : config_.udp_keep_alive;
  // RFC 5626 §4.4: no more than what the edge proxy waits for.
  if (!grant.flow_timer || ours == Duration::zero()) return ours;
  return std::min<Duration>(ours, std::max<Duration>(*grant.flow_timer, kMinKeep));
}

void Core::Impl::arm_keep_alive(Account& account) {
  if (account.keep_alive_timer) timers_.cancel(account.keep_alive_timer);
  account.keep_alive_timer = {};
  if (!account.keep_alive.runs()) return;
  account.keep_alive_timer =
      timers_.schedule(account.keep_alive.next(),
                       Timer{owner(OwnerKind::KeepAlive, account.id.value()), kStunTimer});
}

void Core::Impl::on_keep_alive_timer(Account& account, std::uint32_t kind, TimePoint now) {
  if (kind == kRaceTimer) {
    touch_racer(account);
    return;
  }
  if (kind == kMappingTimer) {
    // The answer says what the NAT makes of us by now.
    account.mapping_timer = {};
    (void)account.registration->refresh(now);
    touch(account.id);
    return;
  }
  account.keep_alive_timer = {};
  auto due = account.keep_alive.on_timeout(random_, now);
  const auto& flow = account.registration->flow();
  const Listener* listener = flow ? listeners_.find(flow->listener) : nullptr;
  if (due.send && listener != nullptr && !listener->dead && is_present(listener->path)) {
    outputs_.push_back(SendDatagram{listener->id, flow->remote, std::move(*due.send)});
  }
  if (due.doubtful && listener != nullptr) {
    const mobility::Path path = listener->path;
    const Duration silence = StunKeepAlive::kFirstWait * ((1 << StunKeepAlive::kDoubtAfter) - 1);
    suspect_path(account, path, ChangeCause::KeepAliveUnanswered, now - silence, false, now);
  }
  if (due.failed) {
    on_flow_failed(account, "keep-alives are not answered", true, now);
    (void)account.registration->refresh(now);
    touch(account.id);
  }
  arm_keep_alive(account);
}

void Core::Impl::on_stun(ListenerId listener, const Endpoint& remote, const std::string& bytes,
                         TimePoint now) {
  ++counters_.keepalives;
  if (on_sip_mapping(listener, remote, bytes, now)) return;
  const auto message = wire::parse_stun(as_bytes(bytes));
  if (!message || message->message_class != wire::StunClass::Success) return;
  for (const auto& [id, account] : accounts_) {
    const auto& flow = account->registration->flow();
    if (!flow || flow->listener != listener || flow->remote != remote) continue;
    switch (account->keep_alive.on_message(*message, random_, now)) {
      case StunKeepAlive::Answer::Stray: continue;
      case StunKeepAlive::Answer::Same: break;
      case StunKeepAlive::Answer::Moved:
        log_.info("ua", "account " + account->config.aor + " is seen at " +
                            message->mapped->to_string() + " now: registering again");
        // RFC 5626 §4.4.2: another mapping is another flow.
        on_flow_failed(*account, "a NAT shows it as " + message->mapped->to_string() + " now", true,
                       now);
        if (!rewrite_contact(*account, message->mapped, account->generation, now)) {
          (void)account->registration->refresh(now);
        }
        touch(id);
        break;
    }
    arm_keep_alive(*account);
    settle(now);
    return;
  }
}

}  // namespace godwit::ua
