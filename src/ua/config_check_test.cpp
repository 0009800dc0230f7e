// SPDX-License-Identifier: Apache-2.0
#include "ua/config_check.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace godwit::ua {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ConfigCheck, TakesTheDefaultsAndTheEdges) {
  EXPECT_TRUE(check_config({}));
  UserAgentConfig config;
  config.sip_dscp = config.media.dscp = 63;
  config.media.packet_time = milliseconds(60);
  config.media.rtp_port_min = config.media.rtp_port_max = 4000;
  config.media.timeout = seconds(5);
  config.max_calls = config.max_accounts = 1;
  config.max_unanswered_per_source = 0;
  config.max_udp_request = 65'535;
  config.udp_keep_alive = config.stream_keep_alive = seconds(0);
  config.user_agent.clear();
  EXPECT_TRUE(check_config(config));
}

TEST(ConfigCheck, NamesTheSettingThatCannotBe) {
  const std::vector<std::pair<std::string, std::function<void(UserAgentConfig&)>>> cases{
      {"user_agent", [](auto& c) { c.user_agent = "a\r\nX: y"; }},
      {"user_agent", [](auto& c) { c.user_agent = std::string(257, 'a'); }},
      {"dns_servers",
       [](auto& c) {
         c.dns_servers = {Endpoint{IpAddress::any(Family::V4), 53}};
       }},
      {"interfaces", [](auto& c) { c.interfaces = {"a-name-of-16-byte"}; }},
      {"interfaces", [](auto& c) { c.interfaces = {""}; }},
      {"sip_dscp", [](auto& c) { c.sip_dscp = 64; }},
      {"max_calls", [](auto& c) { c.max_calls = 0; }},
      {"max_accounts", [](auto& c) { c.max_accounts = 0; }},
      {"max_udp_request", [](auto& c) { c.max_udp_request = 65'536; }},
      {"udp_keep_alive", [](auto& c) { c.udp_keep_alive = seconds(-1); }},
      {"stream_keep_alive", [](auto& c) { c.stream_keep_alive = seconds(86'401); }},
      {"media.codecs", [](auto& c) { c.media.codecs.clear(); }},
      {"media.packet_time", [](auto& c) { c.media.packet_time = milliseconds(25); }},
      {"media.packet_time", [](auto& c) { c.media.packet_time = milliseconds(70); }},
      {"media.rtp_port_min", [](auto& c) { c.media.rtp_port_min = 0; }},
      {"media.rtp_port_min", [](auto& c) { c.media.rtp_port_max = 16'000; }},
      {"media.rtp_port_max", [](auto& c) { c.media.rtp_port_min = c.media.rtp_port_max = 4001; }},
      {"media.dscp", [](auto& c) { c.media.dscp = 64; }},
      {"media.timeout", [](auto& c) { c.media.timeout = seconds(4); }},
      {"media.timeout", [](auto& c) { c.media.timeout = seconds(-1); }},
  };
  for (const auto& [setting, spoil] : cases) {
    UserAgentConfig config;
    spoil(config);
    const auto checked = check_config(config);
    ASSERT_FALSE(checked) << setting;
    EXPECT_EQ(checked.error().code, ErrorCode::InvalidArgument);
    EXPECT_TRUE(checked.error().detail.starts_with(setting + " must be "))
        << checked.error().detail;
  }
}

TEST(ConfigCheck, StunServersThatAreNone) {
  UserAgentConfig config;
  config.stun_servers = {"stun.example.org", "192.0.2.1:3478", "[2001:db8::1]:3478", "b.example"};
  EXPECT_TRUE(check_config(config));
  config.stun_servers.emplace_back("fifth.example");
  EXPECT_FALSE(check_config(config));
  for (const char* wrong : {"0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "", "a:0",
                            "stun:stun.example.org"}) {
    config.stun_servers = {wrong};
    const auto checked = check_config(config);
    ASSERT_FALSE(checked) << wrong;
    EXPECT_NE(checked.error().detail.find("stun_servers"), std::string::npos);
  }
}

}  // namespace
}  // namespace godwit::ua
