// SPDX-License-Identifier: Apache-2.0
//
// What NATs make of our sockets, asked by STUN (RFC 8489) from these very sockets, and which
// address Contact and SDP tell (design §4, act, step 3). A mapping belongs to one socket and goes
// with its path. Without STUN servers none of this runs: the Contact follows what the registrar
// sees, SDP tells our own address.
//
// Limits: a NAT that gives each remote another mapping ("symmetric") cannot be told in SDP; it is
// reported where two servers see different ones, and such calls need a peer or relay that answers
// to where our audio comes from. A server that lies plausibly is believed until the call stays
// silent.
#include <algorithm>

#include "base/bytes.hpp"
#include "ua/core_impl.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::ua {
namespace {

/// An offer waits for a mapping no longer than this (design §4), …
constexpr Duration kMaxMappingWait = std::chrono::milliseconds(150);
/// … and no less, for the STUN server may be further away than the SIP server.
constexpr Duration kMinMappingWait = std::chrono::milliseconds(30);
/// Between two offers of one call that only tell another mapping: a NAT that maps anew each time
/// must not make us send re-INVITEs without end.
constexpr Duration kMappingRest = std::chrono::seconds(10);

/// Where our last description wants the audio.
std::optional<Endpoint> told_in(const wire::SessionDescription& description) {
  for (const wire::SdpMedia& media : description.media) {
    if (media.kind != wire::SdpMediaKind::Audio || media.port == 0) continue;
    const wire::SdpAddress* connection = description.connection_of(media);
    const auto address = connection != nullptr ? connection->literal() : std::nullopt;
    if (address) return Endpoint{*address, media.port};
  }
  return std::nullopt;
}

}  // namespace

Endpoint MediaPath::told_rtp() const {
  if (mapping.rtp && !mapping.disproved) return *mapping.rtp;
  return rtp.value_or(Endpoint{path.local, 0});
}

std::uint16_t MediaPath::told_rtcp_port() const {
  // Where only RTP's mapping is known, everyone guesses the next port.
  if (mapping.rtp && !mapping.disproved) return mapping.rtcp_port.value_or(0);
  return rtcp_port;
}

std::vector<Endpoint> Core::Impl::stun_servers_for(const Account& account, const IpAddress& local,
                                                   const IpAddress& towards) const {
  if (!stun_servers_.any() || !account.config.ip_change.use_stun) return {};
  // A server in our own network, or over a VPN, reaches us where we are; what the world sees is of
  // no use to it.
  if (is_private(towards) || towards.is_loopback() || local.is_loopback()) return {};
  // Through a NAT64 an IPv4 server tells what IPv4 peers see.
  // (A DNS64 makes such addresses of its name, too.)
  const bool v4_there = towards.is_v4() || nat64_.behind({towards, 0}).address.is_v4();
  const bool through_nat64 = local.is_v6() && v4_there && nat64_.prefix();
  return stun_servers_.of(through_nat64 ? Family::V4 : local.family());
}

Duration Core::Impl::stun_first_wait(const Account& account) const {
  const auto measured = stun_round_trip_ ? stun_round_trip_ : account.round_trip;
  return measured ? *measured * 2 : media::MappingQuery::kLongestWait;
}

void Core::Impl::on_stun_silent() {
  if (stun_silent_in_ == judge_.generation()) return;  // Once for each change of the network.
  stun_silent_in_ = judge_.generation();
  std::string names;
  for (const std::string& server : config_.stun_servers) {
    names += (names.empty() ? "" : ", ") + server;
  }
  warn("no STUN server has answered (" + names +
       "): servers and peers are told our own addresses, which may not be reachable");
}

// ---- RTP ----------------------------------------------------------------------------------------

void Core::Impl::ask_mapping(Call& call, MediaPath& path) {
  const Account& account = way_of(call);
  const std::optional<Endpoint> hop = call.first_hop ? call.first_hop : account.server;
  const bool has_flow = call.session && (call.started || !call.outgoing);
  if (!has_flow && !hop) return;
  IpAddress towards = has_flow ? call.session->flow().remote.address : hop->address;
  // A peer with IPv4 only may be behind a server with IPv6.
  if (call.agreed && call.agreed->remote_rtp.address.is_v4()) {
    towards = call.agreed->remote_rtp.address;
  }
  auto servers = stun_servers_for(account, path.path.local, towards);
  if (servers.empty()) return;
  const bool other_family = servers.front().address.family() != path.path.local.family();
  for (Endpoint& server : servers) server = as_sent_from(path.path.local, server);
  // A path that has been asked about before has something to tell meanwhile.
  path.mapping.waits =
      !std::exchange(path.mapping.asked, true) && (is_private(path.path.local) || other_family);
  media::LearnMapping question;
  question.path = path.id;
  question.servers = std::move(servers);
  question.first_wait = stun_first_wait(account);
  question.rtcp = !call.shares_rtcp_port();
  instruct(call, std::move(question));
}

void Core::Impl::begin_mapping_wait(Call& call, MediaPath& path, TimePoint now) {
  if (!path.mapping.waits || path.mapping.rtp) return;
  // One round trip, and half of one for what varies in it.
  const Account& account = way_of(call);
  const auto measured = std::max(stun_round_trip_, account.round_trip);
  const Duration wait =
      measured ? std::clamp(*measured * 3 / 2, kMinMappingWait, kMaxMappingWait) : kMaxMappingWait;
  path.mapping.wait_until = now + wait;
  schedule(call, CallTimer::Refresh, *path.mapping.wait_until);
}

bool Core::Impl::awaits_mapping(const Call& call, MediaPath& path, TimePoint now) {
  MediaPath::Mapping& mapping = path.mapping;
  if (!mapping.wait_until) return false;
  // Contact and SDP are told by one request, so that what STUN says of SIP is waited for as well.
  const auto sip = call.session && (call.started || !call.outgoing)
                       ? sip_mappings_.find(call.session->flow().listener)
                       : sip_mappings_.end();
  const bool sip_is_known =
      sip == sip_mappings_.end() || sip->second.mapped || !sip->second.query.next();
  const bool complete =
      sip_is_known && mapping.rtp && (mapping.rtcp_port || call.shares_rtcp_port());
  if (!complete && now < *mapping.wait_until) return true;
  mapping.wait_until.reset();
  return false;
}

void Core::Impl::on_mapping(Call& call, const media::MappingLearned& learned, TimePoint now) {
  MediaPath* path = find_media_path(call, learned.path);
  if (path == nullptr) {
    ++counters_.stale_inputs;
    return;
  }
  MediaPath::Mapping& mapping = path->mapping;
  if (learned.differs) {
    if (learned.channel == media::Channel::Rtp && !std::exchange(mapping.symmetric, true)) {
      warn("call " + std::to_string(call.id.value()) +
           ": the NAT shows every remote another address of ours (" + learned.mapped.to_string() +
           " to " + nat64_.original(learned.server).to_string() +
           "): a peer that sends where it is told cannot be heard");
    }
    return;
  }
  if (learned.round_trip) stun_round_trip_ = *learned.round_trip;
  const IpAddress& local = path->path.local;
  const bool usable =
      learned.mapped.address.family() == local.family() || (local.is_v6() && nat64_.prefix());
  if (!usable) return;
  if (learned.channel == media::Channel::Rtcp) {
    mapping.rtcp_port = learned.mapped.port;
    return;
  }
  const bool moved = mapping.rtp && *mapping.rtp != learned.mapped;
  if (mapping.rtp != learned.mapped) {
    log_.info("ua", "call " + std::to_string(call.id.value()) + ": the world sees " +
                        path->rtp.value_or(Endpoint{}).to_string() + " as " +
                        learned.mapped.to_string());
  }
  if (mapping.rtp != learned.mapped) mapping.learned_at = now;
  mapping.rtp = learned.mapped;
  if (!moved) return;
  mapping.disproved = false;
  // The NAT has forgotten more than this one: the registrar knows what it makes of SIP by now.
  Account& account = way_of(call);
  if (account.registration->state() == RegistrationState::Registered &&
      !account.registration->in_flight()) {
    (void)account.registration->refresh(now);
    touch(account.id);
  }
}

void Core::Impl::on_mapping_unknown(Call& call, const media::MappingUnknown& unknown) {
  MediaPath* path = find_media_path(call, unknown.path);
  if (path == nullptr || unknown.channel != media::Channel::Rtp) return;
  path->mapping.wait_until.reset();
  log_.info("ua", "call " + std::to_string(call.id.value()) +
                      ": no STUN server has said how the world sees " +
                      path->rtp.value_or(Endpoint{}).to_string());
  on_stun_silent();
  if (!stun_servers_.is_asking()) stun_servers_.look_up();
}

void Core::Impl::tell_mapping(Call& call, TimePoint now) {
  if (call.state != CallState::Confirmed || call.refresh_in_flight || call.wish.any() ||
      call.move_pending || call.next_media || !call.media || !call.sent ||
      !way_of(call).config.ip_change.refresh_calls) {
    return;
  }
  const auto told = told_in(*call.sent);
  const bool rtp_differs = call.media->mapping.rtp && told && *told != call.media->told_rtp();
  // RFC 3261 §12.2.1.2: the peer's requests go to the Contact that we gave last. After a move that
  // may be our own address, given before anybody has said how the world sees it. (A flow that is
  // lost is told to the peer when the server knows its successor.)
  const Account& account = way_of(call);
  const sip::Flow& flow = call.session->flow();
  const Endpoint own = reachable_at(flow);
  const sip::Dialog* dialog = call.session->dialog();
  const bool contact_differs =
      !call.flow_lost_at && dialog != nullptr && account.config.ip_change.refresh_contact &&
      account.has_mapping(own) &&
      dialog->local_contact.find("@" + own.to_string()) != std::string::npos &&
      dialog->local_contact != dialog_contact_for(call, flow);
  if (!rtp_differs && !contact_differs) return;
  if (call.mapping_told_at && now < *call.mapping_told_at + kMappingRest) {
    schedule(call, CallTimer::Refresh, *call.mapping_told_at + kMappingRest);
    return;
  }
  call.mapping_told_at = now;
  call.wish.mapping = true;
}

void Core::Impl::on_mapping_doubt_timer(Call& call, TimePoint now) {
  if (call.silent_since && *call.silent_since + kMappingDoubt <= now) doubt_mapping(call);
}

void Core::Impl::doubt_mapping(Call& call) {
  // Nobody is heard: the NAT may have forgotten us, or the server have been wrong.
  MediaPath* path = call.next_media ? &*call.next_media : call.media ? &*call.media : nullptr;
  if (path == nullptr || !path->mapping.asked) return;
  // Heard for a while after it was told: it was right, and the peer pauses.
  const TimePoint told =
      std::max(path->mapping.learned_at, call.mapping_told_at.value_or(path->mapping.learned_at));
  const bool proven = call.silent_since && *call.silent_since > told + kMappingDoubt;
  // Our own address is worth a try where somebody could send there.
  const IpAddress remote = call.agreed ? call.agreed->remote_rtp.address : IpAddress{};
  const bool local_may_do = !proven && remote.family() == path->path.local.family() &&
                            (!is_private(path->path.local) || is_private(remote));
  if (path->mapping.rtp && local_may_do && !std::exchange(path->mapping.disproved, true) &&
      !std::exchange(path->mapping.doubted, true)) {
    call.mapping_told_at.reset();  // Told at once.
  }
  ask_mapping(call, *path);
}

// ---- SIP ----------------------------------------------------------------------------------------

void Core::Impl::ask_sip_mapping(Account& account, TimePoint now) {
  if (!stun_servers_.any() || !account.path || !account.server || is_stream(account.transport)) {
    return;
  }
  const Listener* listener = listeners_.find(*account.path, sip::Transport::Udp);
  if (listener == nullptr || listener->dead) return;
  const auto known = sip_mappings_.find(listener->id);
  if (known != sip_mappings_.end() && known->second.generation == judge_.generation()) {
    if (known->second.mapped) learn_sip_mapping(account, *listener, *known->second.mapped, now);
    return;
  }
  const auto servers = stun_servers_for(account, listener->path.local, account.server->address);
  if (servers.empty()) return;
  // As many as there are listeners.
  std::erase_if(sip_mappings_,
                [&](const auto& entry) { return listeners_.find(entry.first) == nullptr; });
  SipMapping& mapping = sip_mappings_[listener->id];
  mapping.generation = judge_.generation();
  mapping.mapped.reset();
  mapping.query.start(servers, stun_first_wait(account), random_, now);
  on_sip_mapping_timeouts(now);
}

void Core::Impl::on_sip_mapping_timeouts(TimePoint now) {
  for (auto& [id, mapping] : sip_mappings_) {
    const Listener* listener = listeners_.find(id);
    for (media::MappingQuery::Request& request : mapping.query.on_timeout(now)) {
      if (listener == nullptr || listener->dead || !is_present(listener->path)) continue;
      outputs_.push_back(SendDatagram{id, request.server,
                                      std::string(request.bytes.begin(), request.bytes.end())});
    }
    if (mapping.query.take_failure()) on_stun_silent();
  }
}

std::optional<TimePoint> Core::Impl::next_sip_mapping_timeout() const {
  std::optional<TimePoint> earliest;
  for (const auto& [id, mapping] : sip_mappings_) {
    const auto next = mapping.query.next();
    if (next && (!earliest || *next < *earliest)) earliest = next;
  }
  return earliest;
}

bool Core::Impl::on_sip_mapping(ListenerId id, const Endpoint& remote, const std::string& bytes,
                                TimePoint now) {
  const auto found = sip_mappings_.find(id);
  const Listener* listener = listeners_.find(id);
  if (found == sip_mappings_.end() || listener == nullptr) return false;
  const auto answer = found->second.query.on_packet(remote, as_bytes(bytes), now);
  if (!answer) return false;
  if (!answer->first) return true;  // The registrar's own view corrects it anyway.
  if (answer->round_trip) stun_round_trip_ = *answer->round_trip;
  found->second.mapped = answer->mapped;
  for (const auto& [account_id, account] : accounts_) {
    if (account->path == listener->path) {
      learn_sip_mapping(*account, *listener, answer->mapped, now);
    }
  }
  settle(now);
  return true;
}

void Core::Impl::learn_sip_mapping(Account& account, const Listener& listener,
                                   const Endpoint& mapped, TimePoint now) {
  // What the registrar sees counts more: only that is what it will send to.
  if (is_stream(account.transport) || !account.server || !listener.bound ||
      account.has_mapping(*listener.bound) ||
      stun_servers_for(account, listener.path.local, account.server->address).empty()) {
    return;
  }
  if (account.learn_mapping(*listener.bound, mapped, now) != Account::Mapping::Changed) return;
  log_.info("ua", "the world sees " + listener.bound->to_string() + " as " + mapped.to_string());
  // The REGISTER that is under way told our own address; its answer brings us back to this.
  if (account.registration->state() == RegistrationState::Registered && !account.move_pending) {
    (void)rewrite_contact(account, std::nullopt, account.generation, now);
  }
  touch(account.id);
  touch_calls_of(account);
}

bool Core::Impl::registers_other_than_mapped(const Account& account) const {
  const auto& flow = account.registration->flow();
  return flow && account.has_mapping(reachable_at(*flow)) &&
         account.registration->contact() != contact_for(account, *flow);
}

void Core::Impl::on_stun_servers_known(TimePoint) {
  for (const auto& [id, account] : accounts_) touch(id);
  for (const auto& [id, call] : calls_) {
    for (std::optional<MediaPath>* path : {&call->media, &call->next_media}) {
      if (*path && !(*path)->mapping.asked && call->state != CallState::Ended) {
        ask_mapping(*call, **path);
        (*path)->mapping.waits = false;  // It is corrected when it is known.
      }
    }
  }
}

}  // namespace godwit::ua
