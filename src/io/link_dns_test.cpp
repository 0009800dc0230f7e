// SPDX-License-Identifier: Apache-2.0
#include "io/link_dns.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "io/clock.hpp"

namespace godwit::io {
namespace {

std::string shown(std::string_view file, std::string_view key) {
  std::string text;
  for (const Endpoint& server : parse_link_servers(file, key)) {
    text += (text.empty() ? "" : " ") + server.to_string();
  }
  return text;
}

TEST(LinkDns, ReadsTheServersOfALink) {
  EXPECT_EQ(shown("# This is private data. Do not parse.\nLLMNR=yes\nSERVERS=192.0.2.53 "
                  "2001:db8::53\nDOMAINS=example.org\n",
                  "SERVERS"),
            "192.0.2.53:53 [2001:db8::53]:53");
  EXPECT_EQ(shown("DNS=192.0.2.53:5353%wlan0#dns.example.org\n", "DNS"), "192.0.2.53:5353");
  EXPECT_EQ(shown("DNS=[2001:db8::1]:5353#dns.example.org", "DNS"), "[2001:db8::1]:5353");
  EXPECT_EQ(shown("DNS=\"192.0.2.1 192.0.2.2\"", "DNS"), "192.0.2.1:53 192.0.2.2:53");
}

TEST(LinkDns, WhatIsNoneIsPassedOver) {
  EXPECT_EQ(shown("", "DNS"), "");
  EXPECT_EQ(shown("DNS", "DNS"), "");
  EXPECT_EQ(shown("DNS=\n\n=\nDNS =192.0.2.1\nDNSSEC=192.0.2.1\nXDNS=192.0.2.1\n", "DNS"), "");
  EXPECT_EQ(
      shown("DNS=fe80::1%wlan0 0.0.0.0 224.0.0.251 nonsense [::1 192.0.2.1:0 192.0.2.7", "DNS"),
      "192.0.2.7:53");
  EXPECT_EQ(shown("DNS=192.0.2.1 192.0.2.2 192.0.2.3", "DNS"), "192.0.2.1:53 192.0.2.2:53")
      << "no more than two";
}

TEST(LinkDns, WhatWasGivenToTheResolverGoesBeforeWhatWasLearned) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() /
      ("godwit-link-dns-" + std::to_string(now().time_since_epoch().count()));
  std::filesystem::create_directories(folder / "netif/links");
  std::filesystem::create_directories(folder / "resolve/netif");
  EXPECT_TRUE(link_dns_servers(folder, 3).empty());
  std::ofstream(folder / "netif/links/3") << "DNS=192.0.2.1\n";
  std::ofstream(folder / "netif/links/33") << "DNS=192.0.2.9\n";
  ASSERT_EQ(link_dns_servers(folder, 3).size(), 1U);
  EXPECT_EQ(link_dns_servers(folder, 3)[0].address, IpAddress::v4(192, 0, 2, 1));
  std::ofstream(folder / "resolve/netif/3") << "SERVERS=192.0.2.2\n";
  ASSERT_EQ(link_dns_servers(folder, 3).size(), 1U);
  EXPECT_EQ(link_dns_servers(folder, 3)[0].address, IpAddress::v4(192, 0, 2, 2));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace godwit::io
