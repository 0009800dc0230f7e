// SPDX-License-Identifier: Apache-2.0
#include "ua/account.hpp"

#include <algorithm>

#include "sip/session_timer.hpp"
#include "ua/header_rules.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::ua {
namespace {

constexpr std::chrono::seconds kMinExpires{10};
constexpr std::chrono::seconds kMaxExpires{86'400};
constexpr std::size_t kMaxCredentials = 16;
constexpr std::size_t kMaxFurtherProxies = 3;
constexpr std::size_t kMaxText = 256;  // Longer names help nobody and fill every message.

bool is_printable(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return text.size() <= kMaxText;
}

sip::Outbound outbound_of(OutboundMode mode) {
  switch (mode) {
    case OutboundMode::Off: return sip::Outbound::Off;
    case OutboundMode::Auto: return sip::Outbound::Ask;
    case OutboundMode::Required: return sip::Outbound::Require;
  }
  return sip::Outbound::Off;
}

sip::DigestAlgorithm algorithm_of(DigestHash hash) {
  switch (hash) {
    case DigestHash::Md5: return sip::DigestAlgorithm::Md5;
    case DigestHash::Sha256: return sip::DigestAlgorithm::Sha256;
    case DigestHash::Sha512_256: return sip::DigestAlgorithm::Sha512_256;
  }
  return sip::DigestAlgorithm::Md5;
}

/// The error names the realm, never what is secret.
Result<std::vector<sip::DigestCredentials>> digest_credentials(const AccountConfig& config,
                                                               const std::string& user) {
  if (config.credentials.size() > kMaxCredentials) {
    return fail(ErrorCode::InvalidArgument, "account " + config.aor + " has more than " +
                                                std::to_string(kMaxCredentials) + " credentials");
  }
  std::vector<sip::DigestCredentials> all;
  for (const AccountCredentials& given : config.credentials) {
    const auto wrong = [&](const std::string& what) {
      return fail(ErrorCode::InvalidArgument,
                  "account " + config.aor + ", credentials for realm \"" +
                      (is_printable(given.realm) ? given.realm : "?") + "\": " + what);
    };
    for (const std::string* text : {&given.realm, &given.username, &given.password}) {
      if (!is_printable(*text)) return wrong("control characters, or longer than 256 bytes");
    }
    if (given.password.empty() == given.ha1.empty()) {
      return wrong("either a password or its hash is needed, not both");
    }
    if (!given.ha1.empty()) {
      if (given.realm.empty()) return wrong("a hash is for one realm, which must be named");
      const std::size_t length = given.ha1_hash == DigestHash::Md5 ? 32 : 64;
      if (given.ha1.size() != length ||
          given.ha1.find_first_not_of("0123456789abcdef") != std::string::npos) {
        return wrong("the hash must be " + std::to_string(length) + " hex digits in lower case");
      }
    }
    sip::DigestCredentials one;
    one.realm = given.realm;
    one.username = given.username.empty() ? user : given.username;
    one.password = given.password;
    one.ha1 = given.ha1;
    one.ha1_algorithm = algorithm_of(given.ha1_hash);
    all.push_back(std::move(one));
  }
  if (!config.password.empty()) {
    sip::DigestCredentials own;
    own.username = config.username.empty() ? user : config.username;
    own.password = config.password;
    all.push_back(std::move(own));
  }
  return all;
}

Result<void> check_ip_change(const AccountConfig& config) {
  constexpr std::uint32_t kMaxAttempts = 20;
  constexpr Duration kShortest = std::chrono::milliseconds(100);
  constexpr Duration kLongest = std::chrono::hours(1);
  const RegisterRetry& retry = config.ip_change.register_retry;
  const auto wrong = [&](const std::string& what) {
    return fail(ErrorCode::InvalidArgument, "account " + config.aor + ", register_retry: " + what);
  };
  if (retry.attempts > kMaxAttempts) return wrong("at most 20 attempts");
  if (retry.first < kShortest || retry.first > kLongest) return wrong("first: 100 ms to an hour");
  if (retry.max < retry.first || retry.max > kLongest) return wrong("max: first to an hour");
  return {};
}

Result<void> check_further_proxies(const AccountConfig& config) {
  const auto wrong = [&](const std::string& what) {
    return fail(ErrorCode::InvalidArgument, "account " + config.aor + ": " + what);
  };
  const std::vector<std::string>& further = config.further_outbound_proxies;
  if (further.empty()) return {};
  if (further.size() > kMaxFurtherProxies) {
    return wrong("more than " + std::to_string(kMaxFurtherProxies) + " further outbound proxies");
  }
  if (config.outbound_proxy.empty()) return wrong("a further outbound proxy, but no first one");
  if (config.outbound == OutboundMode::Off) {
    return wrong("several outbound proxies need SIP Outbound (RFC 5626), which is off");
  }
  std::vector<std::string> seen{config.outbound_proxy};
  for (const std::string& proxy : further) {
    if (const auto parsed = parse_sip_address(proxy, "outbound proxy"); !parsed) {
      return tl::unexpected<Error>(parsed.error());
    }
    if (std::find(seen.begin(), seen.end(), proxy) != seen.end()) {
      return wrong("the outbound proxy " + proxy + " is given twice");
    }
    seen.push_back(proxy);
  }
  return {};
}

}  // namespace

const sip::Target* target_at(const std::vector<sip::Target>& targets, const Endpoint& place,
                             sip::Transport liked) {
  const sip::Target* chosen = nullptr;
  for (const sip::Target& target : targets) {
    if (target.endpoint != place) continue;
    if (chosen == nullptr || target.transport == liked) chosen = &target;
  }
  return chosen;
}

bool is_private(const IpAddress& address) {
  return address.is_private_v4() || address.is_unique_local() || address.is_link_local();
}

AccountConfig Account::further_flow(const std::string& proxy) const {
  AccountConfig same = config;
  same.outbound_proxy = proxy;
  same.further_outbound_proxies.clear();
  return same;
}

Result<std::unique_ptr<Account>> Account::make(AccountId id, AccountConfig config,
                                               const std::string& user_agent,
                                               const std::string& instance_id,
                                               sip::UsageContext context, sip::Owner owner,
                                               std::uint32_t reg_id) {
  auto account = std::make_unique<Account>();
  account->id = account->main = id;
  account->reg_id = reg_id;
  const auto aor = parse_sip_address(config.aor, "account address");
  if (!aor) return tl::unexpected<Error>(aor.error());
  account->aor = *aor;
  if (aor->user.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "account address \"" + config.aor + "\" has no user part before '@'");
  }
  const CallPolicy& calls = config.calls;
  if (calls.min_session_expires < sip::kMinSessionInterval ||
      calls.session_expires < calls.min_session_expires ||
      calls.session_expires > sip::kMaxSessionInterval) {
    return fail(ErrorCode::InvalidArgument,
                "session_expires must be 90 to 86400 s, and no less than min_session_expires");
  }
  if (config.expires < kMinExpires || config.expires > kMaxExpires) {
    return fail(ErrorCode::InvalidArgument, "registration time must be 10 to 86400 seconds, not " +
                                                std::to_string(config.expires.count()));
  }
  for (const std::string* text : {&config.display_name, &config.username, &config.password,
                                  &config.push.provider, &config.push.prid, &config.push.param}) {
    if (!is_printable(*text)) {
      return fail(ErrorCode::InvalidArgument,
                  "account " + config.aor +
                      ": a name, password or push parameter has control characters or is " +
                      "longer than 256 bytes");
    }
  }

  if (const auto ok = check_headers(config.extra_headers); !ok) {
    return fail(ok.error().code, "account " + config.aor + ": " + ok.error().detail);
  }

  if (const auto ok = check_further_proxies(config); !ok) return tl::unexpected<Error>(ok.error());
  if (const auto ok = check_ip_change(config); !ok) return tl::unexpected<Error>(ok.error());

  SipAddress registrar = *aor;
  registrar.user.clear();
  if (!config.registrar.empty()) {
    const auto parsed = parse_sip_address(config.registrar, "registrar");
    if (!parsed) return tl::unexpected<Error>(parsed.error());
    registrar = *parsed;
    registrar.user.clear();
  }
  // RFC 5630 §5.1.1.1: who is reached by sips registers by sips, on every hop.
  registrar.sips = registrar.sips || aor->sips;
  account->first_hop = registrar;
  if (!config.outbound_proxy.empty()) {
    const auto proxy = parse_sip_address(config.outbound_proxy, "outbound proxy");
    if (!proxy) return tl::unexpected<Error>(proxy.error());
    account->first_hop = *proxy;
    account->first_hop.sips = proxy->sips || registrar.sips;
    account->route_set.push_back("<" + account->first_hop.domain_uri() +
                                 account->first_hop.transport_param() + ";lr>");
  }
  SipAddress& hop = account->first_hop;
  // RFC 3261 §26.2.2: what is sips is reached over TLS.
  const bool secure = hop.sips || aor->sips;
  switch (config.transport) {
    case TransportChoice::Auto:
      account->transport =
          hop.transport.value_or(secure ? sip::Transport::Tls : sip::Transport::Udp);
      break;
    case TransportChoice::Udp: account->transport = sip::Transport::Udp; break;
    case TransportChoice::Tcp: account->transport = sip::Transport::Tcp; break;
    case TransportChoice::Tls: account->transport = sip::Transport::Tls; break;
  }
  if (secure && account->transport != sip::Transport::Tls) {
    return fail(ErrorCode::InvalidArgument,
                "account " + config.aor + ": sips: needs TLS to the first hop");
  }
  if (!hop.has_port) hop.port = default_port(account->transport);
  account->server = account->first_hop.endpoint();
  if (account->server && !allows(config.sip_family, account->server->address.family())) {
    return fail(ErrorCode::InvalidArgument, "account " + config.aor + ": the server " + hop.host +
                                                " is given by an address " + "that sip_family \"" +
                                                to_string(config.sip_family) + "\" rules out");
  }
  account->wants_registration = config.register_on_add;
  if (account->server && !config.outbound_proxy.empty() && !registrar.endpoint() && reg_id == 1 &&
      config.further_outbound_proxies.empty()) {
    Way& way = account->spare.emplace(Way{registrar, account->transport, {}});
    if (!way.first_hop.has_port) way.first_hop.port = default_port(way.transport);
  }

  auto credentials = digest_credentials(config, aor->user);
  if (!credentials) return tl::unexpected<Error>(credentials.error());
  account->digest =
      std::make_unique<sip::DigestClient>(context.random, context.log, std::move(*credentials));

  sip::RegistrationConfig registration;
  registration.aor = aor->uri();
  registration.display_name = config.display_name;
  registration.registrar = registrar.domain_uri();
  registration.route_set = account->route_set;
  registration.expires = config.expires;
  registration.user_agent = user_agent;
  registration.instance_id = instance_id;
  registration.outbound = outbound_of(config.outbound);
  registration.reg_id = reg_id;
  registration.ask_keep = true;
  registration.ask_gruu = config.gruu != GruuMode::Off;
  registration.push = {config.push.provider, config.push.prid, config.push.param};
  account->registration = std::make_unique<sip::Registration>(
      context, owner, std::move(registration), *account->digest);
  account->config = std::move(config);
  return account;
}

void Account::take_spare() {
  std::swap(first_hop, spare->first_hop);
  std::swap(transport, spare->transport);
  std::swap(route_set, spare->route_set);
  on_spare = !on_spare;
  registration->set_route_set(route_set);
  server = first_hop.endpoint();
  targets.clear();
  resolve_again_at.reset();
  fresh_until.reset();
  round_trip.reset();
}

const sip::Target* Account::current_target() const {
  const auto found = std::find_if(targets.begin(), targets.end(), [&](const sip::Target& target) {
    return server && target.endpoint == *server && target.transport == transport;
  });
  return found == targets.end() ? nullptr : &*found;
}

bool Account::trusts(const IpAddress& address) const {
  return (server && server->address == address) ||
         std::any_of(targets.begin(), targets.end(),
                     [&](const sip::Target& target) { return target.endpoint.address == address; });
}

void Account::note_round_trip(Duration sample) {
  round_trip = round_trip ? (*round_trip * 7 + sample) / 8 : sample;
}

sip::TransactionTimers Account::recovery_timers() const {
  const sip::TransactionTimers usual;
  if (!round_trip) return usual;
  // Twice the round trip: what was measured on the old network is only a hint about the new one.
  sip::TransactionTimers timers = sip::TransactionTimers::from_rtt(*round_trip * 2);
  timers.timeout = 64 * usual.t1;
  return timers;
}

sip::RegistrationMove Account::move_to(const sip::Flow& flow, std::string contact,
                                       bool of_change) const {
  sip::RegistrationMove move;
  move.flow = flow;
  move.contact = std::move(contact);
  move.generation = generation;
  move.unregister_first = config.ip_change.contact_method == ContactMethod::UnregisterFirst;
  if (of_change) {
    const RegisterRetry& retry = config.ip_change.register_retry;
    move.retry = {retry.attempts, retry.first, retry.max};
  }
  return move;
}

void Account::take_server(const sip::Target& target) {
  server = target.endpoint;
  transport = target.transport;
  race.reset();
  round_trip.reset();
}

Hop Account::hop() const {
  Hop hop{transport, server.value_or(Endpoint{}), {}};
  // RFC 5922 §4: the certificate must be for the domain that we were told, not for what the name
  // service made of it.
  if (transport == sip::Transport::Tls) hop.tls_name = first_hop.host;
  return hop;
}

std::optional<Hop> Account::hop_at(const Endpoint& to) const {
  const sip::Target* chosen = target_at(targets, to, transport);
  if (chosen == nullptr) return std::nullopt;
  Hop hop{chosen->transport, to, {}};
  if (hop.transport == sip::Transport::Tls) hop.tls_name = first_hop.host;
  return hop;
}

std::string Account::contact_at(const Endpoint& place, sip::Transport on) const {
  // RFC 3261 §8.1.1.8: with a sips AOR the Contact is sips too, which says TLS by itself.
  std::string uri =
      (aor.sips ? "sips:" : "sip:") + wire::percent_encode_user(aor.user) + "@" + place.to_string();
  if (on == sip::Transport::Tcp) uri += ";transport=tcp";
  if (on == sip::Transport::Tls && !aor.sips) uri += ";transport=tls";
  return uri;
}

std::string Account::contact(const Endpoint& local, sip::Transport on) const {
  const bool mapped = mapping_ && mapping_->local == local;
  return contact_at(mapped ? mapping_->seen : local, on);
}

std::string Account::dialog_contact(const Endpoint& local, const IpAddress& remote,
                                    sip::Transport on) const {
  // Beyond a NAT a stranger needs the address that the world sees, within it our own.
  if (!trusts(remote)) return is_private(remote) ? contact_at(local, on) : contact(local, on);
  const sip::RegistrationGrant& grant = registration->grant();
  const bool wanted =
      config.gruu == GruuMode::Always || (config.gruu == GruuMode::Auto && grant.outbound);
  // RFC 5627 §3.1: a GRUU is valid as long as its contact is registered.
  if (wanted && !grant.pub_gruu.empty() && registration->state() != RegistrationState::Failed) {
    return grant.pub_gruu;
  }
  return contact(local, on);
}

std::vector<std::string> Account::routes() const {
  std::vector<std::string> all = route_set;
  for (const std::string& route : registration->grant().service_route) {
    // The proxy may name itself first, so that it is on the way of those who have none configured.
    if (std::find(all.begin(), all.end(), route) == all.end()) all.push_back(route);
  }
  return all;
}

Account::Mapping Account::learn_mapping(const Endpoint& local, const Endpoint& seen,
                                        TimePoint now) {
  // RFC 3581 §4: `received` and `rport` tell where the request came from.
  // Through a NAT64 an IPv4 registrar sees an IPv4 address, and can use no other.
  const bool through_nat64 = local.address.is_v6() && seen.address.is_v4();
  const bool usable = (seen.address.family() == local.address.family() || through_nat64) &&
                      seen.port != 0 && !seen.address.is_unspecified() &&
                      !seen.address.is_multicast() && !seen.address.is_loopback();
  const bool wanted = config.contact_rewrite == ContactRewrite::Always ||
                      (config.contact_rewrite == ContactRewrite::Auto &&
                       (through_nat64 || is_private(local.address) || !is_private(seen.address)));
  if (!usable || !wanted) return Mapping::Known;
  const Endpoint shown = mapping_ && mapping_->local == local ? mapping_->seen : local;
  if (shown == seen) return Mapping::Known;
  if (rewrites_.size() == kMaxRewrites) {
    if (now < rewrite_again_at()) return Mapping::TooSoon;
    rewrites_.pop_front();
  }
  rewrites_.push_back(now);
  mapping_ = Place{local, seen};
  return Mapping::Changed;
}

void Account::forget_mapping() {
  mapping_.reset();
  rewrites_.clear();
}

}  // namespace godwit::ua
