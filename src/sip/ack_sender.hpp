// SPDX-License-Identifier: Apache-2.0
//
// The ACKs to 2xx of one session (RFC 3261 §13.2.2.4), which are no transactions: keeps each with
// its body for 64*T1, sends it again for each retransmitted 2xx, and after an address change by a
// schedule of its own: at once, then at intervals of 0.5, 1, 2, 4, 4 … seconds, until told to stop
// or 64*T1 have passed. A *blind* ACK is one to a 2xx that may have been lost on a dead flow; a
// peer that has sent none ignores it. Owned by the session, which tells it which flow to use.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/time.hpp"
#include "sip/dialog.hpp"
#include "sip/digest.hpp"
#include "sip/flow.hpp"
#include "sip/usage.hpp"

namespace godwit::sip {

struct AckContent {
  std::uint32_t invite_cseq = 0;
  std::string sdp;                               ///< Empty: no body.
  std::vector<AuthorizationHeader> credentials;  ///< Those of the INVITE.
};

class AckSender {
 public:
  AckSender(UsageContext context, Owner owner, std::uint32_t timer_kind);
  ~AckSender();
  AckSender(const AckSender&) = delete;
  AckSender& operator=(const AckSender&) = delete;

  /// Sends the ACK and remembers it.
  void send(const Dialog& dialog, AckContent content, const Flow& flow, TimePoint now);
  /// A 2xx came again: the same ACK again. False if none is remembered.
  bool repeat(const std::string& remote_tag, std::uint32_t invite_cseq, const Flow& flow,
              TimePoint now);
  /// Sends it and starts the schedule, for an INVITE whose outcome is unknown.
  void start_blind(const Dialog& dialog, AckContent content, const Flow& flow, TimePoint now);
  /// Starts the schedule with the newest remembered ACK, if it is fresh.
  void resend_newest(const Flow& flow, TimePoint now);
  /// Whatever is still due goes over another flow.
  void move(const Flow& flow) { flow_ = flow; }
  /// No more by schedule; what is remembered stays for retransmitted 2xx.
  void stop();
  /// The same for one fork.
  void stop(const std::string& remote_tag);
  /// An ACK was first sent less than 64*T1 ago.
  bool is_fresh(TimePoint now) const;

  void on_timer(TimePoint now);

  /// 64*T1 of RFC 3261: so long the peer retransmits its 2xx.
  static constexpr Duration kLifetime = std::chrono::seconds(32);
  static constexpr std::size_t kMaxRemembered = 16;

 private:
  struct Ack {
    Dialog dialog;  ///< As it was: the ACK goes to the target of its time.
    AckContent content;
    TimePoint first_sent;
    std::string bytes;  ///< As last sent, good for `sent_on` only.
    Flow sent_on;
    std::optional<TimePoint> next;  ///< By schedule.
    Duration interval{};
  };

  void transmit(Ack& ack);
  void start_schedule(Ack& ack, TimePoint now);
  std::vector<Ack>::iterator find(const std::string& remote_tag, std::uint32_t invite_cseq);
  void remember(Ack ack);
  void forget_old(TimePoint now);
  void rearm();

  UsageContext context_;
  Owner owner_;
  std::uint32_t timer_kind_;
  std::vector<Ack> acks_;  ///< Oldest first.
  Flow flow_;
  TimerId timer_;
};

}  // namespace godwit::sip
