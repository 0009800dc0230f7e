// SPDX-License-Identifier: Apache-2.0
//
// IPv4 servers and peers from a network with IPv6 only. Within the core a remote keeps its IPv4
// address; here it is translated where packets leave and come in, and where a path to it is chosen.
// What a v4 peer is told of our media is the mapping that a STUN server beyond the NAT64 sees
// (core_nat.cpp); without one it is told our IPv6 address, which few such peers can use.
#include "ua/core_impl.hpp"

namespace godwit::ua {

IpAddress Core::Impl::reach(const IpAddress& remote, const mobility::PathPolicy& policy) const {
  if (!remote.is_v4() || !nat64_.prefix()) return remote;
  // Its own way first: also to a v4 network of our own beside a v6-only uplink.
  if (mobility::choose_path(judge_.current(), remote, policy)) return remote;
  return nat64_.through({remote, 0}).address;
}

Endpoint Core::Impl::reach(const std::optional<mobility::Path>& path, const Endpoint& remote,
                           const PathPin& pin) const {
  const Endpoint translated = nat64_.through(remote);
  if (translated == remote) return remote;
  const mobility::PathPolicy policy = narrowed(pin);
  const bool stays = path && path->local.is_v6() &&
                     mobility::carries(judge_.current(), *path, translated.address, policy);
  return stays ? translated : Endpoint{reach(remote.address, policy), remote.port};
}

bool Core::Impl::carries(const mobility::Path& path, const Endpoint& remote,
                         const PathPin& pin) const {
  return mobility::carries(judge_.current(), path, reach(path, remote, pin).address, narrowed(pin));
}

bool Core::Impl::carries_media(const Call& call, const MediaPath& path,
                               const Endpoint& remote) const {
  return carries(path.path, remote, accounts_.at(call.account)->config.media_pin);
}

std::optional<mobility::Path> Core::Impl::path_to(const IpAddress& remote,
                                                  const mobility::PathPolicy& policy) const {
  return mobility::choose_path(judge_.current(), reach(remote, policy), policy);
}

Endpoint Core::Impl::as_sent_from(const IpAddress& local, const Endpoint& remote) const {
  return local.is_v6() ? nat64_.through(remote) : remote;
}

bool Core::Impl::can_send(const IpAddress& local, const Endpoint& remote) const {
  return as_sent_from(local, remote).address.family() == local.family();
}

void Core::Impl::look_for_nat64(bool anew, TimePoint now) {
  if (!config_.nat64) return;
  const auto leads = [&](const IpAddress& remote) {
    return mobility::choose_path(judge_.current(), remote, path_policy()).has_value();
  };
  const bool v4 = leads(mobility::somewhere(Family::V4));
  if (v4 || !leads(mobility::somewhere(Family::V6))) {
    // What goes through the NAT64 may stay there; and with no network at all for a moment, the
    // prefix may still be right.
    const bool there =
        nat64_way_ && mobility::carries(judge_.current(), *nat64_way_,
                                        mobility::somewhere(Family::V6), path_policy());
    if (v4 && !there) nat64_.forget();
    if (std::exchange(v6_only_, false)) judge_again(now);
    return;
  }
  const bool begins = !std::exchange(v6_only_, true);
  if (begins && !anew) {
    // What the old network's DNS servers say of the new one is worth nothing.
    nat64_.forget();
    locator_.renew(now);
  }
  if (const auto announced = announced_nat64()) {
    const auto before = nat64_.prefix();
    nat64_.take(*announced);
    on_nat64_known(before, now);
    return;
  }
  if (begins || anew) nat64_.look_up();
}

std::optional<Nat64Prefix> Core::Impl::announced_nat64() const {
  const auto way =
      mobility::choose_path(judge_.current(), mobility::somewhere(Family::V6), path_policy());
  const NetworkInterface* interface =
      way ? judge_.current().find_interface(way->interface_index) : nullptr;
  if (interface == nullptr || !interface->nat64_prefix) return std::nullopt;
  return Nat64Prefix::announced(*interface->nat64_prefix);
}

void Core::Impl::judge_again(TimePoint now) {
  // The network is the same, but remotes have other addresses in it than when it was judged.
  NetworkSnapshot same = judge_.current();
  judge_.on_snapshot(std::move(same), collect_uses(), now);
}

void Core::Impl::on_nat64_known(const std::optional<Nat64Prefix>& before, TimePoint now) {
  if (!nat64_.prefix()) {
    log_.info("ua", "this network has IPv6 only, and no NAT64 that the DNS knows of");
    if (nat64_.unanswered()) retry_later(now);
    end_unbridged_calls(now);
    return;
  }
  nat64_way_ =
      mobility::choose_path(judge_.current(), mobility::somewhere(Family::V6), path_policy());
  if (nat64_.prefix() == before) return;
  log_.info("ua", "IPv4 is reached through the NAT64 " + nat64_.prefix()->address().to_string() +
                      "/" + std::to_string(nat64_.prefix()->length()));
  remotes_changed_ = true;
  watched_.clear();  // They are looked up by other addresses now.
  for (const auto& [id, call] : calls_) {
    MediaPath* path = call->aimed_from ? find_media_path(*call, *call->aimed_from) : nullptr;
    if (path == nullptr || !path->path.local.is_v6() || !call->agreed ||
        !call->agreed->remote_rtp.address.is_v4()) {
      continue;
    }
    aim_media(*call, *path, std::nullopt);  // By the prefix of this network.
    ask_mapping(*call, *path);              // What such a peer can send to.
  }
  judge_again(now);
  for (const auto& [id, account] : accounts_) touch(id);
  for (const auto& [id, call] : calls_) touch(id);
}

Output Core::Impl::translated(Output output) {
  if (!nat64_.prefix()) return output;
  if (auto* datagram = std::get_if<SendDatagram>(&output)) {
    const Listener* listener = listeners_.find(datagram->listener);
    if (listener != nullptr && listener->path.local.is_v6()) {
      datagram->remote = nat64_.send_through(datagram->remote);
    }
  } else if (auto* open = std::get_if<OpenStream>(&output)) {
    open->remote = as_sent_from(open->local, open->remote);
  } else if (auto* watch = std::get_if<WatchRemotes>(&output)) {
    const mobility::PathPolicy policy = path_policy();
    for (IpAddress& remote : watch->remotes) remote = reach(remote, policy);
  }
  return output;
}

}  // namespace godwit::ua
