// SPDX-License-Identifier: Apache-2.0
//
// STUN over the UDP flows of registrations behind a NAT (RFC 5626 §4.4.2). Pings on connections are
// kept by Streams.
#include "base/bytes.hpp"
#include "ua/core_impl.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::ua {

void Core::Impl::keep_mapping(Account& account, const sip::RegistrationStatus& status,
                              TimePoint now) {
  const auto& flow = account.registration->flow();
  const bool registered = status.state == RegistrationState::Registered;
  // Refreshing is no reason to stop: the mapping is needed for the answer.
  if (status.state == RegistrationState::Registering) return;
  const bool mapped = registered && flow && !is_stream(flow->transport) && status.mapped &&
                      *status.mapped != flow->local && config_.udp_keep_alive > Duration::zero();
  if (mapped) {
    account.keep_alive.start(config_.udp_keep_alive, *status.mapped, random_, now);
  } else {
    account.keep_alive.stop();
  }
  arm_keep_alive(account);
}

void Core::Impl::arm_keep_alive(Account& account) {
  if (account.keep_alive_timer) timers_.cancel(account.keep_alive_timer);
  account.keep_alive_timer = {};
  if (!account.keep_alive.runs()) return;
  account.keep_alive_timer = timers_.schedule(
      account.keep_alive.next(), Timer{owner(OwnerKind::KeepAlive, account.id.value()), 0});
}

void Core::Impl::on_keep_alive_timer(Account& account, TimePoint now) {
  account.keep_alive_timer = {};
  auto due = account.keep_alive.on_timeout(random_, now);
  const auto& flow = account.registration->flow();
  const Listener* listener = flow ? listeners_.find(flow->listener) : nullptr;
  if (due.send && listener != nullptr && !listener->dead && is_present(listener->path)) {
    outputs_.push_back(SendDatagram{listener->id, flow->remote, std::move(*due.send)});
  }
  if (due.failed) {
    log_.info("ua", "account " + account.config.aor + ": the registrar answers no keep-alives");
    (void)account.registration->refresh(now);
    touch(account.id);
  }
  arm_keep_alive(account);
}

void Core::Impl::on_stun(ListenerId listener, const Endpoint& remote, const std::string& bytes,
                         TimePoint now) {
  ++counters_.keepalives;
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
