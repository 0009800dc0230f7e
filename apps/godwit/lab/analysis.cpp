// SPDX-License-Identifier: Apache-2.0
#include "lab/analysis.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

/// How far before T0 packets are looked at: enough for the pause that T0 interrupts.
constexpr Duration kLead = 200ms;
/// How far back a repeated packet is recognised; a fraction of what sequence numbers take to wrap.
constexpr Duration kHistory = 10s;
/// Audio counts as flowing at the end if half of what 20 ms packets make arrives in this time.
constexpr Duration kTail = 1s;
constexpr std::size_t kTailPackets = 25;

const RtpInfo* rtp_of(const CapturedPacket& p) { return std::get_if<RtpInfo>(&p.content); }
const SipInfo* sip_of(const CapturedPacket& p) { return std::get_if<SipInfo>(&p.content); }

/// One direction's RTP: who sent what, and what of it arrived when.
struct Stream {
  std::vector<TimePoint> arrivals;  ///< New packets only.
  std::map<std::uint32_t, std::set<std::uint16_t>> arrived;
  std::uint32_t lost = 0;
};

struct Direction {
  Place sender;
  Place receiver;
  bool from_peer;
};

bool is_peer(const IpAddress& address, const Move& m) {
  return std::find(m.peers.begin(), m.peers.end(), address) != m.peers.end();
}

bool is_sent(const CapturedPacket& p, const Direction& d, const Move& m) {
  if (p.place != d.sender || !p.outgoing) return false;
  return is_peer(d.from_peer ? p.source.address : p.destination.address, m);
}

bool has_arrived(const CapturedPacket& p, const Direction& d, const Move& m) {
  if (p.place != d.receiver || p.outgoing) return false;
  if (!d.from_peer) return is_peer(p.destination.address, m);
  if (!is_peer(p.source.address, m)) return false;
  return p.destination.address == m.new_address ||
         (p.destination.address == m.old_address && p.at <= m.t0);
}

/// Sequence numbers between the first that arrived and the last that should have, that did not.
/// What the sender sent in the last kTail may still be on its way, unless something later arrived.
std::uint32_t count_lost(const std::vector<CapturedPacket>& packets, const Direction& d,
                         const Move& m, const Stream& stream) {
  std::uint32_t lost = 0;
  for (const auto& [ssrc, sequence_numbers] : stream.arrived) {
    std::optional<std::uint16_t> first;
    std::uint16_t span = 0;  // from `first` to the last one, in sequence numbers
    auto extend = [&](std::uint16_t sequence) {
      const auto ahead = static_cast<std::uint16_t>(sequence - *first);
      if (ahead < 0x8000 && ahead > span) span = ahead;
    };
    for (const auto& p : packets) {
      const RtpInfo* rtp = rtp_of(p);
      if (rtp == nullptr || rtp->ssrc != ssrc || p.at < m.t0 - kLead || p.at >= m.end) continue;
      if (has_arrived(p, d, m)) {
        if (!first) first = rtp->sequence;
        extend(rtp->sequence);
      } else if (first && is_sent(p, d, m) && p.at < m.end - kTail) {
        extend(rtp->sequence);
      }
    }
    if (!first) continue;  // a stream that had ended before
    std::uint32_t present = 0;
    for (const std::uint16_t sequence : sequence_numbers) {
      if (static_cast<std::uint16_t>(sequence - *first) <= span) ++present;
    }
    lost += std::uint32_t{span} + 1 - present;
  }
  return lost;
}

Stream follow(const std::vector<CapturedPacket>& packets, const Direction& d, const Move& m) {
  Stream stream;
  for (const auto& p : packets) {
    const RtpInfo* rtp = rtp_of(p);
    if (rtp == nullptr || p.at < m.t0 - kHistory || p.at >= m.end || !has_arrived(p, d, m)) {
      continue;
    }
    const bool is_new = stream.arrived[rtp->ssrc].insert(rtp->sequence).second;
    if (is_new && p.at >= m.t0 - kLead) stream.arrivals.push_back(p.at);
  }
  stream.lost = count_lost(packets, d, m, stream);
  return stream;
}

Duration longest_silence(const std::vector<TimePoint>& arrivals, const Move& m) {
  Duration longest{};
  TimePoint previous = m.t0 - kLead;
  for (const TimePoint at : arrivals) {
    if (at > m.t0 && previous <= m.t0 + kSilenceWindow) longest = std::max(longest, at - previous);
    previous = at;
  }
  if (previous <= m.t0 + kSilenceWindow) longest = std::max(longest, m.end - previous);
  return longest;
}

bool flows_at_end(const std::vector<TimePoint>& arrivals, const Move& m) {
  const auto recent = std::count_if(arrivals.begin(), arrivals.end(),
                                    [&](TimePoint at) { return at >= m.end - kTail; });
  return static_cast<std::size_t>(recent) >= kTailPackets;
}

bool mentions(const std::string& contact, const IpAddress& address) {
  return contact.find("@" + address.to_uri_host() + ":") != std::string::npos ||
         contact.find("@" + address.to_uri_host() + ">") != std::string::npos ||
         contact.find("@" + address.to_uri_host() + ";") != std::string::npos;
}

/// The first 200 arriving at the phone for a request of one of `methods` that the phone sent after
/// T0 with the new contact.
std::optional<Duration> first_ok(const std::vector<CapturedPacket>& packets, const Move& m,
                                 const std::set<std::string>& methods) {
  std::set<std::pair<std::string, std::uint32_t>> asked;
  for (const auto& p : packets) {
    const SipInfo* sip = sip_of(p);
    if (sip == nullptr || p.place != Place::Phone || p.at <= m.t0 || p.at >= m.end) continue;
    if (!methods.contains(sip->method)) continue;
    const std::pair key{sip->call_id, sip->cseq};
    if (sip->request && p.outgoing && mentions(sip->contact, m.new_address)) asked.insert(key);
    if (!sip->request && !p.outgoing && sip->status == 200 && asked.contains(key) &&
        p.destination.address == m.new_address) {
      return p.at - m.t0;
    }
  }
  return {};
}

std::optional<Duration> first_rtp(const std::vector<CapturedPacket>& packets, const Move& m,
                                  bool outgoing) {
  std::set<std::pair<std::uint32_t, std::uint16_t>> heard_before;
  for (const auto& p : packets) {
    const RtpInfo* rtp = rtp_of(p);
    if (rtp == nullptr || p.place != Place::Phone || p.outgoing != outgoing || p.at >= m.end) {
      continue;
    }
    const std::pair key{rtp->ssrc, rtp->sequence};
    if (p.at <= m.t0) {
      heard_before.insert(key);
      continue;
    }
    const IpAddress& ours = outgoing ? p.source.address : p.destination.address;
    if (ours == m.new_address && (outgoing || !heard_before.contains(key))) return p.at - m.t0;
  }
  return {};
}

std::optional<Duration> first_packet(const std::vector<CapturedPacket>& packets, const Move& m) {
  for (const auto& p : packets) {
    if (p.at >= m.end) break;
    if (p.at > m.t0 && p.place == Place::Phone && p.outgoing && p.source.address == m.new_address) {
      return p.at - m.t0;
    }
  }
  return {};
}

template <typename T>
T middle(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half]
                                : static_cast<T>((values[half - 1] + values[half]) / 2);
}

/// Nearest rank; `percent` 1 to 100.
template <typename T>
T percentile(std::vector<T> values, std::size_t percent) {
  std::sort(values.begin(), values.end());
  return values[(values.size() * percent + 99) / 100 - 1];
}

/// `choose` is asked for each field.
template <typename Choose>
MoveFigures join(const std::vector<MoveFigures>& moves, Choose choose) {
  MoveFigures result;
  if (moves.empty()) return result;
  const auto times = [&](std::optional<Duration> MoveFigures::*field) -> std::optional<Duration> {
    std::vector<Duration::rep> values;
    for (const auto& move : moves) {
      if (!(move.*field)) return {};
      values.push_back((move.*field)->count());
    }
    return Duration{choose(values)};
  };
  const auto durations = [&](Duration MoveFigures::*field) {
    std::vector<Duration::rep> values;
    for (const auto& move : moves) values.push_back((move.*field).count());
    return Duration{choose(values)};
  };
  const auto counts = [&](std::uint32_t MoveFigures::*field) {
    std::vector<std::uint32_t> values;
    for (const auto& move : moves) values.push_back(move.*field);
    return choose(values);
  };
  for (auto field :
       {&MoveFigures::detect, &MoveFigures::first_tx, &MoveFigures::first_tx_after_notice,
        &MoveFigures::first_rtp_tx, &MoveFigures::registered, &MoveFigures::registered_after_notice,
        &MoveFigures::answered, &MoveFigures::audible}) {
    result.*field = times(field);
  }
  result.silence_down = durations(&MoveFigures::silence_down);
  result.silence_up = durations(&MoveFigures::silence_up);
  result.lost_down = counts(&MoveFigures::lost_down);
  result.lost_up = counts(&MoveFigures::lost_up);
  result.survived =
      std::all_of(moves.begin(), moves.end(), [](const auto& m) { return m.survived; });
  return result;
}

void hold(std::vector<std::string>* why, const std::string& what,
          const std::optional<Duration>& seen, const std::optional<Duration>& limit) {
  if (!seen || !limit || *seen <= *limit) return;
  why->push_back(fmt::format("{} {:.1f} ms, limit {:.1f} ms", what, to_ms(*seen), to_ms(*limit)));
}

std::optional<Duration> since_t0(const std::optional<TimePoint>& told, const Move& m) {
  if (!told || *told < m.t0 || *told >= m.end) return {};
  return *told - m.t0;
}

}  // namespace

const char* to_string(Signalling signalling) {
  switch (signalling) {
    case Signalling::Udp: return "udp";
    case Signalling::Tcp: return "tcp";
    case Signalling::Tls: return "tls";
  }
  return "?";
}

MoveFigures analyse(const std::vector<CapturedPacket>& packets, const Move& m) {
  MoveFigures f;
  if (m.detected) f.detect = *m.detected - m.t0;
  const Duration notice = m.kernel_notice.value_or(m.t0) - m.t0;
  f.first_tx = first_packet(packets, m);
  if (f.first_tx) f.first_tx_after_notice = *f.first_tx - notice;
  f.first_rtp_tx = first_rtp(packets, m, true);
  const bool hidden = m.signalling == Signalling::Tls;
  f.registered = hidden ? since_t0(m.told_registered, m) : first_ok(packets, m, {"REGISTER"});
  f.answered = hidden ? since_t0(m.told_answered, m) : first_ok(packets, m, {"INVITE", "UPDATE"});
  if (f.registered) f.registered_after_notice = *f.registered - notice;
  f.audible = first_rtp(packets, m, false);
  const Stream down = follow(packets, {Place::Far, Place::Phone, true}, m);
  const Stream up = follow(packets, {Place::Phone, Place::Far, false}, m);
  f.silence_down = longest_silence(down.arrivals, m);
  f.silence_up = longest_silence(up.arrivals, m);
  f.lost_down = down.lost;
  f.lost_up = up.lost;
  f.survived = m.call_up && flows_at_end(down.arrivals, m) && flows_at_end(up.arrivals, m);
  return f;
}

const char* to_string(Trigger trigger) {
  switch (trigger) {
    case Trigger::AddressLost: return "address-lost";
    case Trigger::Fading: return "fading";
  }
  return "?";
}

void Limits::add_slack(Duration slack) {
  silence_down += slack;
  silence_up += slack;
  for (auto* limit : {&first_tx, &registered, &silence_p95}) {
    if (*limit) **limit += slack;
  }
}

Limits limits_for(Duration rtt, Signalling signalling, Trigger trigger, double loss,
                  Duration packet_time) {
  const Duration signalled = (1 + static_cast<int>(signalling)) * rtt;
  Limits limits;
  limits.silence_down = signalled + packet_time + 10ms;
  limits.silence_up = packet_time + 10ms;
  if (trigger == Trigger::Fading) {
    limits.silence_down = limits.silence_up = 400ms + 2 * rtt;
  } else if (loss == 0) {
    limits.first_tx = 5ms;
    limits.registered = signalled + 10ms;
  }
  if (loss > 0) limits.silence_p95 = rtt + 250ms;
  return limits;
}

std::vector<std::string> failures(const MoveFigures& f, const Limits& limits) {
  std::vector<std::string> why;
  if (!f.survived) why.emplace_back("the call did not survive");
  if (!f.detect) why.emplace_back("the change was not detected");
  if (!f.registered) why.emplace_back("not registered from the new address");
  if (!f.answered) why.emplace_back("no answer to the refresh of the call");
  if (!limits.each_move || limits.silence_p95) return why;
  const Duration more = *limits.each_move;
  hold(&why, "silence from the peer for", f.silence_down, limits.silence_down + more);
  hold(&why, "silence towards the peer for", f.silence_up, limits.silence_up + more);
  return why;
}

std::vector<std::string> failures(const Summary& all, const Limits& limits) {
  std::vector<std::string> why;
  hold(&why, "median: first packet on the new path after", all.median.first_tx_after_notice,
       limits.first_tx);
  hold(&why, "median: registered anew after", all.median.registered_after_notice,
       limits.registered);
  if (limits.silence_p95) {
    hold(&why, "95th percentile: silence from the peer for", all.p95.silence_down,
         limits.silence_p95);
    hold(&why, "95th percentile: silence towards the peer for", all.p95.silence_up,
         limits.silence_p95);
    return why;
  }
  hold(&why, "median: silence from the peer for", all.median.silence_down, limits.silence_down);
  hold(&why, "median: silence towards the peer for", all.median.silence_up, limits.silence_up);
  return why;
}

Summary summary(const std::vector<MoveFigures>& moves) {
  return {join(moves, [](auto values) { return middle(std::move(values)); }),
          join(moves, [](auto values) { return percentile(std::move(values), 95); }),
          join(moves, [](auto values) { return percentile(std::move(values), 100); })};
}

}  // namespace godwit::lab
