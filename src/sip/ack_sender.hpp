// SPDX-License-Identifier: Apache-2.0
//
// The ACKs to 2xx of one session (RFC 3261 §13.2.2.4), which are no transactions: keeps each with
// its body for 64*T1, sends it again for each retransmitted 2xx, and after an address change by a
// schedule of its own: at once, then after 0.5, 1, 2, 4, 4 … seconds, until told to stop or 64*T1
// have passed. A *blind* ACK is one to a 2xx that may have been lost on a dead flow; a peer that
// has sent none ignores it. Owned by the session, which tells it which flow to use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/time.hpp"
#include "sip/dialog.hpp"
#include "sip/flow.hpp"
#include "sip/usage.hpp"

namespace godwit::sip {

class AckSender {
 public:
  AckSender(UsageContext context, Owner owner, std::uint32_t timer_kind);
  ~AckSender();
  AckSender(const AckSender&) = delete;
  AckSender& operator=(const AckSender&) = delete;

  /// Sends the ACK for the INVITE with that number and remembers it. `sdp` empty: no body.
  void send(const Dialog& dialog, std::uint32_t invite_cseq, const std::string& sdp,
            const Flow& flow, TimePoint now);
  /// A 2xx came again: the same ACK again. False if none is remembered.
  bool repeat(const std::string& remote_tag, std::uint32_t invite_cseq, const Flow& flow,
              TimePoint now);
  /// Starts the schedule with an ACK without body for an INVITE whose outcome is unknown.
  void start_blind(const Dialog& dialog, std::uint32_t invite_cseq, const Flow& flow,
                   TimePoint now);
  /// Starts the schedule with the newest remembered ACK, if it is fresh.
  void resend_newest(const Flow& flow, TimePoint now);
  /// The schedules go on over another flow.
  void move(const Flow& flow);
  /// No more by schedule; what is remembered stays for retransmitted 2xx.
  void stop();
  bool is_fresh(TimePoint now) const;

  void on_timer(TimePoint now);

  /// 64*T1 of RFC 3261: so long the peer retransmits its 2xx.
  static constexpr Duration kLifetime = std::chrono::seconds(32);
  static constexpr std::size_t kMaxRemembered = 16;

 private:
  struct Ack {
    Dialog dialog;  ///< As it was: the ACK goes to the target of its time.
    std::uint32_t invite_cseq;
    std::string sdp;
    TimePoint first_sent;
    bool blind;
    /// By schedule: how many have left, and when the next one is due.
    std::optional<TimePoint> next;
    int sent;
  };

  void transmit(const Ack& ack, const Flow& flow);
  void remember(Ack ack);
  void advance(Ack& ack, TimePoint now);
  void rearm();

  UsageContext context_;
  Owner owner_;
  std::uint32_t timer_kind_;
  std::vector<Ack> acks_;
  Flow flow_;
  TimerId timer_;
};

}  // namespace godwit::sip
