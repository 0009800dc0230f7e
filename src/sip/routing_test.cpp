// SPDX-License-Identifier: Apache-2.0
#include "sip/routing.hpp"

#include <gtest/gtest.h>

namespace godwit::sip {
namespace {

TEST(Towards, LiteralsAreFollowedAndNothingElse) {
  Flow v4;
  v4.local = *Endpoint::parse("192.0.2.1:5060");
  v4.remote = *Endpoint::parse("198.51.100.1:5080");
  Flow v6;
  v6.local = *Endpoint::parse("[2001:db8::1]:5060");
  v6.remote = *Endpoint::parse("[2001:db8::2]:5080");
  const struct {
    const Flow& flow;
    const char* uri;
    const char* remote;
  } cases[] = {
      {v4, "sip:bob@203.0.113.7", "203.0.113.7:5060"},
      {v4, "sip:203.0.113.7:5070;lr", "203.0.113.7:5070"},
      {v4, "sip:p.example.org;lr;maddr=203.0.113.8", "203.0.113.8:5060"},
      {v4, "sip:p.example.org:5070", "198.51.100.1:5080"},
      {v4, "sip:bob@[2001:db8::7]", "198.51.100.1:5080"},
      {v6, "sip:bob@[2001:db8::7]:5070", "[2001:db8::7]:5070"},
      {v6, "sip:bob@203.0.113.7", "[2001:db8::2]:5080"},
      {v4, "sip:bob@0.0.0.0", "198.51.100.1:5080"},
      {v4, "sip:bob@224.0.1.75", "198.51.100.1:5080"},
      {v4, "tel:+123", "198.51.100.1:5080"},
      {v4, "rubbish", "198.51.100.1:5080"},
  };
  for (const auto& c : cases) {
    const Flow flow = towards(c.flow, c.uri);
    EXPECT_EQ(flow.remote, *Endpoint::parse(c.remote)) << c.uri;
    EXPECT_EQ(flow.local, c.flow.local);
    EXPECT_EQ(flow.listener, c.flow.listener);
  }
}

TEST(Towards, TheUriChoosesTheTransport) {
  Flow udp;
  udp.local = *Endpoint::parse("192.0.2.1:5060");
  udp.remote = *Endpoint::parse("198.51.100.1:5060");
  Flow tcp = udp;
  tcp.transport = Transport::Tcp;
  Flow tls = udp;
  tls.transport = Transport::Tls;
  tls.remote.port = 5061;
  tls.tls_name = "sip.example.org";
  const struct {
    const Flow& flow;
    const char* uri;
    Transport transport;
    const char* remote;
    const char* name;
  } cases[] = {
      {udp, "sip:bob@203.0.113.7;transport=tcp", Transport::Tcp, "203.0.113.7:5060", ""},
      {udp, "sip:bob@203.0.113.7;transport=TLS", Transport::Tls, "203.0.113.7:5061", "203.0.113.7"},
      {udp, "sips:bob@198.51.100.1", Transport::Tls, "198.51.100.1:5061", "198.51.100.1"},
      {udp, "sips:bob@203.0.113.7;transport=tcp", Transport::Tls, "203.0.113.7:5061",
       "203.0.113.7"},
      {tcp, "sip:bob@203.0.113.7", Transport::Udp, "203.0.113.7:5060", ""},
      {tcp, "sip:198.51.100.1;lr", Transport::Tcp, "198.51.100.1:5060", ""},
      {tcp, "sip:198.51.100.1;transport=udp;lr", Transport::Udp, "198.51.100.1:5060", ""},
      {tls, "sip:198.51.100.1:5061;lr", Transport::Tls, "198.51.100.1:5061", "sip.example.org"},
      {tls, "sip:198.51.100.1;transport=tls;lr", Transport::Tls, "198.51.100.1:5061",
       "sip.example.org"},
      {tls, "sip:bob@203.0.113.7;transport=tls", Transport::Tls, "203.0.113.7:5061", "203.0.113.7"},
      {tls, "sip:bob@203.0.113.7;transport=tcp", Transport::Tcp, "203.0.113.7:5060", ""},
  };
  for (const auto& c : cases) {
    const Flow flow = towards(c.flow, c.uri);
    EXPECT_EQ(flow.transport, c.transport) << c.uri;
    EXPECT_EQ(flow.remote, *Endpoint::parse(c.remote)) << c.uri;
    EXPECT_EQ(flow.tls_name, c.name) << c.uri;
  }
}

TEST(Towards, ADialogOfSipsStaysOnTls) {
  Flow tls;
  tls.local = *Endpoint::parse("192.0.2.1:5060");
  tls.remote = *Endpoint::parse("198.51.100.1:5061");
  tls.transport = Transport::Tls;
  tls.tls_name = "sip.example.org";
  for (const char* uri : {"sip:bob@203.0.113.7", "sip:bob@203.0.113.7;transport=tcp",
                          "sip:198.51.100.1;transport=udp;lr", "rubbish"}) {
    EXPECT_EQ(towards(tls, uri, true), tls) << uri;
  }
  EXPECT_EQ(towards(tls, "sips:bob@203.0.113.7", true).remote,
            *Endpoint::parse("203.0.113.7:5061"));
  EXPECT_EQ(towards(tls, "sip:bob@203.0.113.7", false).transport, Transport::Udp);
}

}  // namespace
}  // namespace godwit::sip
