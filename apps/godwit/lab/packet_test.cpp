// SPDX-License-Identifier: Apache-2.0
#include "lab/packet.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace godwit::lab {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes text(const std::string& s) { return {s.begin(), s.end()}; }

Bytes udp(std::uint16_t from, std::uint16_t to, const Bytes& payload) {
  const auto length = static_cast<std::uint16_t>(8 + payload.size());
  Bytes out;
  for (const std::uint16_t v : {from, to, length, std::uint16_t{0}}) {
    out.push_back(static_cast<std::uint8_t>(v >> 8));
    out.push_back(static_cast<std::uint8_t>(v));
  }
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

Bytes tcp(const Bytes& payload) {
  Bytes out(20 + 12);
  out[0] = out[2] = 0x13;
  out[1] = out[3] = 0xc4;
  out[12] = 0x80;  // with options, as they usually are
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

Bytes ipv4(const Bytes& payload, std::uint8_t protocol = 17, std::uint16_t fragment = 0) {
  Bytes out(20);
  out[0] = 0x45;
  out[6] = static_cast<std::uint8_t>(fragment >> 8);
  out[7] = static_cast<std::uint8_t>(fragment);
  out[9] = protocol;
  const Bytes addresses{10, 1, 0, 2, 10, 9, 0, 1};
  std::copy(addresses.begin(), addresses.end(), out.begin() + 12);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

Bytes ipv6(const Bytes& payload) {
  Bytes out(40);
  out[0] = 0x60;
  out[6] = 17;
  out[8] = 0xfd;
  out[23] = 2;
  out[24] = 0xfd;
  out[39] = 1;
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

const Bytes kRtp{0x80, 0x80, 0x12, 0x34, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3};
const std::string kRegister =
    "REGISTER sip:10.9.0.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bK1\r\n"
    "To: <sip:alice@10.9.0.1>\r\n"
    "CALL-ID: abc@10.1.0.2\r\n"
    "CSeq: 7 REGISTER\r\n"
    "m: <sip:alice@10.2.0.2:5070>\r\n"
    "Contact: <sip:alice@10.1.0.2:5070>;expires=0\r\n\r\n";

TEST(Packet, SeesRtpInBothFamilies) {
  for (const Bytes& packet : {ipv4(udp(16384, 4000, kRtp)), ipv6(udp(16384, 4000, kRtp))}) {
    const auto parsed = parse_packet(packet);
    ASSERT_EQ(parsed.size(), 1U);
    const auto* rtp = std::get_if<RtpInfo>(&parsed[0].content);
    ASSERT_NE(rtp, nullptr);
    EXPECT_EQ(rtp->ssrc, 0xdeadbeefU);
    EXPECT_EQ(rtp->sequence, 0x1234);
    EXPECT_EQ(rtp->payload_type, 0);
    EXPECT_EQ(parsed[0].source.port, 16384);
    EXPECT_EQ(parsed[0].destination.port, 4000);
  }
  EXPECT_EQ(parse_packet(ipv4(udp(16384, 4000, kRtp))).at(0).source.to_string(), "10.1.0.2:16384");
  EXPECT_EQ(parse_packet(ipv6(udp(16384, 4000, kRtp))).at(0).destination.to_string(),
            "[fd00::1]:4000");
}

TEST(Packet, ReadsWhatTheAnalysisNeedsOfSip) {
  const auto request = parse_packet(ipv4(udp(5060, 5060, text(kRegister))));
  ASSERT_EQ(request.size(), 1U);
  const auto& sip = std::get<SipInfo>(request[0].content);
  EXPECT_TRUE(sip.request);
  EXPECT_EQ(sip.method, "REGISTER");
  EXPECT_EQ(sip.cseq, 7U);
  EXPECT_EQ(sip.call_id, "abc@10.1.0.2");
  EXPECT_EQ(sip.contact, "<sip:alice@10.2.0.2:5070>, <sip:alice@10.1.0.2:5070>;expires=0");
  EXPECT_FALSE(sip.in_dialog);

  const auto answer = parse_packet(
      ipv4(udp(5060, 5060,
               text("SIP/2.0 200 OK\r\nTo: <sip:b@h>;tag=1\r\nCSeq: 8 INVITE\r\n\r\nCSeq: 9 X"))));
  ASSERT_EQ(answer.size(), 1U);
  const auto& ok = std::get<SipInfo>(answer[0].content);
  EXPECT_FALSE(ok.request);
  EXPECT_EQ(ok.status, 200);
  EXPECT_EQ(ok.method, "INVITE");
  EXPECT_EQ(ok.cseq, 8U);
  EXPECT_TRUE(ok.in_dialog);
}

TEST(Packet, ReadsEveryMessageOfATcpSegment) {
  const std::string answer =
      "SIP/2.0 200 OK\r\nCSeq: 8 INVITE\r\nContent-Length: 6\r\n\r\nv=0\r\n ";
  auto segment = ipv4(tcp(text(answer + kRegister + "\r\n")), 6);
  const auto parsed = parse_packet(segment);
  ASSERT_EQ(parsed.size(), 2U);
  EXPECT_EQ(std::get<SipInfo>(parsed[0].content).status, 200);
  EXPECT_EQ(std::get<SipInfo>(parsed[1].content).method, "REGISTER");
  EXPECT_EQ(parsed[1].source.to_string(), "10.1.0.2:5060");
  // Bytes beyond the IP packet's own length are not the segment's.
  segment[3] = static_cast<std::uint8_t>(20 + 32 + answer.size());
  EXPECT_EQ(parse_packet(segment).size(), 1U);
  // The middle of a message, or of what TLS hides, is none.
  EXPECT_TRUE(parse_packet(ipv4(tcp(text("Contact: <sip:a@b>\r\n\r\n")), 6)).empty());
  EXPECT_TRUE(parse_packet(ipv4(tcp({0x17, 3, 3, 0, 4, 1, 2, 3, 4}), 6)).empty());
  EXPECT_TRUE(parse_packet(ipv4(tcp(kRtp), 6)).empty());
}

TEST(Packet, IgnoresWhatIsNeither) {
  const Bytes rtcp{0x80, 200, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
  const Bytes stun{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4};
  const std::vector<Bytes> others{
      {},
      {0x45},
      ipv4({}),
      ipv4(udp(16385, 4001, rtcp)),
      ipv4(udp(3478, 3478, stun)),
      ipv4(udp(53, 16384, kRtp)),                // a name server's answer
      ipv4(udp(16384, 4000, kRtp), 6),           // TCP
      ipv4(udp(16384, 4000, kRtp), 17, 0x2001),  // a later fragment
      ipv4(udp(5060, 5060, text("\r\n\r\n"))),   // keepalive
      ipv4(udp(5060, 5060, text("SIP/2.0 20\r\n"))),
      ipv4(udp(5060, 5060, text("HELLO SIP/2.0\r\n\r\n"))),  // no CSeq
  };
  for (std::size_t i = 0; i < others.size(); ++i) EXPECT_TRUE(parse_packet(others[i]).empty()) << i;
}

TEST(Packet, AnyPrefixOfAPacketIsHarmless) {
  for (const Bytes& packet : {ipv4(udp(5060, 5060, text(kRegister))), ipv4(tcp(text(kRegister)), 6),
                              ipv6(udp(1024, 1024, kRtp))}) {
    for (std::size_t length = 0; length <= packet.size(); ++length) {
      const Bytes prefix(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
      const auto parsed = parse_packet(prefix);
      if (length < 40) {
        EXPECT_TRUE(parsed.empty()) << length;
      }
    }
  }
}

}  // namespace
}  // namespace godwit::lab
