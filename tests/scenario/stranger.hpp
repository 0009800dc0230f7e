// SPDX-License-Identifier: Apache-2.0
//
// A host that sends the phone what it likes, as raw SIP, and keeps what comes back. Owned by a
// scenario. Knows no rules and keeps no state but numbers that grow.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "world.hpp"

namespace godwit::scenario {

class Stranger {
 public:
  /// A host of its own.
  explicit Stranger(World& world) : Stranger(world, make_host(world), world.address(66), 5060) {}
  /// Another program on that host.
  Stranger(World& world, testing::Host& host, const IpAddress& address, std::uint16_t port)
      : host_(host), here_{address, port} {
    socket_ =
        *host_.bind(here_, 0, [this](testing::SocketId, const Endpoint&, const std::string& bytes) {
          if (auto message = SipText::parse(bytes)) seen.push_back(*message);
        });
    target_ = world.sent_sip("REGISTER").back().source;
  }

  /// To another port of the phone than its REGISTER came from.
  void aim(const Endpoint& target) { target_ = target; }

  SipText request(const std::string& method, const std::string& call_id) {
    SipText r = SipText::request(method, "sip:alice@" + target_.to_string());
    const std::string here = here_.to_string();
    r.append("Via", "SIP/2.0/UDP " + here + ";rport;branch=z9hG4bK" + std::to_string(++branches_));
    r.append("Max-Forwards", "70");
    r.append("From", "<sip:mallory@" + here + ">;tag=m");
    r.append("To", "<sip:alice@example.org>");
    r.append("Call-ID", call_id);
    r.append("CSeq", std::to_string(++cseq_) + " " + method);
    r.append("Contact", "<sip:mallory@" + here + ">");
    return r;
  }
  /// In the dialog that the phone's answer to the INVITE began.
  SipText within(const SipText& answer, const std::string& method) {
    SipText r = request(method, answer.first("Call-ID"));
    r.set("To", answer.first("To"));
    if (method == "ACK") r.set("CSeq", std::to_string(answer.cseq_number()) + " ACK");
    return r;
  }
  /// The CANCEL of that INVITE.
  static SipText cancel(const SipText& invite) {
    SipText r = invite;
    r.method = "CANCEL";
    r.set("CSeq", std::to_string(invite.cseq_number()) + " CANCEL");
    r.remove("Content-Type");
    r.body.clear();
    return r;
  }
  static void put_sdp(SipText& message, const std::string& address) {
    message.append("Content-Type", "application/sdp");
    message.body = "v=0\r\no=- 1 1 IN IP4 " + address + "\r\ns=-\r\nc=IN IP4 " + address +
                   "\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
  }
  void send(const SipText& message) {
    ASSERT_FALSE(host_.send(socket_, target_, message.to_string()));
  }
  std::optional<SipText> last(int status) const {
    for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
      if (it->status == status) return *it;
    }
    return std::nullopt;
  }
  std::optional<SipText> last(const std::string& method) const {
    for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
      if (it->method == method) return *it;
    }
    return std::nullopt;
  }
  std::string address() const { return here_.address.to_string(); }

  std::vector<SipText> seen;

 private:
  static testing::Host& make_host(World& world) {
    testing::Host& host = world.network.add_host("mallory");
    const auto eth = host.add_interface("eth0");
    host.add_address(eth, world.address(66));
    host.add_default_route(world.stage.family, eth, 100);
    return host;
  }

  testing::Host& host_;
  Endpoint here_;
  testing::SocketId socket_;
  Endpoint target_;
  int branches_ = 0;
  int cseq_ = 0;
};

}  // namespace godwit::scenario
