// SPDX-License-Identifier: Apache-2.0
//
// From one address family to the other. The plan says that a use's next hop is out of reach and
// which other place does its work; here these places are collected, and registrations, calls and
// their media take them. What is left when there is none: a new dialog over the account's server,
// or an end that says why.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::ua {
namespace {

Family other_family(Family family) { return family == Family::V4 ? Family::V6 : Family::V4; }

/// "IPv6, which the account's sip_family (only IPv6) asks for".
std::string allowed_family(const char* setting, FamilyPolicy policy) {
  return std::string(to_string(preferred(policy))) + ", and " + setting + " is \"" +
         to_string(policy) + "\"";
}

std::string gap_reason(const IpAddress& remote, const char* what) {
  const Family theirs = remote.family();
  return std::string("the peer ") + what + " only " + to_string(theirs) +
         ", there is no way from here to " + remote.to_string() + ", and no relay bridges to " +
         to_string(other_family(theirs));
}

}  // namespace

// --- where else the next hop's work is done ---

std::vector<Endpoint> Core::Impl::other_places(const std::vector<sip::Target>& targets,
                                               const Endpoint& now_at) const {
  const auto current = std::find_if(targets.begin(), targets.end(),
                                    [&](const auto& target) { return target.endpoint == now_at; });
  std::vector<const sip::Target*> order;
  for (const sip::Target& target : targets) {
    if (target.endpoint != now_at) order.push_back(&target);
  }
  if (current != targets.end()) {
    // Of one group is most likely the same machine.
    std::stable_partition(order.begin(), order.end(), [&](const sip::Target* target) {
      return target->group == current->group && target->transport == current->transport;
    });
  }
  std::vector<Endpoint> places;
  places.reserve(order.size());
  for (const sip::Target* target : order) places.push_back(target->endpoint);
  return places;
}

std::vector<Endpoint> Core::Impl::other_ways(const Account& account) const {
  return account.server ? other_places(account.targets, *account.server) : std::vector<Endpoint>();
}

std::vector<Endpoint> Core::Impl::other_ways(const Call& call) const {
  const Endpoint at = (call.started ? *call.session : *call.former).flow().remote;
  const Account& account = way_of(call);
  std::vector<Endpoint> ways;
  const auto add_all = [&](const std::vector<Endpoint>& more) {
    ways.insert(ways.end(), more.begin(), more.end());
  };
  if (account.trusts(at.address)) {
    // Our own first hop: whatever literal stands in the route, it knows itself by it.
    if (account.server && *account.server != at) ways.push_back(*account.server);
    add_all(other_places(account.targets, at));
    return ways;
  }
  add_all(other_places(call.targets, at));
  add_all(other_places(call.hop_targets, at));
  if (call.state != CallState::Confirmed || call.first_hop) return ways;
  for (const auto& [id, flow] : accounts_) {
    if (flow->main != call.account || !flow->server) continue;
    ways.push_back(*flow->server);
    add_all(other_places(flow->targets, *flow->server));
  }
  return ways;
}

void Core::Impl::take_way(Account& account, const Endpoint& reached) {
  const sip::Target* chosen = target_at(account.targets, reached, account.transport);
  if (chosen == nullptr) {
    chosen = target_at(account.targets, nat64_.behind(reached), account.transport);
  }
  if (chosen == nullptr) return;
  log_.info("ua", "account " + account.config.aor + " goes on over " +
                      chosen->endpoint.to_string() + " of " + account.first_hop.host);
  account.take_server(*chosen);
  remotes_changed_ = true;
}

void Core::Impl::take_way(Call& call, const Endpoint& reached) {
  const std::vector<Endpoint> ways = other_ways(call);
  const bool native = std::find(ways.begin(), ways.end(), reached) != ways.end();
  const Endpoint to = native ? reached : nat64_.behind(reached);
  const sip::Flow& flow = (call.started ? *call.session : *call.former).flow();
  const auto find = [&](const std::vector<sip::Target>& targets) -> std::optional<Hop> {
    const sip::Target* chosen = target_at(targets, to, flow.transport);
    if (chosen == nullptr) return std::nullopt;
    Hop hop{chosen->transport, to, {}};
    if (hop.transport == sip::Transport::Tls) hop.tls_name = chosen->server_name;
    return hop;
  };
  call.detour = false;
  const auto hop_of_account = [&](const Account& account) -> std::optional<Hop> {
    return account.server == to ? account.hop() : account.hop_at(to);
  };
  if (way_of(call).trusts(flow.remote.address)) {
    call.moved_hop = hop_of_account(way_of(call));
    return;
  }
  if (call.moved_hop = find(call.targets); call.moved_hop) {
    if (call.first_hop) {
      call.first_hop = to;
      call.transport = call.moved_hop->transport;
    }
    return;
  }
  if (call.moved_hop = find(call.hop_targets); call.moved_hop) return;
  for (const auto& [id, account] : accounts_) {
    if (account->main != call.account) continue;
    if (call.moved_hop = hop_of_account(*account); !call.moved_hop) continue;
    call.way = id;
    call.detour = true;
    return;
  }
}

Hop Core::Impl::former_hop(const Call& call) const {
  return call.moved_hop ? *call.moved_hop : hop_of(call.former->flow());
}

void Core::Impl::try_spare(Account& account, TimePoint now) {
  if (!account.spare || !account.wants_registration || !account.server || account.spare_tried)
    return;
  const auto reachable = [&](const Endpoint& to) {
    return path_to(account, to.address).has_value();
  };
  if (reachable(*account.server) || !mobility::is_online(judge_.current())) return;
  // Back to the literal only if it is there.
  const auto literal = account.spare->first_hop.endpoint();
  if (literal && !reachable(*literal)) return;
  account.spare_tried = true;
  forget_location(account.location);
  account.take_spare();
  log_.info("ua", "account " + account.config.aor + " goes around its first hop, to " +
                      account.first_hop.host);
  if (account.server) {
    remotes_changed_ = true;
    uses_changed_ = true;
  } else {
    locate_server(account, now);
  }
}

bool Core::Impl::leave_spare(Account& account) {
  if (!account.on_spare || !account.spare || !judge_.has_snapshot()) return false;
  const auto literal = account.spare->first_hop.endpoint();
  if (!literal || !path_to(account, literal->address)) return false;
  forget_location(account.location);
  account.take_spare();
  remotes_changed_ = true;
  uses_changed_ = true;
  return true;
}

void Core::Impl::seek_ways(TimePoint now) {
  for (const auto& [id, account] : accounts_) account->spare_tried = false;
  for (const auto& [id, call] : calls_) {
    if (call->state != CallState::Confirmed || call->ending || call->location || call->moved_hop) {
      continue;
    }
    const sip::Flow& flow = call->session->flow();
    const Account& way = way_of(*call);
    if (path_to(way, flow.remote.address) || way.trusts(flow.remote.address)) continue;
    const std::string hop = call->session->next_hop();
    const auto uri = wire::Uri::parse(hop);
    if (!uri || !uri->is_sip() || uri->host.empty() || uri->address()) continue;
    const sip::ServerName name{std::string(uri->host), uri->port, flow.transport, false};
    const auto policy = location_policy(flow.transport, way.config.sip_family);
    if (const auto location = locator_.locate(name, policy, now)) {
      call->location = *location;
      locations_[*location] = id;
    }
  }
}

void Core::Impl::on_way_found(Call& call, const Located& located) {
  if (located.targets.empty() || call.state == CallState::Ended) return;
  if (call.state != CallState::Confirmed) {
    call.targets = located.targets;  // The rest of an answer that came in two parts.
    return;
  }
  call.hop_targets = located.targets;
  uses_changed_ = true;
}

// --- policies ---

void Core::Impl::apply_policy(const Account& account, Located& located) {
  const FamilyPolicy policy = account.config.sip_family;
  const auto removed = std::erase_if(located.targets, [&](const sip::Target& target) {
    return !allows(policy, target.endpoint.address.family());
  });
  if (removed > 0 && located.targets.empty()) {
    located.failure = "it has no address of " + allowed_family("sip_family", policy);
  }
}

const sip::Target* Core::Impl::preferred_target(const Account& account, TimePoint now) const {
  const Family wanted = preferred(account.config.sip_family);
  const sip::Target* best = best_target(account.targets, path_policy(account), now);
  if (best == nullptr || wanted == Family::None || best->endpoint.address.family() == wanted) {
    return best;
  }
  for (const sip::Target& target : account.targets) {
    if (target.group > best->group || target.endpoint.address.family() != wanted) continue;
    if (locator_.is_down(target, now)) continue;
    if (path_to(account, target.endpoint.address)) return &target;
  }
  return best;
}

void Core::Impl::touch_preferring_accounts() {
  for (const auto& [id, account] : accounts_) {
    if (preferred(account->config.sip_family) != Family::None) touch(id);
  }
}

std::string Core::Impl::no_path_to(const Account& account) const {
  std::string why = "no network path to " + account.server->to_string();
  const std::string pinned =
      pin_trouble("signalling", account.config.signalling_pin, account.server->address);
  if (!pinned.empty()) return why + ": " + pinned;
  const FamilyPolicy policy = account.config.sip_family;
  if (!allows(policy, Family::V4) || !allows(policy, Family::V6)) {
    why += ": the network has no " + allowed_family("sip_family", policy);
  }
  return why;
}

std::string Core::Impl::no_media_path_to(const Account& account, const IpAddress& towards) const {
  const std::string pinned = pin_trouble("media", account.config.media_pin, towards);
  if (!pinned.empty()) return "its " + pinned;
  const FamilyPolicy policy = account.config.media_family;
  return std::string("there is no ") + to_string(preferred(policy)) +
         " path for audio, and media_family is \"" + to_string(policy) + "\"";
}

std::optional<mobility::Path> Core::Impl::media_way_out(const Account& account,
                                                        Family family) const {
  return media_path_to(account, mobility::somewhere(family));
}

std::optional<mobility::Path> Core::Impl::media_way(const Account& account,
                                                    const IpAddress& towards) const {
  const FamilyPolicy policy = account.config.media_family;
  const Family wanted = preferred(policy);
  if (wanted != Family::None && wanted != towards.family()) {
    if (auto way = media_way_out(account, wanted)) return way;
    if (!allows(policy, towards.family())) return std::nullopt;
  }
  return media_path_to(account, towards);
}

// --- media of the other family ---

bool Core::Impl::is_gap(const AgreedAudio& agreed, const IpAddress& local) const {
  const IpAddress& remote = agreed.remote_rtp.address;
  return remote.family() != Family::None && !remote.is_unspecified() &&
         agreed.direction != MediaDirection::Inactive && !can_send(local, agreed.remote_rtp);
}

void Core::Impl::end_for_gap(Call& call, const std::string& why, TimePoint now) {
  if (recovery_ && recovery_->takes_part(call.id)) {
    lose_on_network_change(call, why, now);
  } else {
    end_call(call, why, now);
  }
}

void Core::Impl::end_unbridged_calls(TimePoint now) {
  for (const auto& [id, call] : calls_) {
    const MediaPath* path = call->aimed_from ? find_media_path(*call, *call->aimed_from) : nullptr;
    if (path == nullptr || call->state != CallState::Confirmed || call->ending || !call->agreed ||
        call->move_pending || call->next_media || !is_gap(*call->agreed, path->path.local)) {
      continue;
    }
    end_for_gap(*call, gap_reason(call->agreed->remote_rtp.address, "answers with"), now);
  }
}

bool Core::Impl::bridge_gap(Call& call, const AgreedAudio& agreed, TimePoint now) {
  const MediaPath* offered =
      call.offered_path ? find_media_path(call, *call.offered_path) : nullptr;
  if (offered == nullptr || !is_gap(agreed, offered->path.local)) return false;
  const IpAddress& remote = agreed.remote_rtp.address;
  const Account& account = *accounts_.at(call.account);
  const FamilyPolicy policy = account.config.media_family;
  const bool allowed = allows(policy, remote.family());
  const auto way = media_path_to(account, remote);
  // Whether a NAT64 leads there is being asked; it comes back to this call.
  if (allowed && !way && nat64_.is_asking()) return false;
  if (!allowed || !way || call.offered_differently) {
    std::string why = gap_reason(remote, "answers with");
    if (!allowed) {
      why = "the peer answers with " + remote.to_string() + ", but audio takes only " +
            allowed_family("media_family", policy);
    }
    end_for_gap(call, why, now);
    return true;
  }
  // RFC 3264 leaves the answerer's family to it, but a socket speaks only one: the next offer
  // brings one of the peer's.
  log_.info("ua", "call " + std::to_string(call.id.value()) + ": answered with " +
                      remote.to_string() + ", so the offer is made again from " + way->to_string());
  call.offered_differently = true;
  commit_offered_path(call);
  if (call.next_media) instruct(call, media::ClosePath{call.next_media->id, {}});
  call.next_media = open_media_path(call, *way);
  call.wish.family = true;
  touch(call.id);
  return false;
}

bool Core::Impl::offer_differently(Call& call) {
  if (std::exchange(call.offered_differently, true)) return false;
  const MediaPath* path = call.next_media ? &*call.next_media : call.media ? &*call.media : nullptr;
  if (path == nullptr) return false;
  const Family other = other_family(path->path.local.family());
  const Account& account = *accounts_.at(call.account);
  const auto way =
      allows(account.config.media_family, other) ? media_way_out(account, other) : std::nullopt;
  if (!way) {
    if (std::exchange(call.plain_offers, true)) return false;
    log_.info("ua", "call " + std::to_string(call.id.value()) +
                        ": the offer was refused, and is made again with less in it");
    return true;
  }
  log_.info("ua", "call " + std::to_string(call.id.value()) +
                      ": the offer was refused, and is made again from " + way->to_string());
  std::optional<MediaPath>& place =
      call.state == CallState::Confirmed ? call.next_media : call.media;
  if (place) instruct(call, media::ClosePath{place->id, {}});
  place = open_media_path(call, *way);
  return true;
}

bool Core::Impl::call_differently(Call& call, const sip::Ended& ended, TimePoint now) {
  // RFC 3261 §21.4.26 and §21.6.4: what was offered is not acceptable, the call might be.
  const bool refused =
      ended.by == sip::EndedBy::Peer && (ended.status == 488 || ended.status == 606);
  if (!refused || !call.outgoing || call.ending || call.state == CallState::Confirmed ||
      call.former || !offer_differently(call)) {
    return false;
  }
  replace_session(call, now);
  call.open_offer.reset();
  call.sent.reset();
  call.restart_at.reset();
  touch(call.id);
  return true;
}

std::optional<IpAddress> Core::Impl::offered_address(const std::string& sdp) {
  const auto offer = wire::parse_sdp(sdp);
  if (!offer || offer->media.empty()) return std::nullopt;
  const auto* connection = offer->connection_of(offer->media.front());
  const auto address = connection != nullptr ? connection->literal() : std::nullopt;
  if (!address || address->is_unspecified() || address->is_multicast()) return std::nullopt;
  return address;
}

bool Core::Impl::offers_lost_family(const Account& account, const sip::Flow& flow,
                                    const wire::Message& invite) const {
  const auto remote = offered_address(std::string(invite.body()));
  if (!remote || remote->is_loopback()) return false;
  if (!allows(account.config.media_family, remote->family())) return true;
  return remote->family() != flow.local.address.family() && !media_path_to(account, *remote);
}

bool Core::Impl::await_media_of(Call& call, const sip::OfferReceived& offer) {
  const auto remote = offered_address(offer.sdp);
  if (!remote || call.suspended) return false;
  const MediaPath& current = call.next_media ? *call.next_media : *call.media;
  if (current.path.local.family() == remote->family()) return false;
  const Account& account = *accounts_.at(call.account);
  if (!allows(account.config.media_family, remote->family())) return false;
  const auto way = media_path_to(account, *remote);
  if (!way || way->local.family() == current.path.local.family()) return false;
  if (call.next_media) instruct(call, media::ClosePath{call.next_media->id, {}});
  call.next_media = open_media_path(call, *way);
  call.waiting_offer = offer;
  return true;
}

// --- a new dialog around what is out of reach ---

void Core::Impl::advance_detour(Call& call, TimePoint now) {
  const Account& account = way_of(call);
  const MediaPath& media = call.next_media ? *call.next_media : *call.media;
  const auto flow = flow_to(*call.path, account.hop(), now);
  if (!flow && flow_failure(*call.path, account.hop())) retry_later(now);
  if (!flow || !media.rtp) return;
  call.move_pending = false;
  call.moving_since.reset();
  call.moved_hop.reset();
  call.wish.recovery = false;
  if (recovery_) recovery_->refresh_sent(call.id, now);
  const std::string why = "the call's route has no address that this network leads to";
  call.refresh_given_up = true;
  if (!begin_substitute(call, why, now)) lose_on_network_change(call, why, now);
}

}  // namespace godwit::ua
