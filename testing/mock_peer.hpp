// SPDX-License-Identifier: Apache-2.0
//
// A scriptable SIP party that shares no code with src/sip: it takes and makes one call at a time,
// and does with each request what the test told it to. By default a correct and willing peer.
// Owned by the test. Transactions are as much as a test needs: retransmission of what is
// unanswered, the last answer again for a retransmitted request, the 2xx until its ACK.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "testing/mock_media.hpp"
#include "testing/mock_sdp.hpp"
#include "testing/network.hpp"
#include "testing/simulation.hpp"
#include "testing/sip_text.hpp"

namespace godwit::testing {

struct MockPeerConfig {
  std::string user = "bob";
  std::string domain = "example.org";
  Endpoint local;   ///< SIP; the audio is on `rtp_port` of the same address.
  Endpoint server;  ///< First hop of what it sends outside a dialog.
  std::uint16_t rtp_port = 40'000;
  /// Of the other family than `local`, for audio: an offer is answered in its own family. Empty: it
  /// has none, and answers what it always does, as real phones do.
  IpAddress other_address = {};
  std::uint32_t latch_after = 0;  ///< 0: sends where SDP says; PJSIP: 10.
  bool allow_update = true;       ///< Says so in Allow.
  /// A re-INVITE before the ACK to our last 2xx gets 500, as from peers that do not overlap them.
  bool refuse_before_ack = false;
  /// RFC 3262: says so in Supported, sends PRACK, and with `insist_on_reliable` demands it.
  bool reliable = false;
  bool insist_on_reliable = false;
  /// Payload type of RFC 4733's telephone-events; 0: knows none.
  std::uint8_t telephone_event = 0;
  bool rtcp_mux = false;    ///< RFC 5761: offered, and accepted.
  bool late_offer = false;  ///< Its INVITEs bring no offer; the answer goes into PRACK or ACK.
  /// RFC 4028: knows session timers; asks for this interval, or grants what is asked.
  std::chrono::seconds session_expires{0};
  std::string refresher;  ///< What it asks for or grants; empty: leaves it open, grants "uac".
};

/// What becomes of one request.
struct MockReply {
  int status = 200;
  Duration delay{};  ///< Before the final answer.
  bool ignore = false;
  bool ring = false;  ///< INVITE: 180 at once.
  /// INVITE: 183 with the answer at once; reliable if both sides know RFC 3262.
  bool early_media = false;
  std::optional<std::chrono::seconds> retry_after = std::nullopt;
  std::vector<SipText::Header> headers = {};  ///< Of the final answer.
  std::string body = {};                      ///< Not for INVITE; its type is among the headers.
};

class MockPeer {
 public:
  enum class CallState : std::uint8_t { Idle, Calling, Ringing, Confirmed, Ended };

  MockPeer(Network& network, Host& host, MockPeerConfig config);
  ~MockPeer();
  MockPeer(const MockPeer&) = delete;
  MockPeer& operator=(const MockPeer&) = delete;

  /// For the next request of that method not scripted yet: "INVITE", "re-INVITE", "UPDATE", "BYE".
  void script(const std::string& method, MockReply reply);
  /// For all requests of the method that have no script of their own.
  void always(const std::string& method, MockReply reply) { defaults_[method] = reply; }
  /// Answers the ringing INVITE that was scripted with a long delay.
  void answer(int status = 200);

  /// An INVITE with Replaces gets that answer; else it takes the call over (RFC 3891).
  void refuse_replaces(int status) { refuse_replaces_ = status; }

  void register_at_server(std::chrono::seconds expires = std::chrono::seconds(3600));
  void call(const std::string& uri, const std::vector<SipText::Header>& headers = {});
  void cancel();
  void bye();
  /// Lets the PRACKs of our reliable responses go unanswered, or not.
  void ignore_pracks(bool ignore) { ignore_pracks_ = ignore; }
  /// No PRACK for reliable responses, or PRACK again.
  void withhold_pracks(bool withhold) { withhold_pracks_ = withhold; }
  /// Reliable responses of ours that have no PRACK.
  bool awaits_prack() const { return unpracked_ != nullptr; }
  /// With a new offer in that direction of ours.
  void reinvite(const std::string& direction = "sendrecv");
  void update(const std::string& direction = "sendrecv");

  /// Any request within the dialog.
  void send_in_dialog(const std::string& method, const std::vector<SipText::Header>& headers,
                      const std::string& body = {});
  /// Any request outside, to `uri` by way of the server; returns its Call-ID.
  std::string send_outside(const std::string& method, const std::string& uri,
                           const std::vector<SipText::Header>& headers,
                           const std::string& body = {});

  // Facts.
  CallState state() const { return state_; }
  std::string uri() const;  ///< Its Contact.
  std::string aor() const { return "sip:" + config_.user + "@" + config_.domain; }
  struct Seen {
    TimePoint at;
    Endpoint from;
    SipText message;
  };
  /// Every request and response that came, retransmissions included, oldest first.
  const std::vector<Seen>& seen() const { return seen_; }
  /// Of these the requests of the method, one for each CSeq.
  std::vector<Seen> requests(const std::string& method) const;
  /// Every session description of this call received in an offer or answer, without repetitions.
  const std::vector<MockSdp>& remote_sdps() const { return remote_sdps_; }
  /// Final status of the last request of ours of that method; 0: none yet.
  int last_status(const std::string& method) const;
  MockMedia& media() { return *media_; }
  /// Why a call ended, e.g. "BYE received", "no ACK".
  const std::string& end_reason() const { return end_reason_; }
  /// Violations of what any peer may rely on: CSeq that does not grow, changed route set or
  /// Call-ID.
  const std::vector<std::string>& complaints() const { return complaints_; }
  /// It stands where a proxy is looked for: a Route left in a request is none of its complaints.
  void allow_routes() { routes_allowed_ = true; }

 private:
  struct Retransmission {
    std::string bytes;
    Endpoint remote;
    Duration interval;
    TimePoint until;
    std::unique_ptr<Alarm> alarm;
  };
  struct ClientTransaction {
    SipText request;
    Retransmission sending;
    bool provisional = false;
  };
  struct ServerTransaction {
    SipText request;
    Endpoint source;
    std::string last_response;
    bool final = false;
  };

  void receive(const Endpoint& from, const std::string& bytes);
  void on_request(const Endpoint& from, const SipText& request);
  void on_response(const SipText& response);
  void on_invite(const std::string& key, const SipText& request, bool in_dialog);
  void on_ack(const SipText& ack);
  void on_prack(const std::string& key, const SipText& request);
  void on_reliable(const SipText& response);
  void send_early_media(const std::string& key, const SipText& request);
  std::string allowed() const;
  void on_cancel(const SipText& request, const Endpoint& from);
  void finish(const std::string& key, int status, std::optional<std::chrono::seconds> retry_after,
              const MockReply& reply = {});
  void ask_for_timer(SipText& request) const;
  void remember(const std::string& key, const SipText& response);
  void respond(const std::string& key, const SipText& response);
  void check_in_dialog(const SipText& request);
  void offer_types();
  void answer_types();
  void take_remote_sdp(const SipText& message);
  void start_media();
  void confirm(const SipText& from_remote);
  void end(const std::string& why);

  SipText dialog_request(const std::string& method);
  std::string local_sdp(const std::string& direction);
  void send_request(SipText request);
  void send_ack(const SipText& response);
  static std::string invite_name(const SipText& message);
  void repeat(Retransmission& what, Duration first, Duration longest, Duration limit);
  void transmit(const std::string& bytes, const Endpoint& remote);
  Endpoint next_hop(const SipText& request) const;
  MockReply reply_for(const std::string& method);

  Network& network_;
  Host& host_;
  MockPeerConfig config_;
  SeededRandom random_;
  SocketId socket_;
  std::unique_ptr<MockMedia> media_;

  std::map<std::string, std::deque<MockReply>> scripts_;
  std::map<std::string, MockReply> defaults_;
  std::vector<Seen> seen_;
  std::vector<MockSdp> remote_sdps_;
  std::vector<std::string> complaints_;
  bool routes_allowed_ = false;
  std::map<std::string, int> last_status_;
  std::map<std::string, ServerTransaction> server_transactions_;
  std::map<std::string, ClientTransaction> client_transactions_;  ///< By branch.
  std::vector<TimerId> timers_;

  CallState state_ = CallState::Idle;
  int refuse_replaces_ = 0;
  std::string end_reason_;
  // The dialog.
  std::string call_id_;
  std::string local_tag_;
  std::string remote_tag_;
  std::string local_uri_;
  std::string remote_uri_;
  std::string remote_target_;
  std::vector<std::string> route_set_;
  std::uint32_t local_cseq_ = 0;
  std::uint32_t remote_cseq_ = 0;
  std::string invite_key_;  ///< The server transaction of the INVITE in progress.
  struct Unacked {
    Retransmission sending;
    bool success = false;
  };
  std::map<std::string, Unacked> unacked_;     ///< Our finals to INVITEs, by Call-ID and CSeq.
  std::map<std::uint32_t, std::string> acks_;  ///< Our ACKs to 2xx, by CSeq.
  std::unique_ptr<Retransmission> unpracked_;  ///< Our reliable response without PRACK.
  std::uint32_t rseq_ = 0;
  std::uint32_t last_remote_rseq_ = 0;
  bool answered_early_ = false;  ///< Our answer has gone, reliably.
  bool ignore_pracks_ = false;
  bool withhold_pracks_ = false;
  MockSdp session_;  ///< Ours.
  std::string direction_ = "sendrecv";
  std::optional<MockSdp> remote_session_;
};

}  // namespace godwit::testing
