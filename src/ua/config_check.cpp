// SPDX-License-Identifier: Apache-2.0
#include "ua/config_check.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/host_port.hpp"
#include "ua/stun_servers.hpp"

namespace godwit::ua {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::size_t kLongestName = 256;

Result<void> wrong(const char* setting, const std::string& wanted, const std::string& given) {
  return fail(ErrorCode::InvalidArgument,
              std::string(setting) + " must be " + wanted + ", not " + given);
}

Result<void> in_range(const char* setting, std::int64_t value, std::int64_t least,
                      std::int64_t most, const char* unit = "") {
  if (value >= least && value <= most) return {};
  return wrong(setting, std::to_string(least) + " to " + std::to_string(most) + unit,
               std::to_string(value));
}

Result<void> check_media(const MediaConfig& media) {
  if (media.codecs.empty()) return wrong("media.codecs", "at least one codec", "empty");
  const std::int64_t packet = media.packet_time.count();
  if (packet < 10 || packet > 60 || packet % 10 != 0) {
    return wrong("media.packet_time", "10 to 60 ms in tens", std::to_string(packet));
  }
  if (media.rtp_port_min == 0 || media.rtp_port_min > media.rtp_port_max) {
    return wrong("media.rtp_port_min", "1 to media.rtp_port_max",
                 std::to_string(media.rtp_port_min) + " with rtp_port_max " +
                     std::to_string(media.rtp_port_max));
  }
  const std::uint32_t even = (media.rtp_port_min + 1U) & ~1U;
  if (even > media.rtp_port_max) {
    return wrong("media.rtp_port_max", "such that there is an even port from rtp_port_min on",
                 std::to_string(media.rtp_port_max));
  }
  const std::int64_t timeout = media.timeout.count();
  if (timeout != 0) {
    if (auto ok = in_range("media.timeout", timeout, 5, kDay, " s, or 0"); !ok) return ok;
  }
  return in_range("media.dscp", media.dscp, 0, 63);
}

}  // namespace

Result<void> check_config(const UserAgentConfig& config) {
  const bool printable =
      std::all_of(config.user_agent.begin(), config.user_agent.end(),
                  [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  if (!printable || config.user_agent.size() > kLongestName) {
    return wrong("user_agent", "at most 256 bytes without control characters", "this");
  }
  for (const Endpoint& server : config.dns_servers) {
    if (server.address.family() == Family::None || server.address.is_unspecified()) {
      return wrong("dns_servers", "addresses of servers", server.to_string());
    }
  }
  constexpr const char* kStunServers = "at most 4 hosts or unicast addresses, without \"stun:\"";
  if (config.stun_servers.size() > StunServers::kMaxServers) {
    return wrong("stun_servers", kStunServers, std::to_string(config.stun_servers.size()));
  }
  for (const std::string& server : config.stun_servers) {
    const auto place = parse_host_port(server);
    const bool nobodys = place && place->address &&
                         (place->address->is_unspecified() || place->address->is_multicast() ||
                          *place->address == IpAddress::v4(255, 255, 255, 255));
    if (!place || nobodys) return wrong("stun_servers", kStunServers, "\"" + server + "\"");
  }
  for (const std::string& name : config.interfaces) {
    if (name.empty() || name.size() > 15) {
      return wrong("interfaces", "names of 1 to 15 bytes", "\"" + name + "\"");
    }
  }
  constexpr std::int64_t kAny = UINT32_MAX;
  for (const auto& ok : {
           in_range("sip_dscp", config.sip_dscp, 0, 63),
           in_range("max_calls", config.max_calls, 1, kAny),
           in_range("max_accounts", config.max_accounts, 1, kAny),
           in_range("max_udp_request", config.max_udp_request, 0, 65'535, " bytes"),
           in_range("udp_keep_alive", config.udp_keep_alive.count(), 0, kDay, " s"),
           in_range("stream_keep_alive", config.stream_keep_alive.count(), 0, kDay, " s"),
       }) {
    if (!ok) return ok;
  }
  return check_media(config.media);
}

}  // namespace godwit::ua
