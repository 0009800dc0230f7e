// SPDX-License-Identifier: Apache-2.0
//
// From captured packets to the figures of one move. Pure. Everything but `detect` comes from the
// arrival and departure of packets as the two namespaces' kernels saw them, never from what the
// parties say about themselves; but where TLS hides the signalling, `registered` and `answered` are
// the phone's own word. A packet that arrives twice is counted once, at its first arrival;
// one that arrives for an address that the phone has lost has not arrived.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/time.hpp"
#include "lab/packet.hpp"

namespace godwit::lab {

/// What the phone speaks to its server; the callee always speaks UDP.
enum class Signalling : std::uint8_t { Udp, Tcp, Tls };
const char* to_string(Signalling signalling);

/// What is known of a move apart from packets.
struct Move {
  int number = 0;
  std::string from;  ///< "wifi"
  std::string to;
  IpAddress old_address;
  IpAddress new_address;
  std::vector<IpAddress> peers;  ///< The callee's addresses.
  TimePoint t0;                  ///< Right before the kernel was told to delete the old address.
  TimePoint end;                 ///< Nothing from here on belongs to this move.
  std::optional<TimePoint> detected;       ///< By the phone's own event.
  std::optional<TimePoint> kernel_notice;  ///< When the kernel told of the deleted address.
  /// The phone's own word, by the times of its events; used where `signalling` is Tls.
  std::optional<TimePoint> told_registered;
  std::optional<TimePoint> told_answered;
  Signalling signalling = Signalling::Udp;
  bool call_up = false;  ///< At `end`, by both parties' word.
};

/// All since T0 unless said otherwise; absent: it did not happen.
struct MoveFigures {
  std::optional<Duration> detect;
  std::optional<Duration> first_tx;  ///< First packet leaving from the new address: SIP, RTP, SYN.
  /// The same since the kernel told of the change.
  std::optional<Duration> first_tx_after_notice;
  std::optional<Duration> first_rtp_tx;  ///< First RTP leaving from the new address.
  std::optional<Duration> registered;    ///< 200 to a REGISTER with the new contact, at the phone.
  /// The same since the kernel told of the change: what the goal for it counts from.
  std::optional<Duration> registered_after_notice;
  std::optional<Duration> answered;  ///< 200 to a re-INVITE or UPDATE with it, at the phone.
  std::optional<Duration> audible;   ///< First new RTP from the peer at the new address.
  /// Longest time without new RTP arriving, of the pauses that end after T0 and begin before
  /// T0 + kSilenceWindow. Up to `end` where nothing arrived any more.
  Duration silence_down{};
  Duration silence_up{};
  std::uint32_t lost_down = 0;  ///< RTP sequence numbers sent that never arrived.
  std::uint32_t lost_up = 0;
  bool survived = false;  ///< call_up, and RTP still arriving in both directions before `end`.
};

inline constexpr Duration kSilenceWindow = std::chrono::seconds(2);

/// `packets` in order of time.
MoveFigures analyse(const std::vector<CapturedPacket>& packets, const Move& move);

/// What makes the phone move.
enum class Trigger : std::uint8_t {
  AddressLost,  ///< The kernel tells of it.
  Fading,       ///< The link carries nothing any more; its address stays, and nobody tells.
};
const char* to_string(Trigger trigger);

/// What the figures are held to; absent: to nothing.
struct Limits {
  Duration silence_down{};
  Duration silence_up{};
  std::optional<Duration> first_tx;    ///< After the kernel's notice; for the median only.
  std::optional<Duration> registered;  ///< After the kernel's notice; for the median only.
  /// Of every move, so much more silence than the median; absent: only the median is held.
  std::optional<Duration> each_move;
  /// Of the 95th percentile; where packets are lost, the only limit besides survival.
  std::optional<Duration> silence_p95;

  void add_slack(Duration slack);
};

/// What physics allows, and 10 ms more, of silence a packet time besides: a new TCP connection
/// costs one round trip before the first request, TLS 1.3 one more. A link that fades has to be
/// found out first: 400 ms, and two round trips. Towards a peer that has to tell its address of the
/// other family silence lasts as long as from it. With losses the 95th percentile is to stay below
/// 300 ms at a round trip of 50 ms.
Limits limits_for(Duration rtt, Signalling signalling = Signalling::Udp,
                  Trigger trigger = Trigger::AddressLost, double loss = 0,
                  Duration packet_time = std::chrono::milliseconds(20));

/// Why a move fails its limits, one clause each; empty: it passes.
std::vector<std::string> failures(const MoveFigures& figures, const Limits& limits);

/// Several moves' figures in one, field by field; of the counts too. A time is absent unless all
/// moves have it.
struct Summary {
  MoveFigures median;
  MoveFigures p95;  ///< Nearest rank.
  MoveFigures maximum;
};
Summary summary(const std::vector<MoveFigures>& moves);

/// Why several moves together fail what they are held to; empty: they pass.
std::vector<std::string> failures(const Summary& summary, const Limits& limits);

}  // namespace godwit::lab
