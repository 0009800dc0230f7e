// SPDX-License-Identifier: Apache-2.0
#include "godwit/godwit.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "capi/event_queue.hpp"
#include "godwit/user_agent.hpp"
#include "godwit/version.hpp"

struct godwit_agent {
  godwit::capi::EventQueue events;
  std::unique_ptr<godwit::UserAgent> agent;
};

namespace {

using namespace godwit;

std::string& last_error() {
  static thread_local std::string text;
  return text;
}

godwit_status refuse(godwit_status status, std::string why) {
  last_error() = std::move(why);
  return status;
}

godwit_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
    case ErrorCode::Malformed: return GODWIT_INVALID_ARGUMENT;
    case ErrorCode::NotFound: return GODWIT_NOT_FOUND;
    case ErrorCode::WrongState: return GODWIT_WRONG_STATE;
    case ErrorCode::Busy: return GODWIT_BUSY;
    case ErrorCode::Network: return GODWIT_NETWORK;
    case ErrorCode::Timeout: return GODWIT_TIMEOUT;
    case ErrorCode::TooLarge: return GODWIT_TOO_LARGE;
    case ErrorCode::Unsupported:
    case ErrorCode::Rejected:
    case ErrorCode::Io: return GODWIT_FAILED;
  }
  return GODWIT_FAILED;
}

template <typename T>
godwit_status status_of(const Result<T>& result) {
  return result ? GODWIT_OK : refuse(status_of(result.error().code), result.error().detail);
}

/// The number of what was made, for the caller.
template <typename Id>
godwit_status give(const Result<Id>& result, std::uint32_t* number) {
  if (result && number != nullptr) *number = result->value();
  return status_of(result);
}

std::string text(const char* given) { return given == nullptr ? std::string{} : given; }

/// What the caller's structure has, over our defaults: an older program's is shorter than ours.
template <typename T>
bool take(const T* given, T (*defaults)(), T* taken) {
  *taken = defaults();
  if (given == nullptr || given->size < sizeof given->size) return false;
  std::memcpy(taken, given, std::min(given->size, sizeof *taken));
  return true;
}

/// The functions of a UserAgent's member that returns nothing.
template <typename Member, typename... Arguments>
godwit_status run(godwit_agent* agent, Member member, Arguments&&... arguments) {
  if (agent == nullptr) return refuse(GODWIT_INVALID_ARGUMENT, "there is no agent");
  return status_of(std::invoke(member, *agent->agent, std::forward<Arguments>(arguments)...));
}

godwit_config default_config() {
  const UserAgentConfig ours;
  godwit_config config{};
  config.size = sizeof config;
  config.rtp_port_min = ours.media.rtp_port_min;
  config.rtp_port_max = ours.media.rtp_port_max;
  config.watch_network = ours.watch_network ? 1 : 0;
  config.nat64 = ours.nat64 ? 1 : 0;
  return config;
}

godwit_account default_account() {
  const AccountConfig ours;
  godwit_account account{};
  account.size = sizeof account;
  account.register_on_add = ours.register_on_add ? 1 : 0;
  account.expires_s = static_cast<std::uint32_t>(ours.expires.count());
  account.update_contact = ours.ip_change.update_contact ? 1 : 0;
  account.refresh_calls = ours.ip_change.refresh_calls ? 1 : 0;
  account.hang_up_calls = ours.ip_change.hang_up_calls ? 1 : 0;
  account.recovery_deadline_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(ours.ip_change.recovery_deadline)
          .count());
  account.use_stun = ours.ip_change.use_stun ? 1 : 0;
  account.leave_dead_paths = ours.ip_change.leave_dead_paths ? 1 : 0;
  account.prove_new_paths = ours.ip_change.prove_new_paths ? 1 : 0;
  return account;
}

std::optional<FamilyPolicy> family_of(godwit_family_policy given) {
  switch (given) {
    case GODWIT_FAMILY_ANY: return FamilyPolicy::NoPreference;
    case GODWIT_FAMILY_PREFER_4: return FamilyPolicy::Prefer4;
    case GODWIT_FAMILY_PREFER_6: return FamilyPolicy::Prefer6;
    case GODWIT_FAMILY_ONLY_4: return FamilyPolicy::Only4;
    case GODWIT_FAMILY_ONLY_6: return FamilyPolicy::Only6;
  }
  return std::nullopt;
}

/// The reason why it cannot be; empty: taken.
std::string take_servers(const godwit_config& given, UserAgentConfig& ours) {
  constexpr std::uint16_t kDnsPort = 53;
  constexpr std::size_t kMaxDnsServers = 16;
  if ((given.stun_servers == nullptr && given.stun_server_count != 0) ||
      (given.dns_servers == nullptr && given.dns_server_count != 0)) {
    return "a list of servers is missing that its count speaks of";
  }
  if (given.dns_server_count > kMaxDnsServers || given.stun_server_count > kMaxDnsServers) {
    return "more than 16 servers are too many";
  }
  for (std::size_t i = 0; i < given.stun_server_count; ++i) {
    ours.stun_servers.push_back(text(given.stun_servers[i]));
  }
  for (std::size_t i = 0; i < given.dns_server_count; ++i) {
    const std::string one = text(given.dns_servers[i]);
    const auto place = Endpoint::parse(one, kDnsPort);
    if (!place) return "'" + one + "' is no address of a DNS server";
    ours.dns_servers.push_back(*place);
  }
  return {};
}

godwit_network default_network() {
  godwit_network network{};
  network.size = sizeof network;
  return network;
}

std::optional<AddressPrefix> prefix_of(std::string_view given) {
  const std::size_t slash = given.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(given.substr(0, slash));
  const std::string_view digits = given.substr(slash + 1);
  AddressPrefix prefix;
  const auto [end, wrong] =
      std::from_chars(digits.data(), digits.data() + digits.size(), prefix.length);
  if (!address || wrong != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  prefix.address = *address;
  return prefix;
}

Result<NetworkInterface> interface_of(const godwit_interface& given) {
  NetworkInterface interface;
  interface.index = given.index;
  interface.name = text(given.name);
  interface.up = given.up != 0;
  interface.carrier = interface.up;
  interface.loopback = given.loopback != 0;
  interface.link_identity = text(given.link_identity);
  if (given.addresses == nullptr && given.address_count != 0) {
    return fail(ErrorCode::InvalidArgument, "interface " + interface.name + ": no addresses");
  }
  for (std::size_t i = 0; i < given.address_count; ++i) {
    const godwit_address& one = given.addresses[i];
    const auto parsed = IpAddress::parse(text(one.address));
    if (!parsed) {
      return fail(ErrorCode::InvalidArgument,
                  "interface " + interface.name + ": '" + text(one.address) + "' is no IP address");
    }
    InterfaceAddress address;
    address.address = *parsed;
    address.prefix_length = one.prefix_length;
    address.deprecated = one.deprecated != 0;
    address.temporary = one.temporary != 0;
    interface.addresses.push_back(address);
  }
  std::sort(interface.addresses.begin(), interface.addresses.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  return interface;
}

Result<NetworkSnapshot> snapshot_of(const godwit_network& given) {
  NetworkSnapshot snapshot;
  if ((given.interfaces == nullptr && given.interface_count != 0) ||
      (given.default_routes == nullptr && given.default_route_count != 0)) {
    return fail(ErrorCode::InvalidArgument, "a list is missing that its count speaks of");
  }
  for (std::size_t i = 0; i < given.interface_count; ++i) {
    auto interface = interface_of(given.interfaces[i]);
    if (!interface) return tl::unexpected(interface.error());
    snapshot.interfaces.push_back(std::move(*interface));
  }
  std::sort(snapshot.interfaces.begin(), snapshot.interfaces.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  for (std::size_t i = 0; i < given.default_route_count; ++i) {
    const godwit_default_route& one = given.default_routes[i];
    if (one.family != 4 && one.family != 6) {
      return fail(ErrorCode::InvalidArgument, "a default route's family is 4 or 6");
    }
    DefaultRoute route;
    route.family = one.family == 6 ? Family::V6 : Family::V4;
    route.interface_index = one.interface_index;
    route.metric = static_cast<std::uint32_t>(i);  // In the order given.
    snapshot.default_routes.push_back(route);
  }
  std::stable_sort(snapshot.default_routes.begin(), snapshot.default_routes.end(),
                   [](const auto& a, const auto& b) { return a.family < b.family; });
  if (given.nat64_prefix == nullptr) return snapshot;
  const auto prefix = prefix_of(given.nat64_prefix);
  if (!prefix) {
    return fail(ErrorCode::InvalidArgument, std::string("the NAT64 prefix '") + given.nat64_prefix +
                                                "' is none, such as 64:ff9b::/96");
  }
  const auto route = std::find_if(snapshot.default_routes.begin(), snapshot.default_routes.end(),
                                  [](const DefaultRoute& one) { return one.family == Family::V6; });
  for (NetworkInterface& interface : snapshot.interfaces) {
    const bool leads =
        route != snapshot.default_routes.end() && interface.index == route->interface_index;
    if (leads) interface.nat64_prefix = prefix;
  }
  return snapshot;
}

}  // namespace

const char* godwit_version(void) { return kVersion; }

const char* godwit_last_error(void) { return last_error().c_str(); }

void godwit_config_init(godwit_config* config) { *config = default_config(); }

void godwit_account_init(godwit_account* account) { *account = default_account(); }

void godwit_network_init(godwit_network* network) { *network = default_network(); }

godwit_agent* godwit_agent_create(const godwit_config* config) {
  godwit_config given;
  if (!take(config, default_config, &given)) {
    refuse(GODWIT_INVALID_ARGUMENT, "the configuration was not made by godwit_config_init()");
    return nullptr;
  }
  UserAgentConfig ours;
  if (given.user_agent != nullptr) ours.user_agent = given.user_agent;
  ours.state_dir = text(given.state_dir);
  ours.sip_port = given.sip_port;
  ours.media.rtp_port_min = given.rtp_port_min;
  ours.media.rtp_port_max = given.rtp_port_max;
  ours.watch_network = given.watch_network != 0;
  ours.tls.ca_file = text(given.tls_ca_file);
  ours.nat64 = given.nat64 != 0;
  if (const std::string why = take_servers(given, ours); !why.empty()) {
    refuse(GODWIT_INVALID_ARGUMENT, why);
    return nullptr;
  }
  if (given.socket_created != nullptr) {
    ours.socket_created = [hook = given.socket_created,
                           context = given.context](const NewSocket& socket) {
      const bool bound = socket.local.family() != Family::None;
      return hook(context, socket.descriptor, bound ? socket.local.to_string().c_str() : "",
                  socket.interface_name.c_str()) != 0;
    };
  }
  try {
    auto made = std::make_unique<godwit_agent>();
    // Lives longer than the library's threads: it is destroyed after them.
    capi::EventQueue& events = made->events;
    made->agent = std::make_unique<UserAgent>(
        std::move(ours), [handler = given.on_event, context = given.context, &events](
                             const Event& event, TimePoint at) {
          std::string json = to_json(event, at);
          if (handler != nullptr) {
            handler(context, json.c_str());
          } else {
            events.push(std::move(json));
          }
        });
    return made.release();
  } catch (const std::exception& why) {
    refuse(GODWIT_FAILED, why.what());
    return nullptr;
  }
}

void godwit_agent_shutdown(godwit_agent* agent, uint32_t limit_ms) {
  if (agent != nullptr) agent->agent->shutdown(std::chrono::milliseconds(limit_ms));
}

void godwit_agent_destroy(godwit_agent* agent) {
  if (agent == nullptr) return;
  // A handler that runs meanwhile may still use the pointer; reset() would clear it first.
  delete agent->agent.get();
  (void)agent->agent.release();
  delete agent;
}

godwit_status godwit_next_event(godwit_agent* agent, uint32_t timeout_ms, char* buffer,
                                size_t capacity, size_t* length) {
  if (agent == nullptr || (buffer == nullptr && capacity != 0)) {
    return refuse(GODWIT_INVALID_ARGUMENT, "there is no agent, or no buffer");
  }
  const auto taken = agent->events.take(std::chrono::milliseconds(timeout_ms), buffer, capacity);
  if (!taken) return refuse(GODWIT_TIMEOUT, "no event came in time");
  if (length != nullptr) *length = taken->needed;
  if (taken->fits) return GODWIT_OK;
  return refuse(GODWIT_TOO_LARGE,
                "the event needs a buffer of " + std::to_string(taken->needed) + " bytes");
}

godwit_status godwit_account_add(godwit_agent* agent, const godwit_account* account, uint32_t* id) {
  godwit_account given;
  if (agent == nullptr || !take(account, default_account, &given)) {
    return refuse(GODWIT_INVALID_ARGUMENT,
                  "there is no agent, or the account was not made by godwit_account_init()");
  }
  AccountConfig ours;
  ours.aor = text(given.aor);
  ours.display_name = text(given.display_name);
  ours.registrar = text(given.registrar);
  ours.outbound_proxy = text(given.outbound_proxy);
  ours.username = text(given.username);
  ours.password = text(given.password);
  switch (given.transport) {
    case GODWIT_TRANSPORT_AUTO: ours.transport = TransportChoice::Auto; break;
    case GODWIT_TRANSPORT_UDP: ours.transport = TransportChoice::Udp; break;
    case GODWIT_TRANSPORT_TCP: ours.transport = TransportChoice::Tcp; break;
    case GODWIT_TRANSPORT_TLS: ours.transport = TransportChoice::Tls; break;
    default: return refuse(GODWIT_INVALID_ARGUMENT, "the account's transport is none");
  }
  ours.register_on_add = given.register_on_add != 0;
  ours.expires = std::chrono::seconds(given.expires_s);
  ours.ip_change.update_contact = given.update_contact != 0;
  ours.ip_change.refresh_calls = given.refresh_calls != 0;
  ours.ip_change.hang_up_calls = given.hang_up_calls != 0;
  ours.ip_change.recovery_deadline = std::chrono::milliseconds(given.recovery_deadline_ms);
  const auto sip_family = family_of(given.sip_family);
  const auto media_family = family_of(given.media_family);
  if (!sip_family || !media_family) {
    return refuse(GODWIT_INVALID_ARGUMENT, "the account's family policy is none");
  }
  ours.sip_family = *sip_family;
  ours.media_family = *media_family;
  ours.ip_change.use_stun = given.use_stun != 0;
  ours.ip_change.leave_dead_paths = given.leave_dead_paths != 0;
  ours.ip_change.prove_new_paths = given.prove_new_paths != 0;
  return give(agent->agent->add_account(std::move(ours)), id);
}

godwit_status godwit_account_remove(godwit_agent* agent, uint32_t account) {
  return run(agent, &UserAgent::remove_account, AccountId(account));
}

godwit_status godwit_account_register(godwit_agent* agent, uint32_t account) {
  return run(agent, &UserAgent::register_account, AccountId(account));
}

godwit_status godwit_account_unregister(godwit_agent* agent, uint32_t account) {
  return run(agent, &UserAgent::unregister_account, AccountId(account));
}

godwit_status godwit_account_push_wake(godwit_agent* agent, uint32_t account) {
  return run(agent, &UserAgent::push_wake, AccountId(account));
}

godwit_status godwit_call(godwit_agent* agent, uint32_t account, const char* target,
                          uint32_t* call) {
  if (agent == nullptr) return refuse(GODWIT_INVALID_ARGUMENT, "there is no agent");
  return give(agent->agent->call(AccountId(account), text(target)), call);
}

godwit_status godwit_call_ring(godwit_agent* agent, uint32_t call) {
  return run(agent, &UserAgent::ring, CallId(call));
}

godwit_status godwit_call_answer(godwit_agent* agent, uint32_t call) {
  return run(agent, &UserAgent::answer, CallId(call));
}

godwit_status godwit_call_reject(godwit_agent* agent, uint32_t call, int sip_status) {
  return run(agent, &UserAgent::reject, CallId(call), sip_status);
}

godwit_status godwit_call_hang_up(godwit_agent* agent, uint32_t call) {
  return run(agent, static_cast<Result<void> (UserAgent::*)(CallId)>(&UserAgent::hang_up),
             CallId(call));
}

godwit_status godwit_call_hold(godwit_agent* agent, uint32_t call) {
  return run(agent, &UserAgent::hold, CallId(call));
}

godwit_status godwit_call_resume(godwit_agent* agent, uint32_t call) {
  return run(agent, &UserAgent::resume, CallId(call));
}

godwit_status godwit_call_mute(godwit_agent* agent, uint32_t call, int muted) {
  return run(agent, &UserAgent::mute, CallId(call), muted != 0);
}

godwit_status godwit_call_send_dtmf(godwit_agent* agent, uint32_t call, const char* digits) {
  return run(agent, &UserAgent::send_dtmf, CallId(call), text(digits), DtmfMethod::Auto);
}

godwit_status godwit_call_set_source(godwit_agent* agent, uint32_t call, godwit_source source,
                                     const char* file) {
  AudioSource ours;
  switch (source) {
    case GODWIT_SOURCE_SILENCE: ours.kind = AudioSource::Kind::Silence; break;
    case GODWIT_SOURCE_TONE: ours.kind = AudioSource::Kind::Tone; break;
    case GODWIT_SOURCE_FILE: ours.kind = AudioSource::Kind::File; break;
    case GODWIT_SOURCE_ECHO: ours.kind = AudioSource::Kind::Echo; break;
    default: return refuse(GODWIT_INVALID_ARGUMENT, "the source is none");
  }
  ours.file = text(file);
  ours.loop = true;
  return run(agent, &UserAgent::set_source, CallId(call), std::move(ours));
}

godwit_status godwit_update_network(godwit_agent* agent, const godwit_network* network) {
  godwit_network given;
  if (agent == nullptr || !take(network, default_network, &given)) {
    return refuse(GODWIT_INVALID_ARGUMENT,
                  "there is no agent, or the network was not made by godwit_network_init()");
  }
  auto snapshot = snapshot_of(given);
  if (!snapshot) return status_of(snapshot);
  return run(agent, &UserAgent::update_network, std::move(*snapshot));
}

godwit_status godwit_handle_ip_change(godwit_agent* agent, uint32_t* generation) {
  if (agent == nullptr) return refuse(GODWIT_INVALID_ARGUMENT, "there is no agent");
  return give(agent->agent->handle_ip_change(), generation);
}
